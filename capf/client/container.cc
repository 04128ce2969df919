#include "capf/client/container.h"

#include <string>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>

#include "capf/base/handle.h"
#include "capf/client/key.h"

namespace capf::client {
namespace {

constexpr int kRounds = 100'000;

using Bio = std::unique_ptr<BIO, Freed<BIO_free_all>>;
using Certificate = std::unique_ptr<X509, Freed<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using Container = std::unique_ptr<PKCS12, Freed<PKCS12_free>>;

struct FreeChain {
  void operator()(STACK_OF(X509) * chain) const { sk_X509_pop_free(chain, X509_free); }
};
using Chain = std::unique_ptr<STACK_OF(X509), FreeChain>;

int no_passphrase(char*, int, int, void*) { return -1; }

}  // namespace

Result<Secret> make_pkcs12(std::string_view certificate_pem, std::string_view key_pem, const Secret& passphrase,
                           std::string_view name) {
  CAPF_TRY(check_pair(certificate_pem, key_pem));
  CAPF_LET(const auto certificates, parse_certificates(certificate_pem));
  const Bio key_text(BIO_new_mem_buf(key_pem.data(), static_cast<int>(key_pem.size())));
  const Key key(PEM_read_bio_PrivateKey(key_text.get(), nullptr, no_passphrase, nullptr));
  const Chain chain(sk_X509_new_null());
  Certificate own;
  for (const Bytes& der : certificates) {
    const unsigned char* at = der.data();
    Certificate certificate(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
    if (own == nullptr) {
      own = std::move(certificate);
    } else if (chain != nullptr && sk_X509_push(chain.get(), certificate.get()) > 0) {
      certificate.release();
    }
  }
  Botan::secure_vector<char> words(passphrase.text().begin(), passphrase.text().end());
  words.push_back('\0');
  const std::string label(name);
  const Container container(PKCS12_create(words.data(), label.c_str(), key.get(), own.get(), chain.get(),
                                          NID_aes_256_cbc, NID_aes_256_cbc, kRounds, kRounds, 0));
  const Bio out(BIO_new(BIO_s_secmem()));
  if (container == nullptr || i2d_PKCS12_bio(out.get(), container.get()) != 1) {
    ERR_clear_error();
    return fail_internal("the PKCS #12 container could not be made");
  }
  char* data = nullptr;
  const long size = BIO_get_mem_data(out.get(), &data);
  return Secret(std::string_view(data, static_cast<std::size_t>(size)));
}

}  // namespace capf::client
