#include <cstdlib>
#include <cstring>
#include <string>

#include <catch2/catch.hpp>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "capf/daemon/notify.h"
#include "tests/support/folder.h"

namespace {

TEST_CASE("the service manager hears that the server is ready") {
  const capf::test::Folder folder;
  const std::string path = (folder.path() / "notify").string();
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  REQUIRE(fd >= 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  REQUIRE(path.size() < sizeof address.sun_path);
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  REQUIRE(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
  capf::daemon::notify_service_manager("READY=1");
  ::unsetenv("NOTIFY_SOCKET");
  char data[32];
  const ssize_t size = ::recv(fd, data, sizeof data, 0);
  ::close(fd);
  REQUIRE(size == 7);
  CHECK(std::string(data, 7) == "READY=1");
}

TEST_CASE("without a service manager nothing is told") {
  ::unsetenv("NOTIFY_SOCKET");
  capf::daemon::notify_service_manager("READY=1");
}

}  // namespace
