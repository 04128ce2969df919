#include <botan/system_rng.h>
#include <catch2/catch.hpp>
#include <openssl/pem.h>

#include "capf/ca/openssl.h"
#include "capf/net/asio.h"
#include "capf/web/publication.h"
#include "tests/support/crl.h"
#include "tests/support/folder.h"
#include "tests/support/no_database.h"

using namespace capf;
using namespace capf::test;
using namespace capf::web;

namespace {

namespace asio = capf::net::asio;

/// A server with one CRL of one shard.
struct Publisher {
  explicit Publisher(unsigned entries, std::chrono::milliseconds timeout = std::chrono::seconds{20}) {
    std::vector<Revocation> revoked;
    for (unsigned i = 0; i < entries; ++i) {
      const Bytes serial{0x40, static_cast<std::uint8_t>(i >> 16), static_cast<std::uint8_t>(i >> 8),
                         static_cast<std::uint8_t>(i)};
      revoked.push_back({SerialNumber(serial), test_now(), RevocationReason::kSuperseded});
    }
    if (!write_crl(crls->path_aside({3, 0}), revoked) || !crls->take({3, 0})) throw std::runtime_error("no CRL");
    ServerSettings settings{.addresses = {"127.0.0.1:0"}, .threads = 1};
    settings.timeout = timeout;
    const Publication publication{*crls, certificate, responder, std::chrono::seconds{60}, metrics};
    server = value_of(Server::start_later(settings, publication_route(publication)));
  }

  std::string talk(const std::string& text) const {
    asio::io_context context;
    asio::ip::tcp::socket socket(context);
    socket.connect({asio::ip::make_address("127.0.0.1"), static_cast<std::uint16_t>(server->port())});
    boost::system::error_code error;
    asio::write(socket, asio::buffer(text), error);
    std::string answer;
    asio::read(socket, asio::dynamic_buffer(answer), error);
    return answer;
  }
  std::string get(const std::string& path, const std::string& headers = {}, const std::string& method = "GET") const {
    return talk(method + ' ' + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + headers + "\r\n");
  }

  Folder folder;
  std::unique_ptr<service::PublishedCrls> crls = value_of(service::PublishedCrls::open(folder.path() / "crls"));
  std::function<std::optional<Bytes>(std::int64_t)> certificate = [](std::int64_t id) -> std::optional<Bytes> {
    if (id != 3) return std::nullopt;
    return crl_issuer().der;
  };
  Metrics metrics;
  NoDatabase database;
  SystemClock clock;
  service::HighWater high_water;
  service::Responder responder{database, *crls, high_water, clock, Botan::system_rng(), {}};
  std::unique_ptr<Server> server;
};

std::string body_of(const std::string& answer) { return answer.substr(answer.find("\r\n\r\n") + 4); }

std::string header_of(const std::string& answer, const std::string& name) {
  const std::size_t at = answer.find("\r\n" + name + ": ");
  if (at == std::string::npos) return "absent";
  const std::size_t begin = at + name.size() + 4;
  return answer.substr(begin, answer.find("\r\n", begin) - begin);
}

bool has_status(const std::string& answer, int status) {
  return answer.starts_with("HTTP/1.1 " + std::to_string(status) + " ");
}

}  // namespace

TEST_CASE("a CRL is served as it stands on disk, and in PEM, whatever its size") {
  const unsigned entries = GENERATE(0u, 1u, 7000u);
  const Publisher publisher(entries);
  const Bytes file = file_bytes(publisher.crls->path({3, 0}));
  const std::string der = publisher.get("/crl/3/0.crl");
  CHECK(has_status(der, 200));
  CHECK(header_of(der, "Content-Type") == "application/pkix-crl");
  CHECK(header_of(der, "Content-Length") == std::to_string(file.size()));
  CHECK(header_of(der, "Cache-Control") == "public, max-age=60");
  CHECK(header_of(der, "Last-Modified") == "Mon, 01 Jun 2026 12:00:00 GMT");
  CHECK(body_of(der) == as_text(file));

  const std::string pem = publisher.get("/crl/3/0.pem");
  CHECK(header_of(pem, "Content-Length") == std::to_string(body_of(pem).size()));
  CHECK(body_of(publisher.get("/crl/3/0.crl", "Accept: application/x-pem-file\r\n")) == body_of(pem));
  CHECK(header_of(pem, "ETag") != header_of(der, "ETag"));
  // The way that openssl writes the same.
  const unsigned char* at = file.data();
  const std::unique_ptr<X509_CRL, capf::Freed<X509_CRL_free>> crl(
      d2i_X509_CRL(nullptr, &at, static_cast<long>(file.size())));
  const ca::BioPtr out(BIO_new(BIO_s_mem()));
  REQUIRE(PEM_write_bio_X509_CRL(out.get(), crl.get()) == 1);
  char* text = nullptr;
  const long size = BIO_get_mem_data(out.get(), &text);
  CHECK(body_of(pem) == std::string(text, static_cast<std::size_t>(size)));
}

TEST_CASE("whoever has a CRL already hears so, and HEAD has no body") {
  const Publisher publisher(3);
  const std::string tag = header_of(publisher.get("/crl/3/0.crl"), "ETag");
  const std::string again = publisher.get("/crl/3/0.crl", "If-None-Match: \"other\", " + tag + "\r\n");
  CHECK(has_status(again, 304));
  CHECK(body_of(again).empty());
  CHECK(header_of(again, "ETag") == tag);
  CHECK(has_status(publisher.get("/crl/3/0.crl", "If-None-Match: \"other\"\r\n"), 200));
  const std::string head = publisher.get("/crl/3/0.crl", "", "HEAD");
  CHECK(has_status(head, 200));
  CHECK(body_of(head).empty());
  CHECK(header_of(head, "Content-Length") == std::to_string(publisher.crls->find({3, 0})->size));
}

TEST_CASE("a connection serves on after a large answer") {
  const Publisher publisher(7000);
  const std::string answer = publisher.talk(
      "GET /crl/3/0.crl HTTP/1.1\r\nHost: x\r\n\r\nGET /ca/3.cer HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const std::string second = answer.substr(answer.find("HTTP/1.1", 1));
  CHECK(body_of(second) == as_text(crl_issuer().der));
}

TEST_CASE("an issuer's certificate is served in DER and PEM") {
  const Publisher publisher(0);
  const std::string der = publisher.get("/ca/3.cer");
  CHECK(header_of(der, "Content-Type") == "application/pkix-cert");
  CHECK(body_of(der) == as_text(crl_issuer().der));
  CHECK(body_of(publisher.get("/ca/3.pem")) == ca::to_pem(crl_issuer().der));
  CHECK(has_status(publisher.get("/ca/4.cer"), 404));
}

TEST_CASE("a path leads nowhere but to what is published") {
  const Publisher publisher(0);
  for (const char* path : {"/",
                           "/crl",
                           "/crl/",
                           "/crl/3",
                           "/crl/3/",
                           "/crl/3/0",
                           "/crl/3/1.crl",
                           "/crl/4/0.crl",
                           "/crl/03/0.crl",
                           "/crl/3/-0.crl",
                           "/crl/3/0.crl/",
                           "/crl/3/0.crl.new",
                           "/crl/../crl/3/0.crl",
                           "/crl/3/../3/0.crl",
                           "/crl/3/..%2f..%2fkeys/issuer-1.key",
                           "/../keys/issuer-1.key",
                           "/crl/%33/0.crl",
                           "/crl/99999999999999999999/0.crl",
                           "/crl/3/0.crl%00",
                           "//crl/3/0.crl",
                           "/ca/3.crl",
                           "/ca/3",
                           "/keys/issuer-1.key",
                           "/metrics"}) {
    CAPTURE(path);
    CHECK(has_status(publisher.get(path), 404));
  }
  CHECK(has_status(publisher.get("/crl/3/0.crl", "", "POST"), 405));
  CHECK(has_status(publisher.get("/crl/3/0.crl", "", "DELETE"), 405));
}

TEST_CASE("what is no request for a status gets an answer that says so") {
  const Publisher publisher(0);
  const auto malformed = [](const std::string& answer) {
    return has_status(answer, 200) && header_of(answer, "Content-Type") == "application/ocsp-response" &&
           header_of(answer, "Cache-Control") == "no-store" && to_hex(as_bytes(body_of(answer))) == "30030a0101";
  };
  for (const char* path : {"/ocsp", "/ocsp/", "/ocsp/!", "/ocsp/%", "/ocsp/%2", "/ocsp/%zz", "/ocsp/AAAA",
                           "/ocsp/MAA=", "/ocsp/../crl/3/0.crl"}) {
    CAPTURE(path);
    CHECK(malformed(publisher.get(path)));
  }
  CHECK(has_status(publisher.get("/ocsp", "", "DELETE"), 405));
  CHECK(has_status(publisher.get("/ocsp/MAA=", "", "POST"), 405));
  CHECK(has_status(publisher.get("/ocspx"), 404));
}

TEST_CASE("who sends or takes too slowly is cut off") {
  const Publisher publisher(200000, std::chrono::milliseconds{300});
  asio::io_context context;
  const auto connect = [&](int buffer) {
    asio::ip::tcp::socket socket(context);
    socket.open(asio::ip::tcp::v4());
    if (buffer != 0) socket.set_option(asio::socket_base::receive_buffer_size(buffer));
    socket.connect({asio::ip::make_address("127.0.0.1"), static_cast<std::uint16_t>(publisher.server->port())});
    return socket;
  };
  boost::system::error_code error;
  std::string nothing;
  SECTION("a request that does not end") {
    auto socket = connect(0);
    asio::write(socket, asio::buffer(std::string("GET /crl/3/0.crl HT")), error);
    CHECK(asio::read(socket, asio::dynamic_buffer(nothing), error) == 0);
  }
  SECTION("an answer that nobody takes") {
    auto socket = connect(4096);
    asio::write(socket, asio::buffer(std::string("GET /crl/3/0.crl HTTP/1.1\r\nHost: x\r\n\r\n")), error);
    // The connection's end frees its place for another one.
    const std::string whole = publisher.get("/crl/3/0.crl");
    CHECK(body_of(whole).size() == publisher.crls->find({3, 0})->size);
    for (int i = 0; i < 1000 && !error; ++i) {
      asio::steady_timer timer(context, std::chrono::milliseconds{1});
      timer.wait();
      std::array<char, 1> octet{};
      if (i % 50 == 49) asio::read(socket, asio::buffer(octet), error);
    }
    asio::read(socket, asio::dynamic_buffer(nothing), error);
    CHECK(nothing.size() < publisher.crls->find({3, 0})->size);
  }
}
