#include <csignal>

#include <arpa/inet.h>
#include <botan/system_rng.h>
#include <sys/socket.h>
#include <unistd.h>

#include "capf/web/publication.h"
#include "tests/support/folder.h"
#include "tests/support/no_database.h"

using namespace capf;

namespace {

/// The port of relying parties on loopback, with one certificate and no CRL.
struct Port {
  Port() {
    std::signal(SIGPIPE, SIG_IGN);
    web::ServerSettings settings{.addresses = {"127.0.0.1:0"}, .threads = 1};
    settings.largest_body = 256;
    const web::Publication publication{*crls,
                                       [](std::int64_t id) {
                                         return id == 1 ? std::optional(Bytes{0x30, 0x00}) : std::nullopt;
                                       },
                                       responder, std::chrono::seconds{60}, metrics};
    server = *web::Server::start_later(settings, web::publication_route(publication));
  }

  test::Folder folder;
  std::unique_ptr<service::PublishedCrls> crls = *service::PublishedCrls::open(folder.path() / "crls");
  Metrics metrics;
  test::NoDatabase database;
  SystemClock clock;
  service::HighWater high_water;
  service::Responder responder{database, *crls, high_water, clock, Botan::system_rng(), {.threads = 0, .queue = 0}};
  std::unique_ptr<web::Server> server;
};

}  // namespace

// Sends the input and its end, and reads until the server has closed the connection.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Port port;
  const int link = ::socket(AF_INET, SOCK_STREAM, 0);
  CAPF_INVARIANT(link >= 0);
  const linger at_once{1, 0};  // without it the ports of ended connections run out
  ::setsockopt(link, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port.server->port()));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  CAPF_INVARIANT(::connect(link, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  for (std::size_t sent = 0; sent < size;) {
    const ssize_t count = ::send(link, data + sent, size - sent, 0);
    if (count <= 0) break;  // the server takes no more
    sent += static_cast<std::size_t>(count);
  }
  ::shutdown(link, SHUT_WR);
  std::string answer;
  char piece[4096];
  for (ssize_t count = 0; (count = ::recv(link, piece, sizeof piece, 0)) > 0;) {
    answer.append(piece, static_cast<std::size_t>(count));
  }
  ::close(link);
  CAPF_INVARIANT(answer.empty() || answer.starts_with("HTTP/1.1 "));
  return 0;
}
