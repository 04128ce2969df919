#include "capf/phone/certificate.h"

#include <algorithm>
#include <array>
#include <vector>

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/x509.h>

#include "capf/base/handle.h"

namespace capf::phone {
namespace {

using Bio = std::unique_ptr<BIO, Freed<BIO_free_all>>;
using Context = std::unique_ptr<EVP_MD_CTX, Freed<EVP_MD_CTX_free>>;

constexpr std::size_t kLargestCertificate = 16384;

tl::unexpected<Error> refuse() {
  ERR_clear_error();
  return fail(Reason::kInvalidCertificate);
}

Bytes octets_of(const ASN1_STRING* value) {
  const unsigned char* const data = ASN1_STRING_get0_data(value);
  return {data, data + ASN1_STRING_length(value)};
}

std::string contents(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<std::size_t>(size)};
}

/// RFC 4514 2.4, with UTF-8 as it is.
std::string value_text(const ASN1_STRING* value) {
  const Bio bio(BIO_new(BIO_s_mem()));
  const unsigned long flags = ASN1_STRFLGS_RFC2253 & ~static_cast<unsigned long>(ASN1_STRFLGS_ESC_MSB);
  if (bio == nullptr || ASN1_STRING_print_ex(bio.get(), value, flags) < 0) return {};
  return contents(bio.get());
}

/// The short name of a type, as CN. @param few only of the six types that every maker of lists spells so
std::string type_text(const ASN1_OBJECT* type, bool few) {
  constexpr std::array kFew{NID_commonName,   NID_organizationalUnitName, NID_organizationName,
                            NID_localityName, NID_stateOrProvinceName,    NID_countryName};
  const int number = OBJ_obj2nid(type);
  const bool is_known = few ? std::find(kFew.begin(), kFew.end(), number) != kFew.end() : number != NID_undef;
  if (is_known) return OBJ_nid2sn(number);
  std::array<char, 128> dotted{};
  OBJ_obj2txt(dotted.data(), static_cast<int>(dotted.size()), type, 1);
  return dotted.data();
}

/// The parts of a name in the certificate's order, "CN=…".
std::vector<std::string> parts_of(const X509_NAME* name, bool few) {
  std::vector<std::string> parts;
  int last = -1;
  for (int i = 0; i < X509_NAME_entry_count(name); ++i) {
    const X509_NAME_ENTRY* const entry = X509_NAME_get_entry(name, i);
    const std::string text =
        type_text(X509_NAME_ENTRY_get_object(entry), few) + "=" + value_text(X509_NAME_ENTRY_get_data(entry));
    if (X509_NAME_ENTRY_set(entry) == last && !parts.empty()) {
      parts.back() += "+" + text;
    } else {
      parts.push_back(text);
    }
    last = X509_NAME_ENTRY_set(entry);
  }
  return parts;
}

std::string join(const std::vector<std::string>& parts, char separator) {
  std::string text;
  for (const std::string& part : parts) {
    if (!text.empty()) text += separator;
    text += part;
  }
  return text;
}

/// Call managers join the parts with ';', open tools with ',', and RFC 4514 has the last one first.
bool says(std::string_view text, const X509_NAME* name) {
  for (const bool few : {true, false}) {
    std::vector<std::string> parts = parts_of(name, few);
    if (text == join(parts, ';') || text == join(parts, ',')) return true;
    std::reverse(parts.begin(), parts.end());
    if (text == join(parts, ',')) return true;
  }
  return false;
}

std::string digest_hex(const EVP_MD* kind, BytesView data) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  CAPF_INVARIANT(EVP_Digest(data.data(), data.size(), digest.data(), &size, kind, nullptr) == 1);
  return to_hex(BytesView(digest).first(size));
}

}  // namespace

Result<Certificate> Certificate::read(BytesView der) {
  if (der.empty() || der.size() > kLargestCertificate) return refuse();
  const unsigned char* at = der.data();
  Certificate certificate;
  certificate.x509_ = std::shared_ptr<X509>(d2i_X509(nullptr, &at, static_cast<long>(der.size())), X509_free);
  const X509* const x509 = certificate.x509_.get();
  if (x509 == nullptr || at != der.data() + der.size()) return refuse();
  const EVP_PKEY* const key = X509_get0_pubkey(x509);
  const ASN1_INTEGER* const serial = X509_get0_serialNumber(x509);
  if (key == nullptr || ASN1_STRING_type(serial) != V_ASN1_INTEGER) return refuse();
  const ASN1_BIT_STRING* signature = nullptr;
  X509_get0_signature(&signature, nullptr, x509);
  certificate.der_.assign(der.begin(), der.end());
  certificate.serial_ = octets_of(serial);
  certificate.key_ = octets_of(X509_get0_pubkey_bitstr(x509));
  certificate.signature_ = octets_of(signature);
  certificate.rsa_bits_ = EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA ? EVP_PKEY_get_bits(key) : 0;
  certificate.ec_ = EVP_PKEY_get_base_id(key) == EVP_PKEY_EC;
  return certificate;
}

bool Certificate::has_subject(std::string_view text) const { return says(text, X509_get_subject_name(x509_.get())); }

bool Certificate::has_issuer(std::string_view text) const { return says(text, X509_get_issuer_name(x509_.get())); }

std::string Certificate::subject() const { return join(parts_of(X509_get_subject_name(x509_.get()), true), ';'); }

bool Certificate::has_signed(Digest digest, BytesView first, BytesView second, BytesView signature) const {
  const EVP_MD* const kind = digest == Digest::kSha1 ? EVP_sha1() : EVP_sha512();
  const Context context(EVP_MD_CTX_new());
  // PKCS #1 v1.5 is what an RSA key does unless it is told otherwise.
  const bool good = rsa_bits_ != 0 && context != nullptr &&
                    EVP_DigestVerifyInit(context.get(), nullptr, kind, nullptr, X509_get0_pubkey(x509_.get())) == 1 &&
                    EVP_DigestVerifyUpdate(context.get(), first.data(), first.size()) == 1 &&
                    EVP_DigestVerifyUpdate(context.get(), second.data(), second.size()) == 1 &&
                    EVP_DigestVerifyFinal(context.get(), signature.data(), signature.size()) == 1;
  if (!good) ERR_clear_error();
  return good;
}

std::string Certificate::hash() const { return md5_hex(der_); }

std::string md5_hex(BytesView data) { return digest_hex(EVP_md5(), data); }
std::string sha1_hex(BytesView data) { return digest_hex(EVP_sha1(), data); }

}  // namespace capf::phone
