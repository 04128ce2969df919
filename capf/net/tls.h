#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <openssl/ssl.h>

#include "capf/base/bytes.h"
#include "capf/base/error.h"
#include "capf/base/secret.h"

namespace capf::net {

/// A server's certificate and its key.
struct TlsIdentity {
  Bytes certificates_pem;  ///< the server's own first, then its chain
  Secret key_pem;          ///< PKCS #8, not encrypted
};

struct TlsSettings {
  std::vector<TlsIdentity> identities;  ///< one RSA, one EC, or one of each
  /// Also TLS 1.0 with AES128-SHA and RSA key exchange, for clients without a newer version: 7900 series phones.
  bool legacy_phones = false;
  /// The certificate of a client. Its key is proven in the handshake in any case.
  enum class Client : std::uint8_t {
    kNone,      ///< is not asked for one
    kAsked,     ///< may show one, which is not checked here: only one that costs more than any phone's is refused
    kRequired,  ///< must show one under client_authorities, of any date: the owner reports a wrong date in words
  };
  Client client = Client::kNone;
  Bytes client_authorities_pem;  ///< for kRequired: one at least
  /// The one protocol of ALPN, e.g. "h2": a client that offers only others is refused. One that offers none is let in:
  /// see TlsStream::protocol().
  std::string alpn;
};

struct FreeSslContext {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
struct FreeSsl {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};
using SslContextPtr = std::unique_ptr<SSL_CTX, FreeSslContext>;
using SslPtr = std::unique_ptr<SSL, FreeSsl>;

/// For a server: TLS 1.2 with forward secrecy and TLS 1.3, no session is resumed. Connections share it; a replaced one
/// lives as long as its last connection. Threads: any.
class TlsContext {
 public:
  /// From then on SIGPIPE is ignored, because OpenSSL writes to sockets whose other side may be gone.
  /// Errors: INVALID_CONFIGURATION where a certificate and its key do not fit, two identities have the same kind of
  /// key, legacy phones are allowed without an RSA key, or client authorities are missing or cannot be read.
  static Result<std::shared_ptr<const TlsContext>> make(const TlsSettings& settings);

  SSL_CTX* get() const { return context_.get(); }

 private:
  explicit TlsContext(SslContextPtr context) : context_(std::move(context)) {}
  SslContextPtr context_;
};

/// The certificates that a listener shows to connections from now on. Threads: any.
class CurrentTls {
 public:
  CurrentTls() = default;
  explicit CurrentTls(std::shared_ptr<const TlsContext> tls) : tls_(std::move(tls)) {}

  std::shared_ptr<const TlsContext> get() const {
    const std::lock_guard lock(mutex_);
    return tls_;
  }
  void replace(std::shared_ptr<const TlsContext> tls) {
    const std::lock_guard lock(mutex_);
    tls_ = std::move(tls);
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const TlsContext> tls_;
};

/// The certificates that the client has shown, DER: its own certificate, then its chain as it was sent; ten at most, 32
/// KiB in all. Nothing where it has shown none.
std::vector<Bytes> client_certificates(const SSL* ssl);

}  // namespace capf::net
