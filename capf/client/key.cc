#include "capf/client/key.h"

#include <ctime>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "capf/base/handle.h"

namespace capf::client {
namespace {

using Bio = std::unique_ptr<BIO, Freed<BIO_free_all>>;
using Context = std::unique_ptr<EVP_PKEY_CTX, Freed<EVP_PKEY_CTX_free>>;
using Number = std::unique_ptr<BIGNUM, Freed<BN_clear_free>>;
using Request = std::unique_ptr<X509_REQ, Freed<X509_REQ_free>>;
using Certificate = std::unique_ptr<X509, Freed<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;

/// Clears OpenSSL's error queue, so that the next call does not see old errors.
template <class Failure>
Failure dropping_errors(Failure failure) {
  ERR_clear_error();
  return failure;
}

Bytes contents(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  const auto view = as_bytes(std::string_view(data, static_cast<std::size_t>(size)));
  return {view.begin(), view.end()};
}

/// Without it OpenSSL would ask on the terminal, and wait, for any input that claims to be encrypted.
int no_passphrase(char*, int, int, void*) { return -1; }

Bio reader(std::string_view text) { return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))); }

template <class T, class Encode>
Bytes encode(const T* object, Encode encoder) {
  unsigned char* data = nullptr;
  const int size = encoder(object, &data);
  if (size <= 0) return dropping_errors(Bytes());
  Bytes bytes(data, data + size);
  OPENSSL_free(data);
  return bytes;
}

Certificate decode_certificate(BytesView der) {
  const unsigned char* at = der.data();
  Certificate certificate(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  if (certificate == nullptr || at != der.data() + der.size()) return dropping_errors(Certificate());
  return certificate;
}

const char* curve_name(int bits) {
  switch (bits) {
    case 256: return "P-256";
    case 384: return "P-384";
    case 521: return "P-521";
    default: return nullptr;
  }
}

constexpr int kSaltOctets = 32;

/// RSA: SHA-256; EC: by the size of the curve.
const EVP_MD* digest_of(const EVP_PKEY* key) {
  if (EVP_PKEY_get_base_id(key) != EVP_PKEY_EC || EVP_PKEY_get_bits(key) <= 256) return EVP_sha256();
  return EVP_PKEY_get_bits(key) <= 384 ? EVP_sha384() : EVP_sha512();
}

/// PEM is base64 of DER, so its library calls fail only for want of memory.
std::string pem_of(const char* label, BytesView der) {
  const Bio bio(BIO_new(BIO_s_mem()));
  PEM_write_bio(bio.get(), label, "", der.data(), static_cast<long>(der.size()));
  return std::string(as_text(contents(bio.get())));
}

Result<CertificateFacts> facts_of(const Certificate& certificate) {
  if (certificate == nullptr) return fail(Reason::kInvalidCertificate);
  CertificateFacts facts;
  const Number serial(ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate.get()), nullptr));
  std::tm expiry{};
  if (serial == nullptr || ASN1_TIME_to_tm(X509_get0_notAfter(certificate.get()), &expiry) != 1) {
    return dropping_errors(fail(Reason::kInvalidCertificate));
  }
  Bytes octets(static_cast<std::size_t>(BN_num_bytes(serial.get())));
  BN_bn2bin(serial.get(), octets.data());
  facts.serial = octets.empty() ? "00" : to_hex(octets);
  facts.not_after = TimePoint(std::chrono::seconds(::timegm(&expiry)));
  EVP_PKEY* key = X509_get0_pubkey(certificate.get());
  if (key == nullptr) return dropping_errors(fail(Reason::kInvalidCertificate));
  facts.public_key = encode(X509_get_X509_PUBKEY(certificate.get()), i2d_X509_PUBKEY);
  int digest = NID_undef;
  X509_get_signature_info(certificate.get(), &digest, nullptr, nullptr, nullptr);
  facts.needs_legacy = digest == NID_sha1 || digest == NID_md5 ||
                       (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA && EVP_PKEY_get_bits(key) < 2048);
  return facts;
}

}  // namespace

PrivateKey::PrivateKey(evp_pkey_st* key) : key_(key, EVP_PKEY_free), public_key_(encode(key, i2d_PUBKEY)) {}

Result<PrivateKey> PrivateKey::generate(KeyKind kind) {
  EVP_PKEY* key = nullptr;
  if (kind.type == KeyKind::Type::kRsa) {
    if (kind.bits >= 1024 && kind.bits <= 4096) {
      key = EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", static_cast<std::size_t>(kind.bits));
    }
  } else if (const char* curve = curve_name(kind.bits)) {
    key = EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", curve);
  }
  if (key == nullptr) return dropping_errors(fail(Reason::kKeyGenerationFailed));
  return PrivateKey(key);
}

// RFC 8017 3.2
//    n = p * q;  e * d == 1 (mod lcm(p-1, q-1));  dP = d mod (p-1);  dQ = d mod (q-1);  qInv = q^-1 mod p
Result<PrivateKey> PrivateKey::from_primes(BytesView first, BytesView second) {
  const std::unique_ptr<BN_CTX, Freed<BN_CTX_free>> scratch(BN_CTX_secure_new());
  const auto made = [] { return Number(BN_secure_new()); };
  Number p(BN_bin2bn(first.data(), static_cast<int>(first.size()), nullptr));
  Number q(BN_bin2bn(second.data(), static_cast<int>(second.size()), nullptr));
  if (BN_cmp(p.get(), q.get()) < 0) p.swap(q);
  const Number n = made(), e = made(), d = made(), dp = made(), dq = made(), inverse = made();
  const Number p1 = made(), q1 = made(), product = made(), divisor = made(), multiple = made();
  bool ok = BN_set_word(e.get(), RSA_F4) == 1 && BN_mul(n.get(), p.get(), q.get(), scratch.get()) == 1 &&
            BN_sub(p1.get(), p.get(), BN_value_one()) == 1 && BN_sub(q1.get(), q.get(), BN_value_one()) == 1 &&
            BN_mul(product.get(), p1.get(), q1.get(), scratch.get()) == 1 &&
            BN_gcd(divisor.get(), p1.get(), q1.get(), scratch.get()) == 1 &&
            BN_div(multiple.get(), nullptr, product.get(), divisor.get(), scratch.get()) == 1 &&
            BN_mod_inverse(d.get(), e.get(), multiple.get(), scratch.get()) != nullptr &&
            BN_mod(dp.get(), d.get(), p1.get(), scratch.get()) == 1 &&
            BN_mod(dq.get(), d.get(), q1.get(), scratch.get()) == 1 &&
            BN_mod_inverse(inverse.get(), q.get(), p.get(), scratch.get()) != nullptr;
  if (!ok) return dropping_errors(fail(Reason::kKeyGenerationFailed));

  const std::unique_ptr<OSSL_PARAM_BLD, Freed<OSSL_PARAM_BLD_free>> builder(OSSL_PARAM_BLD_new());
  const auto push = [&](const char* name, const Number& number) {
    return OSSL_PARAM_BLD_push_BN(builder.get(), name, number.get()) == 1;
  };
  ok = push(OSSL_PKEY_PARAM_RSA_N, n) && push(OSSL_PKEY_PARAM_RSA_E, e) && push(OSSL_PKEY_PARAM_RSA_D, d) &&
       push(OSSL_PKEY_PARAM_RSA_FACTOR1, p) && push(OSSL_PKEY_PARAM_RSA_FACTOR2, q) &&
       push(OSSL_PKEY_PARAM_RSA_EXPONENT1, dp) && push(OSSL_PKEY_PARAM_RSA_EXPONENT2, dq) &&
       push(OSSL_PKEY_PARAM_RSA_COEFFICIENT1, inverse);
  if (!ok) return dropping_errors(fail(Reason::kKeyGenerationFailed));
  const std::unique_ptr<OSSL_PARAM, Freed<OSSL_PARAM_free>> parameters(OSSL_PARAM_BLD_to_param(builder.get()));
  const Context context(EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr));
  EVP_PKEY* key = nullptr;
  if (EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_KEYPAIR, parameters.get()) != 1) {
    return dropping_errors(fail(Reason::kKeyGenerationFailed));
  }
  return PrivateKey(key);
}

Result<PrivateKey> PrivateKey::parse(std::string_view pem) {
  EVP_PKEY* key = PEM_read_bio_PrivateKey(reader(pem).get(), nullptr, no_passphrase, nullptr);
  if (key == nullptr) {
    return dropping_errors(fail(Reason::kKeyEncoding, "this is not an unencrypted private key in PEM"));
  }
  return PrivateKey(key);
}

Secret PrivateKey::pem() const {
  const Bio bio(BIO_new(BIO_s_secmem()));
  CAPF_INVARIANT(PEM_write_bio_PKCS8PrivateKey(bio.get(), key_.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return Secret(std::string_view(data, static_cast<std::size_t>(size)));
}

Result<Bytes> PrivateKey::certification_request(const std::string& common_name) const {
  const Request request(X509_REQ_new());
  const auto* name = reinterpret_cast<const unsigned char*>(common_name.data());
  if (X509_REQ_set_version(request.get(), X509_REQ_VERSION_1) != 1 ||
      X509_NAME_add_entry_by_NID(X509_REQ_get_subject_name(request.get()), NID_commonName, MBSTRING_UTF8, name,
                                 static_cast<int>(common_name.size()), -1, 0) != 1 ||
      X509_REQ_set_pubkey(request.get(), key_.get()) != 1 ||
      X509_REQ_sign(request.get(), key_.get(), EVP_sha256()) <= 0) {
    return dropping_errors(fail_internal("the certification request could not be made"));
  }
  return encode(request.get(), i2d_X509_REQ);
}

bool PrivateKey::is_rsa() const { return EVP_PKEY_get_base_id(key_.get()) == EVP_PKEY_RSA; }

// OpenSSL adds no DigestInfo where the context has no digest.
Result<Bytes> PrivateKey::sign_bare(Digest digest, BytesView data) const {
  unsigned char hashed[EVP_MAX_MD_SIZE];
  unsigned int hashed_size = 0;
  const EVP_MD* hash = digest == Digest::kSha1 ? EVP_sha1() : EVP_sha512();
  const Context context(EVP_PKEY_CTX_new(key_.get(), nullptr));
  Bytes signature(static_cast<std::size_t>(EVP_PKEY_get_size(key_.get())));
  std::size_t size = signature.size();
  if (context == nullptr || EVP_Digest(data.data(), data.size(), hashed, &hashed_size, hash, nullptr) != 1 ||
      EVP_PKEY_sign_init(context.get()) != 1 ||
      (is_rsa() && EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_PADDING) != 1) ||
      EVP_PKEY_sign(context.get(), signature.data(), &size, hashed, hashed_size) != 1) {
    return dropping_errors(fail_internal("the proof could not be signed"));
  }
  signature.resize(size);
  return signature;
}

Result<Bytes> PrivateKey::sign(BytesView data) const {
  const std::unique_ptr<EVP_MD_CTX, Freed<EVP_MD_CTX_free>> context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* with = nullptr;
  Bytes signature(static_cast<std::size_t>(EVP_PKEY_get_size(key_.get())));
  std::size_t size = signature.size();
  if (context == nullptr || EVP_DigestSignInit(context.get(), &with, digest_of(key_.get()), nullptr, key_.get()) != 1 ||
      (is_rsa() && (EVP_PKEY_CTX_set_rsa_padding(with, RSA_PKCS1_PSS_PADDING) != 1 ||
                    EVP_PKEY_CTX_set_rsa_pss_saltlen(with, kSaltOctets) != 1)) ||
      EVP_DigestSign(context.get(), signature.data(), &size, data.data(), data.size()) != 1) {
    return dropping_errors(fail_internal("the key did not sign"));
  }
  signature.resize(size);
  return signature;
}

Result<Secret> PrivateKey::decrypt(BytesView encrypted) const {
  const Context context(EVP_PKEY_CTX_new(key_.get(), nullptr));
  Botan::secure_vector<std::uint8_t> plain(static_cast<std::size_t>(EVP_PKEY_get_size(key_.get())));
  std::size_t size = plain.size();
  if (!is_rsa() || context == nullptr || EVP_PKEY_decrypt_init(context.get()) != 1 ||
      EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_PADDING) != 1 ||
      EVP_PKEY_decrypt(context.get(), plain.data(), &size, encrypted.data(), encrypted.size()) != 1) {
    return dropping_errors(fail(Reason::kKeyEncoding));
  }
  plain.resize(size);
  return Secret(std::move(plain));
}

Result<Bytes> generate_prime(int bits) {
  const std::unique_ptr<BN_CTX, Freed<BN_CTX_free>> scratch(BN_CTX_secure_new());
  const Number prime(BN_secure_new());
  // RFC 8017 3.1
  //    e ... with GCD(e, lambda(n)) = 1
  // 65537 is prime, so it must not divide p - 1.
  do {
    if (BN_generate_prime_ex2(prime.get(), bits, 0, nullptr, nullptr, nullptr, scratch.get()) != 1) {
      return dropping_errors(fail(Reason::kKeyGenerationFailed));
    }
  } while (BN_mod_word(prime.get(), RSA_F4) == 1);
  Bytes bytes(static_cast<std::size_t>(BN_num_bytes(prime.get())));
  BN_bn2bin(prime.get(), bytes.data());
  return bytes;
}

Result<CertificateFacts> read_certificate(BytesView der) { return facts_of(decode_certificate(der)); }

// OpenSSL takes a third of a millisecond to decode a key, so each certificate is decoded once.
Result<CertificateFacts> read_issued(BytesView der, BytesView issuer) {
  const Certificate certificate = decode_certificate(der);
  const Certificate above = decode_certificate(issuer);
  if (certificate == nullptr || above == nullptr) return fail(Reason::kInvalidCertificate);
  EVP_PKEY* key = X509_get0_pubkey(above.get());
  if (dropping_errors(key == nullptr || X509_verify(certificate.get(), key) != 1)) {
    return fail(Reason::kInvalidCertificate, "the certificate is not signed by the issuer that came with it");
  }
  return facts_of(certificate);
}

Status check_pair(std::string_view certificate_pem, std::string_view key_pem) {
  CAPF_LET(const auto certificates, parse_certificates(certificate_pem));
  if (certificates.empty()) return fail(Reason::kInvalidCertificate, "there is no certificate in PEM");
  CAPF_TRY(PrivateKey::parse(key_pem));
  const Certificate certificate = decode_certificate(certificates.front());
  if (certificate == nullptr) return fail(Reason::kInvalidCertificate);
  const Key key(PEM_read_bio_PrivateKey(reader(key_pem).get(), nullptr, no_passphrase, nullptr));
  // By what the keys are, not by how they are written: an EC point may be compressed.
  if (dropping_errors(key != nullptr && X509_check_private_key(certificate.get(), key.get()) == 1)) return {};
  return fail(Reason::kInvalidCertificate, "the certificate and the key do not belong together");
}

bool is_signature(const std::string& public_key, BytesView data, BytesView signature) {
  const Bio bio = reader(public_key);
  const Key key(PEM_read_bio_PUBKEY(bio.get(), nullptr, no_passphrase, nullptr));
  const std::unique_ptr<EVP_MD_CTX, Freed<EVP_MD_CTX_free>> context(EVP_MD_CTX_new());
  return dropping_errors(
      key != nullptr && context != nullptr && EVP_PKEY_get_base_id(key.get()) == EVP_PKEY_EC &&
      EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, key.get()) == 1 &&
      EVP_DigestVerify(context.get(), signature.data(), signature.size(), data.data(), data.size()) == 1);
}

Result<std::vector<Bytes>> parse_certificates(std::string_view pem) {
  std::vector<Bytes> certificates;
  const Bio bio = reader(pem);
  while (true) {
    const Certificate certificate(PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr));
    if (certificate == nullptr) break;
    certificates.push_back(encode(certificate.get(), i2d_X509));
  }
  const auto error = ERR_peek_last_error();
  const bool ended = ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  if (!ended) return fail(Reason::kInvalidCertificate);
  return certificates;
}

std::string certificate_pem(BytesView der) { return pem_of("CERTIFICATE", der); }

std::string request_pem(BytesView der) { return pem_of("CERTIFICATE REQUEST", der); }

Result<Bytes> public_key_of_request(BytesView der) {
  const unsigned char* at = der.data();
  const Request request(d2i_X509_REQ(nullptr, &at, static_cast<long>(der.size())));
  EVP_PKEY* key = request == nullptr ? nullptr : X509_REQ_get0_pubkey(request.get());
  if (key == nullptr) return dropping_errors(fail(Reason::kInvalidCertificationRequest));
  return encode(key, i2d_PUBKEY);
}

// The octets as in the file, not encoded again, because the key is identified by their digest.
Result<Bytes> public_key_of_file(std::string_view file) {
  char* label = nullptr;
  char* header = nullptr;
  unsigned char* data = nullptr;
  long size = 0;
  Bytes der(as_bytes(file).begin(), as_bytes(file).end());
  if (PEM_read_bio(reader(file).get(), &label, &header, &data, &size) == 1) der.assign(data, data + size);
  OPENSSL_free(label);
  OPENSSL_free(header);
  OPENSSL_free(data);
  const auto length = static_cast<long>(der.size());
  const unsigned char* at = der.data();
  if (const Certificate certificate(d2i_X509(nullptr, &at, length)); certificate != nullptr) {
    return dropping_errors(encode(X509_get_X509_PUBKEY(certificate.get()), i2d_X509_PUBKEY));
  }
  at = der.data();
  if (const Request request(d2i_X509_REQ(nullptr, &at, length)); request != nullptr) {
    return dropping_errors(encode(X509_REQ_get_X509_PUBKEY(request.get()), i2d_X509_PUBKEY));
  }
  at = der.data();
  const std::unique_ptr<X509_PUBKEY, Freed<X509_PUBKEY_free>> key(d2i_X509_PUBKEY(nullptr, &at, length));
  if (key != nullptr) return dropping_errors(encode(key.get(), i2d_X509_PUBKEY));
  return dropping_errors(
      fail(Reason::kKeyEncoding, "it holds no public key, certificate or PKCS #10 request in PEM or DER"));
}

Result<Bytes> parse_request(std::string_view pem) {
  const Request request(PEM_read_bio_X509_REQ(reader(pem).get(), nullptr, no_passphrase, nullptr));
  if (request == nullptr) return dropping_errors(fail(Reason::kInvalidCertificationRequest));
  return encode(request.get(), i2d_X509_REQ);
}

}  // namespace capf::client
