#include "capf/net/tls.h"

#include <csignal>
#include <string>
#include <utility>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "capf/base/handle.h"

namespace capf::net {
namespace {

constexpr const char* kCiphers =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
// The only suite of 7900 series phones.
constexpr const char* kLegacyCiphers = "AES128-SHA";
// OpenSSL's own list has the finite fields of RFC 7919 too, which TLS 1.3 would use: one ClientHello of 1.2 KiB with
// ffdhe8192 costs a tenth of a second of a processor, before anything is known of the client. For TLS 1.2 the list is
// also that of the curves that clients' certificates may have: those of LSCs.
constexpr const char* kGroups = "X25519:P-256:P-384:P-521";

using BioPtr = std::unique_ptr<BIO, Freed<BIO_free>>;
using PkeyPtr = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using X509Ptr = std::unique_ptr<X509, Freed<X509_free>>;

tl::unexpected<Error> refuse(std::string words) {
  char cause[200];
  ERR_error_string_n(ERR_peek_last_error(), cause, sizeof cause);
  ERR_clear_error();
  return fail(Reason::kInvalidConfiguration, std::move(words), cause);
}

BioPtr reader(BytesView data) { return BioPtr(BIO_new_mem_buf(data.data(), static_cast<int>(data.size()))); }

/// Keeps OpenSSL from asking on the terminal for a passphrase.
int no_passphrase(char*, int, int, void*) { return -1; }

Status use_identity(SSL_CTX* context, const TlsIdentity& identity) {
  const BioPtr key_file = reader(identity.key_pem.view());
  const PkeyPtr key(PEM_read_bio_PrivateKey(key_file.get(), nullptr, no_passphrase, nullptr));
  if (!key) return refuse("the TLS key cannot be read");
  const BioPtr file = reader(identity.certificates_pem);
  const X509Ptr leaf(PEM_read_bio_X509(file.get(), nullptr, no_passphrase, nullptr));
  if (!leaf) return refuse("the TLS certificate cannot be read");
  if (SSL_CTX_use_certificate(context, leaf.get()) != 1 || SSL_CTX_use_PrivateKey(context, key.get()) != 1 ||
      SSL_CTX_check_private_key(context) != 1) {
    return refuse("the TLS certificate and its key do not fit");
  }
  while (X509Ptr issuer{PEM_read_bio_X509(file.get(), nullptr, no_passphrase, nullptr)}) {
    if (SSL_CTX_add1_chain_cert(context, issuer.get()) != 1)
      return refuse("the TLS certificate's chain cannot be used");
  }
  ERR_clear_error();  // the end of the file
  return {};
}

int key_kind(const TlsIdentity& identity) {
  const BioPtr file = reader(identity.key_pem.view());
  const PkeyPtr key(PEM_read_bio_PrivateKey(file.get(), nullptr, no_passphrase, nullptr));
  ERR_clear_error();
  return key ? EVP_PKEY_get_base_id(key.get()) : EVP_PKEY_NONE;
}

/// The most octets of a client's chain: far more than any phone's.
constexpr long kLongestChain = 1 << 15;
constexpr int kMostCertificates = 10;
/// Extensions, and parts of names, of all certificates together. OpenSSL keeps some 170 octets for each as long as the
/// connection lasts, and each may have as few as 7 in the chain.
constexpr int kMostParts = 256;
/// A client's key: the moduli and exponents that ca::read_spki() takes.
constexpr int kMostRsaBits = 4096;
constexpr int kMostExponentBits = 32;

int parts_of(const X509* certificate) {
  return X509_get_ext_count(certificate) + X509_NAME_entry_count(X509_get_subject_name(certificate)) +
         X509_NAME_entry_count(X509_get_issuer_name(certificate));
}

/// Whether the server can check a signature of the key in about the time that it takes for its own. It does so before
/// anybody knows the client, who may choose the numbers: an exponent of 3,072 bits takes a hundred times as long.
bool is_costly(const EVP_PKEY* key) {
  const int kind = EVP_PKEY_get_base_id(key);
  if (kind == EVP_PKEY_EC || kind == EVP_PKEY_ED25519 || kind == EVP_PKEY_ED448) return false;
  if ((kind != EVP_PKEY_RSA && kind != EVP_PKEY_RSA_PSS) || EVP_PKEY_get_bits(key) > kMostRsaBits) return true;
  BIGNUM* read = nullptr;
  const bool known = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &read) == 1;
  const std::unique_ptr<BIGNUM, Freed<BN_free>> exponent(read);
  return !known || BN_num_bits(exponent.get()) > kMostExponentBits;
}

/// The error of a chain that would cost more memory or time than a stranger may; X509_V_OK for any other.
int cost_fault(X509_STORE_CTX* shown) {
  const STACK_OF(X509)* const chain = X509_STORE_CTX_get0_untrusted(shown);
  if (sk_X509_num(chain) > kMostCertificates) return X509_V_ERR_CERT_CHAIN_TOO_LONG;
  int parts = 0;
  for (int i = 0; i < sk_X509_num(chain); ++i) parts += parts_of(sk_X509_value(chain, i));
  const EVP_PKEY* const key = X509_get0_pubkey(X509_STORE_CTX_get0_cert(shown));
  const bool costs = parts > kMostParts || (key != nullptr && is_costly(key));
  return costs ? X509_V_ERR_CERT_REJECTED : X509_V_OK;
}

/// Accepts any chain that costs no more than a phone's: the handshake proves only that the client has the key.
int take_any(X509_STORE_CTX* shown, void*) {
  const int fault = cost_fault(shown);
  X509_STORE_CTX_set_error(shown, fault);
  return fault == X509_V_OK ? 1 : 0;
}

int take_known(X509_STORE_CTX* shown, void*) { return take_any(shown, nullptr) == 1 ? X509_verify_cert(shown) : 0; }

Status use_authorities(SSL_CTX* context, BytesView pem) {
  X509_STORE* const store = SSL_CTX_get_cert_store(context);
  const BioPtr file = reader(pem);
  int count = 0;
  while (X509Ptr authority{PEM_read_bio_X509(file.get(), nullptr, no_passphrase, nullptr)}) {
    if (X509_STORE_add_cert(store, authority.get()) != 1) return refuse("a client authority cannot be used");
    ++count;
  }
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  if (count == 0 || !at_end) return refuse("the client authorities cannot be read");
  ERR_clear_error();
  X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context), X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_NO_CHECK_TIME);
  return {};
}

Status ask_clients(SSL_CTX* context, const TlsSettings& settings) {
  using Client = TlsSettings::Client;
  SSL_CTX_set_max_cert_list(context, kLongestChain);
  switch (settings.client) {
    case Client::kNone: SSL_CTX_set_verify(context, SSL_VERIFY_NONE, nullptr); break;
    case Client::kAsked:
      SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
      SSL_CTX_set_cert_verify_callback(context, take_any, nullptr);
      break;
    case Client::kRequired:
      CAPF_TRY(use_authorities(context, settings.client_authorities_pem));
      SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
      SSL_CTX_set_cert_verify_callback(context, take_known, nullptr);
      break;
  }
  return {};
}

// Frees the protocol's name with OpenSSL's context, because a connection may outlive its TlsContext, but never that.
void free_name(void*, void* name, CRYPTO_EX_DATA*, int, long, void*) { delete static_cast<std::string*>(name); }

int name_index() {
  static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, free_name);
  return index;
}

/// RFC 7301 3.2
///    In the event that the server supports no protocols that the client advertises, then the server SHALL respond with
///    a fatal "no_application_protocol" alert.
int choose_protocol(SSL* ssl, const unsigned char** chosen, unsigned char* size, const unsigned char* offered,
                    unsigned offered_size, void*) {
  const auto* const name = static_cast<const std::string*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), name_index()));
  for (unsigned at = 0; at < offered_size; at += 1U + offered[at]) {
    const unsigned length = offered[at];
    if (length > offered_size - at - 1) break;
    if (as_text(BytesView(offered + at + 1, length)) != *name) continue;
    *chosen = offered + at + 1;
    *size = offered[at];
    return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/// The newest version that the client offers. RFC 8446 4.2.1: supported_versions where it is sent, legacy_version
/// otherwise.
bool offers_tls_1_2(SSL* ssl) {
  const unsigned char* data = nullptr;
  std::size_t size = 0;
  if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_supported_versions, &data, &size) != 1) {
    return SSL_client_hello_get0_legacy_version(ssl) >= TLS1_2_VERSION;
  }
  for (std::size_t at = 1; at + 1 < size; at += 2) {
    const int version = data[at] << 8 | data[at + 1];
    if (version == TLS1_2_VERSION || version == TLS1_3_VERSION) return true;
  }
  return false;
}

/// Whether the client offers an old version because a newer one has failed: the suite TLS_FALLBACK_SCSV of RFC 7507.
bool falls_back(SSL* ssl) {
  const unsigned char* data = nullptr;
  const std::size_t size = SSL_client_hello_get0_ciphers(ssl, &data);
  for (std::size_t at = 0; at + 1 < size; at += 2) {
    if (data[at] == 0x56 && data[at + 1] == 0x00) return true;
  }
  return false;
}

/// Admits RSA key exchange and SHA-1 in TLS 1.0 alone, and TLS 1.0 only for clients without a newer version.
int admit_legacy(SSL* ssl, int* alert, void*) {
  if (offers_tls_1_2(ssl)) return SSL_CLIENT_HELLO_SUCCESS;
  // RFC 7507 3
  //    If TLS_FALLBACK_SCSV appears in ClientHello.cipher_suites and the highest protocol version supported by the
  //    server is higher than the version indicated in ClientHello.client_version, the server MUST respond with a fatal
  //    inappropriate_fallback alert
  // OpenSSL would not, because TLS 1.0 is the highest version of this connection from here on.
  if (falls_back(ssl)) {
    *alert = SSL_AD_INAPPROPRIATE_FALLBACK;
    return SSL_CLIENT_HELLO_ERROR;
  }
  SSL_set_security_level(ssl, 0);
  if (SSL_set_min_proto_version(ssl, TLS1_VERSION) == 1 && SSL_set_max_proto_version(ssl, TLS1_VERSION) == 1 &&
      SSL_set_cipher_list(ssl, kLegacyCiphers) == 1) {
    return SSL_CLIENT_HELLO_SUCCESS;
  }
  *alert = SSL_AD_INTERNAL_ERROR;
  return SSL_CLIENT_HELLO_ERROR;
}

}  // namespace

Result<std::shared_ptr<const TlsContext>> TlsContext::make(const TlsSettings& settings) {
  if (settings.identities.empty()) return fail(Reason::kInvalidConfiguration, "a TLS server needs a certificate");
  ::signal(SIGPIPE, SIG_IGN);
  SslContextPtr context(SSL_CTX_new(TLS_server_method()));
  if (!context || SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION) != 1 ||
      SSL_CTX_set_cipher_list(context.get(), kCiphers) != 1 || SSL_CTX_set1_groups_list(context.get(), kGroups) != 1) {
    return refuse("TLS cannot be set up");
  }
  // A message is one record: without the last option OpenSSL puts an empty record before each one of TLS 1.0, and
  // phones stall at that.
  SSL_CTX_set_options(context.get(), SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                         SSL_OP_NO_COMPRESSION | SSL_OP_DONT_INSERT_EMPTY_FRAGMENTS);
  SSL_CTX_set_num_tickets(context.get(), 0);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_read_ahead(context.get(), 1);  // a record's head and its body in one call of the system
  CAPF_TRY(ask_clients(context.get(), settings));
  if (!settings.alpn.empty()) {
    auto name = std::make_unique<std::string>(settings.alpn);
    if (SSL_CTX_set_ex_data(context.get(), name_index(), name.get()) != 1) return refuse("TLS cannot be set up");
    static_cast<void>(name.release());  // the context has it now
    SSL_CTX_set_alpn_select_cb(context.get(), choose_protocol, nullptr);
  }

  bool has_rsa = false;
  bool has_ec = false;
  for (const TlsIdentity& identity : settings.identities) {
    bool& has = key_kind(identity) == EVP_PKEY_RSA ? has_rsa : has_ec;
    if (std::exchange(has, true)) {
      return fail(Reason::kInvalidConfiguration, "a TLS server has one RSA and one EC certificate at most");
    }
    CAPF_TRY(use_identity(context.get(), identity));
  }
  if (settings.legacy_phones) {
    if (!has_rsa) return fail(Reason::kInvalidConfiguration, "legacy_phones needs an RSA certificate");
    SSL_CTX_set_client_hello_cb(context.get(), admit_legacy, nullptr);
  }
  return std::shared_ptr<const TlsContext>(new TlsContext(std::move(context)));
}

std::vector<Bytes> client_certificates(const SSL* ssl) {
  std::vector<Bytes> all;
  const auto add = [&all](X509* certificate) {
    unsigned char* data = nullptr;
    const int size = i2d_X509(certificate, &data);
    if (size <= 0) return;
    all.emplace_back(data, data + size);
    OPENSSL_free(data);
  };
  X509* const own = SSL_get0_peer_certificate(ssl);
  if (own == nullptr) return all;
  add(own);
  const STACK_OF(X509)* const others = SSL_get_peer_cert_chain(ssl);  // on a server without the leaf
  for (int i = 0; i < sk_X509_num(others); ++i) add(sk_X509_value(others, i));
  return all;
}

}  // namespace capf::net
