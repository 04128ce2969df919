#pragma once

#include <cerrno>
#include <cstdint>
#include <memory>
#include <string>

#include <arpa/inet.h>
#include <botan/pk_keys.h>
#include <botan/pkcs8.h>
#include <botan/system_rng.h>
#include <botan/x509self.h>
#include <catch2/catch.hpp>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include "capf/base/bytes.h"
#include "capf/base/descriptor.h"
#include "capf/base/handle.h"
#include "capf/base/secret.h"
#include "capf/net/tls.h"

// The other side of a listener on loopback: OpenSSL, which blocks.

namespace capf::test {

/// A certificate that its own key has signed. @param name as Botan takes it: "tvs.example.org/XX/Site".
inline net::TlsIdentity identity_of(const std::string& name, const Botan::Private_Key& key) {
  const Botan::X509_Cert_Options options(name);
  const auto certificate = Botan::X509::create_self_signed_cert(options, key, "SHA-256", Botan::system_rng());
  const std::string pem = certificate.PEM_encode();
  return {Bytes(pem.begin(), pem.end()), Secret(Botan::PKCS8::PEM_encode(key))};
}

/// @param from the last octet of a loopback address that the connection comes from.
inline Descriptor connect_to(int port, std::uint32_t from = 1) {
  Descriptor fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval patience{60, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(0x7F000000 + from);
  REQUIRE(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  return fd;
}

/// Whether the other side closes without sending anything.
inline bool is_closed(const Descriptor& fd) {
  char octet = 0;
  const ssize_t got = ::recv(fd.get(), &octet, 1, 0);
  return got == 0 || (got < 0 && errno != EAGAIN);
}

struct ClientOptions {
  int version = 0;  ///< 0: the best
  const char* ciphers = nullptr;
  std::uint32_t from = 1;
  const net::TlsIdentity* shows = nullptr;
  bool falls_back = false;  ///< says that a newer version has failed
};

/// A connection whose handshake is over, well or not.
class TlsClient {
 public:
  explicit TlsClient(int port, ClientOptions options = {})
      : fd_(connect_to(port, options.from)), context_(SSL_CTX_new(TLS_client_method())) {
    SSL_CTX_set_security_level(context_.get(), 0);
    SSL_CTX_set_min_proto_version(context_.get(), options.version == 0 ? TLS1_VERSION : options.version);
    SSL_CTX_set_max_proto_version(context_.get(), options.version);
    if (options.ciphers) SSL_CTX_set_cipher_list(context_.get(), options.ciphers);
    if (options.shows) show(*options.shows);
    if (options.falls_back) SSL_CTX_set_mode(context_.get(), SSL_MODE_SEND_FALLBACK_SCSV);
    ssl_.reset(SSL_new(context_.get()));
    SSL_set_fd(ssl_.get(), fd_.get());
    shaken_ = SSL_connect(ssl_.get()) == 1;
  }

  bool shaken() const { return shaken_; }
  SSL* ssl() { return ssl_.get(); }
  void say_octets(BytesView octets) {
    REQUIRE(SSL_write(ssl_.get(), octets.data(), static_cast<int>(octets.size())) > 0);
  }
  /// One record; nothing where the server has closed.
  Bytes hear_octets() {
    Bytes octets(16384);
    const int got = SSL_read(ssl_.get(), octets.data(), static_cast<int>(octets.size()));
    octets.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return octets;
  }

 private:
  void show(const net::TlsIdentity& identity) {
    using BioPtr = std::unique_ptr<BIO, Freed<BIO_free>>;
    const auto bio = [](BytesView data) { return BioPtr(BIO_new_mem_buf(data.data(), static_cast<int>(data.size()))); };
    const std::unique_ptr<X509, Freed<X509_free>> certificate(
        PEM_read_bio_X509(bio(identity.certificates_pem).get(), nullptr, nullptr, nullptr));
    const std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>> key(
        PEM_read_bio_PrivateKey(bio(identity.key_pem.view()).get(), nullptr, nullptr, nullptr));
    REQUIRE(SSL_CTX_use_certificate(context_.get(), certificate.get()) == 1);
    REQUIRE(SSL_CTX_use_PrivateKey(context_.get(), key.get()) == 1);
  }

  Descriptor fd_;
  net::SslContextPtr context_;
  net::SslPtr ssl_;
  bool shaken_ = false;
};

}  // namespace capf::test
