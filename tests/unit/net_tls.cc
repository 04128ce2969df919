#include <string>
#include <vector>

#include <botan/ec_group.h>
#include <botan/ecdsa.h>
#include <botan/hash.h>
#include <botan/pkcs8.h>
#include <botan/rsa.h>
#include <botan/system_rng.h>
#include <botan/x509_ca.h>
#include <botan/x509self.h>
#include <catch2/catch.hpp>
#include <openssl/pem.h>

#include "capf/net/tls.h"

// Handshakes in memory: which clients are let in, and which facts of them are known.

namespace {

using namespace capf;
using namespace capf::net;
using Client = TlsSettings::Client;

Botan::RandomNumberGenerator& rng() { return Botan::system_rng(); }
Bytes octets_of(const std::string& text) { return {text.begin(), text.end()}; }
/// SHA-1 by the name that Botan takes for a certificate, which is another one in each of its versions.
std::string sha1_name() { return Botan::HashFunction::create_or_throw("SHA-1")->name(); }

std::shared_ptr<Botan::Private_Key> ec_key() {
  return std::make_shared<Botan::ECDSA_PrivateKey>(rng(), Botan::EC_Group("secp256r1"));
}

/// A certificate and its key; one without an issuer signs itself.
struct Party {
  explicit Party(const std::string& name, std::shared_ptr<Botan::Private_Key> its = ec_key(),
                 const std::string& hash = "SHA-256")
      : key(std::move(its)) {
    Botan::X509_Cert_Options options(name + "/XX/Site");
    options.CA_key();
    certificate.emplace_back(Botan::X509::create_self_signed_cert(options, *key, hash, rng()));
  }
  /// @param end of its validity, from now; may be past.
  Party(const std::string& name, const Party& issuer, std::shared_ptr<Botan::Private_Key> its = ec_key(),
        const std::string& hash = "SHA-256", std::chrono::hours end = std::chrono::hours{24})
      : key(std::move(its)) {
    Botan::X509_Cert_Options options(name + "/XX/Site");
    const auto request = Botan::X509::create_cert_req(options, *key, hash, rng());
    const auto now = std::chrono::system_clock::now();
    Botan::X509_CA authority(issuer.certificate.front(), *issuer.key, hash, rng());
    certificate.push_back(authority.sign_request(request, rng(), Botan::X509_Time(now - std::chrono::hours{48}),
                                                 Botan::X509_Time(now + end)));
    certificate.push_back(issuer.certificate.front());
  }

  Bytes der() const { return certificate.front().BER_encode(); }
  std::string pem() const { return certificate.front().PEM_encode(); }

  std::shared_ptr<Botan::Private_Key> key;
  std::vector<Botan::X509_Certificate> certificate;  ///< its own, then its issuer's
};

TlsSettings settings() {
  static const Party server("server", Party("Server CA"));
  TlsSettings settings;
  settings.identities.push_back({octets_of(server.pem()), Secret(Botan::PKCS8::PEM_encode(*server.key))});
  return settings;
}

/// The client's part of a handshake.
struct Offer {
  int version = TLS1_3_VERSION;
  const Party* party = nullptr;
  std::string alpn;              ///< as it is sent, with lengths
  int copies = 0;                ///< of the issuer's certificate, beyond the one
  const char* groups = nullptr;  ///< for the exchange of keys; null: those of the library
};

struct Shaken {
  bool server = false;
  bool client = false;
  std::vector<Bytes> certificates;  ///< as the server has them
  std::string protocol;
};

void use(SSL_CTX* context, const Offer& offer) {
  const auto pem_of = [](const std::string& text) {
    return BIO_new_mem_buf(text.data(), static_cast<int>(text.size()));
  };
  SSL_CTX_set_security_level(context, 0);  // a phone's own library lets it use the key that it has
  const std::string key_pem = Botan::PKCS8::PEM_encode(*offer.party->key);
  BIO* key_file = pem_of(key_pem);
  EVP_PKEY* const key = PEM_read_bio_PrivateKey(key_file, nullptr, nullptr, nullptr);
  for (std::size_t i = 0; i < offer.party->certificate.size() + static_cast<std::size_t>(offer.copies); ++i) {
    const std::string pem = offer.party->certificate[std::min(i, offer.party->certificate.size() - 1)].PEM_encode();
    BIO* file = pem_of(pem);
    X509* const certificate = PEM_read_bio_X509(file, nullptr, nullptr, nullptr);
    REQUIRE((i == 0 ? SSL_CTX_use_certificate(context, certificate)
                    : static_cast<int>(SSL_CTX_add1_chain_cert(context, certificate))) == 1);
    X509_free(certificate);
    BIO_free(file);
  }
  REQUIRE(SSL_CTX_use_PrivateKey(context, key) == 1);
  EVP_PKEY_free(key);
  BIO_free(key_file);
}

Shaken shake(const TlsSettings& wanted, const Offer& offer) {
  auto context = TlsContext::make(wanted);
  REQUIRE(context);
  const SslPtr server(SSL_new((*context)->get()));
  context->reset();  // a connection may outlive it
  const SslContextPtr own(SSL_CTX_new(TLS_client_method()));
  SSL_CTX_set_max_proto_version(own.get(), offer.version);
  if (offer.groups != nullptr) REQUIRE(SSL_CTX_set1_groups_list(own.get(), offer.groups) == 1);
  if (offer.party != nullptr) use(own.get(), offer);
  const SslPtr client(SSL_new(own.get()));
  if (!offer.alpn.empty()) {
    SSL_set_alpn_protos(client.get(), reinterpret_cast<const unsigned char*>(offer.alpn.data()),
                        static_cast<unsigned>(offer.alpn.size()));
  }
  BIO* one = nullptr;
  BIO* other = nullptr;
  REQUIRE(BIO_new_bio_pair(&one, 1 << 18, &other, 1 << 18) == 1);
  SSL_set_bio(server.get(), one, one);
  SSL_set_bio(client.get(), other, other);
  SSL_set_accept_state(server.get());
  SSL_set_connect_state(client.get());
  Shaken shaken;
  for (int i = 0; i < 6; ++i) {
    shaken.client = SSL_do_handshake(client.get()) == 1;
    shaken.server = SSL_do_handshake(server.get()) == 1;
  }
  char octet = 0;  // in TLS 1.3 the client learns only now that it was refused
  const int got = SSL_read(client.get(), &octet, 1);
  shaken.client = shaken.client && SSL_get_error(client.get(), got) == SSL_ERROR_WANT_READ;
  shaken.certificates = client_certificates(server.get());
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(server.get(), &name, &size);
  shaken.protocol.assign(name, name + size);
  return shaken;
}

constexpr int kVersions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

/// A client that signs its own certificate, whose subject and issuer have so many parts more.
Party with_parts(int count) {
  Botan::X509_Cert_Options options("phone/XX/Site");
  options.CA_key();
  for (int i = 0; i < count; ++i) options.more_org_units.push_back(std::to_string(i));
  Party party("phone");
  party.certificate.front() = Botan::X509::create_self_signed_cert(options, *party.key, "SHA-256", rng());
  return party;
}

}  // namespace

TEST_CASE("a client that is asked shows what it has, old keys and hashes too, and nobody judges it") {
  TlsSettings asked = settings();
  asked.client = Client::kAsked;
  const Party authority("Manufacturer", std::make_shared<Botan::RSA_PrivateKey>(rng(), 2048), sha1_name());
  const Party old("phone", authority, std::make_shared<Botan::RSA_PrivateKey>(rng(), 1024), sha1_name());
  const Party expired("phone", authority, ec_key(), sha1_name(), std::chrono::hours{-24});
  for (const int version : kVersions) {
    for (const Party* party : {&old, &expired}) {
      const Shaken shaken = shake(asked, {version, party});
      CHECK((shaken.server && shaken.client));
      CHECK(shaken.certificates == std::vector{party->der(), authority.der()});
    }
    const Shaken without = shake(asked, {version});
    CHECK((without.server && without.client));
    CHECK(without.certificates.empty());
  }
}

TEST_CASE("who asks no client for a certificate gets none") {
  const Party authority("Manufacturer");
  const Party phone("phone", authority);
  CHECK(shake(settings(), {TLS1_3_VERSION, &phone}).certificates.empty());
}

TEST_CASE("where a certificate is required it is one under the authorities, of any date") {
  const Party authority("Site CA");
  const Party former("Former site CA");
  const Party other("Site CA");
  TlsSettings required = settings();
  required.client = Client::kRequired;
  required.client_authorities_pem = octets_of(authority.pem() + former.pem());
  const Party administrator("admin", authority);
  const Party dismissed("admin", former);
  const Party expired("admin", authority, ec_key(), "SHA-256", std::chrono::hours{-24});
  const Party stranger("admin", other);
  const Party nobody("admin");
  for (const int version : kVersions) {
    for (const Party* party : {&administrator, &dismissed, &expired}) {
      const Shaken shaken = shake(required, {version, party});
      CHECK((shaken.server && shaken.client));
      CHECK(shaken.certificates.at(0) == party->der());
    }
    for (const Party* party : {&stranger, &nobody}) {
      const Shaken shaken = shake(required, {version, party});
      CHECK_FALSE((shaken.server || shaken.client));
    }
    const Shaken without = shake(required, {version});
    CHECK_FALSE((without.server || without.client));
  }
}

TEST_CASE("a chain of more certificates than any phone has is turned away, whoever it is") {
  const Party authority("Site CA");
  const Party phone("phone", authority);
  for (const Client client : {Client::kAsked, Client::kRequired}) {
    TlsSettings wanted = settings();
    wanted.client = client;
    if (client == Client::kRequired) wanted.client_authorities_pem = octets_of(authority.pem());
    for (const int version : kVersions) {
      CHECK(shake(wanted, {version, &phone, {}, 8}).certificates.size() == 10);
      CHECK_FALSE(shake(wanted, {version, &phone, {}, 9}).server);
      CHECK_FALSE(shake(wanted, {version, &phone, {}, 200}).server);  // above 32 KiB
    }
  }
}

TEST_CASE("a certificate that costs more than any phone's is turned away, and one that costs as much is not") {
  TlsSettings asked = settings();
  asked.client = Client::kAsked;
  const Party authority("Manufacturer");
  const auto with_exponent = [&](std::size_t exponent) {
    return Party("phone", authority, std::make_shared<Botan::RSA_PrivateKey>(rng(), 2048, exponent));
  };
  // the primes next to 2^32
  const Party large = with_exponent(4294967291);
  const Party larger = with_exponent(4294967311);
  const Party many = with_parts(100);
  const Party more = with_parts(150);
  for (const int version : kVersions) {
    for (const Party* party : {&large, &many}) CHECK(shake(asked, {.version = version, .party = party}).server);
    for (const Party* party : {&larger, &more}) CHECK_FALSE(shake(asked, {.version = version, .party = party}).server);
  }
}

TEST_CASE("keys are exchanged on curves, which cost little, and over no finite field") {
  for (const char* curve : {"X25519", "P-256", "P-384", "P-521"}) {
    CHECK(shake(settings(), {.version = TLS1_3_VERSION, .groups = curve}).server);
  }
  for (const char* field : {"ffdhe2048", "ffdhe8192"}) {
    CHECK_FALSE(shake(settings(), {.version = TLS1_3_VERSION, .groups = field}).server);
  }
}

TEST_CASE("a client may have a key on any curve of LSCs") {
  TlsSettings asked = settings();
  asked.client = Client::kAsked;
  const Party authority("Manufacturer");
  for (const char* curve : {"secp256r1", "secp384r1", "secp521r1"}) {
    const Party phone("phone", authority, std::make_shared<Botan::ECDSA_PrivateKey>(rng(), Botan::EC_Group(curve)));
    for (const int version : kVersions) {
      const Shaken shaken = shake(asked, {.version = version, .party = &phone});
      CHECK(shaken.certificates == std::vector{phone.der(), authority.der()});
    }
  }
}

TEST_CASE("authorities that are missing or none are refused") {
  TlsSettings required = settings();
  required.client = Client::kRequired;
  const Party authority("Site CA");
  for (const std::string& pem :
       {std::string(), std::string("none"), authority.pem() + authority.pem().substr(0, 200)}) {
    required.client_authorities_pem = octets_of(pem);
    CHECK(TlsContext::make(required).error().reason == Reason::kInvalidConfiguration);
  }
}

TEST_CASE("the one protocol is chosen where it is offered, and others are turned away") {
  TlsSettings h2 = settings();
  h2.alpn = "h2";
  for (const int version : kVersions) {
    for (const char* offered : {"\x02h2", "\x08http/1.1\x02h2", "\x02h2\x08http/1.1"}) {
      const Shaken shaken = shake(h2, {version, nullptr, offered});
      CHECK((shaken.server && shaken.client));
      CHECK(shaken.protocol == "h2");
    }
    for (const char* offered : {"\x08http/1.1", "\x03h2c", "\x01h"})
      CHECK_FALSE(shake(h2, {version, nullptr, offered}).server);
    const Shaken none = shake(h2, {version});
    CHECK((none.server && none.client));
    CHECK(none.protocol.empty());
  }
  CHECK(shake(settings(), {TLS1_3_VERSION, nullptr, "\x02h2"}).protocol.empty());
}
