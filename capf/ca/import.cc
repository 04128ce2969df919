#include <algorithm>

#include <openssl/provider.h>

#include "capf/ca/certificate.h"
#include "capf/ca/container.h"
#include "capf/ca/filekey.h"
#include "capf/ca/key.h"
#include "capf/ca/openssl.h"

namespace capf::ca {
namespace {

using Pkcs12Ptr = std::unique_ptr<PKCS12, Freed<PKCS12_free>>;
using LibraryPtr = std::unique_ptr<OSSL_LIB_CTX, Freed<OSSL_LIB_CTX_free>>;
using ProviderPtr = std::unique_ptr<OSSL_PROVIDER, Freed<OSSL_PROVIDER_unload>>;
using Pkcs8Ptr = std::unique_ptr<PKCS8_PRIV_KEY_INFO, Freed<PKCS8_PRIV_KEY_INFO_free>>;

constexpr std::size_t kMostCertificates = 10;

/// Finds the key's certificate, and sorts the CAs above it.
Result<ImportedAuthority> assemble(std::unique_ptr<SigningKey> key, const std::vector<Bytes>& certificates) {
  const ErrorQueue errors;
  std::vector<X509Ptr> rest;
  for (auto at = certificates.begin(); at != certificates.end(); ++at) {
    const Bytes& der = *at;
    if (std::find(certificates.begin(), at, der) != at) continue;  // some exports have the root twice
    CAPF_TRY(scan_certificate(der).map_error([](const Error& error) {
      return Error{Reason::kInvalidCertificate, error.message, error.cause};
    }));
    rest.push_back(parse_x509(der));
    if (!rest.back()) return fail(Reason::kInvalidCertificate, "a certificate cannot be read", errors.text());
  }
  const auto take = [&rest](auto wanted) -> X509Ptr {
    for (auto at = rest.begin(); at != rest.end(); ++at) {
      if (!wanted(at->get())) continue;
      X509Ptr found = std::move(*at);
      rest.erase(at);
      return found;
    }
    return nullptr;
  };
  const Bytes public_key = key->public_key();
  X509Ptr at = take([&public_key](X509* candidate) {
    const EVP_PKEY* offered = X509_get0_pubkey(candidate);
    return offered != nullptr && encode_der(i2d_PUBKEY, offered) == public_key;
  });
  if (!at) return fail(Reason::kInvalidCertificate, "the private key belongs to none of the certificates");

  ImportedAuthority authority;
  authority.key = std::move(key);
  authority.certificate = encode_der(i2d_X509, at.get());
  while (!is_issued_by(at.get(), at.get())) {
    at = take([subject = at.get()](X509* candidate) { return is_issued_by(subject, candidate); });
    if (!at) break;
    authority.chain.push_back(encode_der(i2d_X509, at.get()));
  }
  if (!rest.empty()) {
    return fail(Reason::kInvalidCertificate, "a certificate is not part of the chain of the one with the key");
  }
  return authority;
}

/// The same key in this program's own library context.
Result<std::unique_ptr<SigningKey>> rehome(EVP_PKEY* key) {
  const ErrorQueue errors;
  const Pkcs8Ptr plain(EVP_PKEY2PKCS8(key));
  std::shared_ptr<EVP_PKEY> own(plain ? EVP_PKCS82PKEY(plain.get()) : nullptr, EVP_PKEY_free);
  if (!own) return fail(Reason::kInvalidConfiguration, "the private key cannot be read", errors.text());
  return adopt_key(std::move(own));
}

}  // namespace

Result<ImportedAuthority> import_pem(BytesView certificates, BytesView key, const Secret& passphrase) {
  CAPF_LET(auto signing_key, decrypt_key(key, passphrase));
  return import_certificates(certificates, std::move(signing_key));
}

Result<ImportedAuthority> import_certificates(BytesView certificates, std::unique_ptr<SigningKey> key) {
  CAPF_LET(const std::vector<Bytes> ders, split_certificates(certificates, kMostCertificates));
  return assemble(std::move(key), ders);
}

Result<ImportedAuthority> import_pkcs12(BytesView pkcs12, const Secret& passphrase) {
  const ErrorQueue errors;
  // Files of older programs are encrypted with RC2 or 3DES, which only the legacy provider has. It is loaded into a
  // library context of its own, so that no other code in the process can use it.
  const LibraryPtr library(OSSL_LIB_CTX_new());
  if (!library) return fail_internal("OSSL_LIB_CTX_new: " + errors.text());
  const ProviderPtr standard(OSSL_PROVIDER_load(library.get(), "default"));
  const ProviderPtr legacy(OSSL_PROVIDER_load(library.get(), "legacy"));  // may be absent
  if (!standard) return fail_internal("OSSL_PROVIDER_load: " + errors.text());

  PKCS12* file = PKCS12_init_ex(NID_pkcs7_data, library.get(), nullptr);
  const unsigned char* at = pkcs12.data();
  // Where it fails, d2i frees the object it was given.
  const Pkcs12Ptr parsed(d2i_PKCS12(&file, &at, static_cast<long>(pkcs12.size())));
  if (!parsed) {
    return fail(Reason::kInvalidCertificate, "this is no PKCS #12 file but " + describe_file(pkcs12), errors.text());
  }
  const std::string secret(passphrase.text());  // PKCS12_parse wants it to end in a NUL
  struct Wiped {
    const std::string& text;
    ~Wiped() { OPENSSL_cleanse(const_cast<char*>(text.data()), text.size()); }
  } const wiped{secret};
  // RFC 7292 4: a file may have no MAC, and OpenSSL 3.0 opens none without. So one is added, made with the given
  // passphrase. A wrong passphrase shows in decrypting, unless nothing is encrypted.
  const bool sealed = PKCS12_mac_present(parsed.get()) == 1;
  if (!sealed && PKCS12_set_mac(parsed.get(), secret.c_str(), -1, nullptr, 0, 1, EVP_sha256()) != 1) {
    return fail_internal("PKCS12_set_mac: " + errors.text());
  }
  if (PKCS12_verify_mac(parsed.get(), secret.c_str(), -1) != 1 &&
      !(secret.empty() && PKCS12_verify_mac(parsed.get(), nullptr, 0) == 1)) {
    return fail(Reason::kWrongPassphrase, "the passphrase does not open the PKCS #12 file", errors.text());
  }
  EVP_PKEY* key = nullptr;
  X509* certificate = nullptr;
  STACK_OF(X509)* others = nullptr;
  const bool opened = PKCS12_parse(parsed.get(), secret.c_str(), &key, &certificate, &others) == 1;
  const PkeyPtr owned_key(key);
  const X509Ptr owned_certificate(certificate);
  const X509StackPtr owned_others(others);
  if (!opened && !sealed) {
    return fail(Reason::kWrongPassphrase,
                "the passphrase does not open the PKCS #12 file, or it is damaged: it has no MAC that would tell",
                errors.text());
  }
  if (!opened) return fail(Reason::kInvalidCertificate, "the PKCS #12 file cannot be opened", errors.text());
  if (!owned_key || !owned_certificate) {
    return fail(Reason::kInvalidCertificate, "the PKCS #12 file must hold a private key and its certificate");
  }
  std::vector<Bytes> ders{encode_der(i2d_X509, certificate)};
  const int count = others == nullptr ? 0 : sk_X509_num(others);
  if (static_cast<std::size_t>(count) >= kMostCertificates) {
    return fail(Reason::kInvalidCertificate, "more than 10 certificates");
  }
  for (int i = 0; i < count; ++i) ders.push_back(encode_der(i2d_X509, sk_X509_value(others, i)));
  CAPF_LET(auto signing_key, rehome(key));
  return assemble(std::move(signing_key), ders);
}

}  // namespace capf::ca
