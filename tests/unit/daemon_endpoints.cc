#include <fstream>
#include <iterator>

#include <catch2/catch.hpp>

#include "capf/daemon/endpoints.h"
#include "tests/support/folder.h"

namespace {

using namespace capf::daemon;

TEST_CASE("a listener on every address is dialled on loopback") {
  CHECK(dial_address({"0.0.0.0:3805", "[::]:3805"}) == "127.0.0.1:3805");
  CHECK(dial_address({"[::]:3805"}) == "[::1]:3805");
  CHECK(dial_address({"192.0.2.1:3805"}) == "192.0.2.1:3805");
  CHECK(dial_address({"[2001:db8::1]:3805"}) == "[2001:db8::1]:3805");
}

TEST_CASE("the endpoints name what listens, and nothing else") {
  Endpoints endpoints;
  endpoints.phone = "127.0.0.1:3805";
  endpoints.metrics = "[::1]:3809";
  endpoints.calls = "127.0.0.1:3813";
  endpoints.tvs = "127.0.0.1:3812";
  endpoints.files = "127.0.0.1:3810";
  endpoints.files_tls = "127.0.0.1:3811";
  CHECK(endpoints.ready_line() ==
        "capfd ready phone=127.0.0.1:3805 metrics=[::1]:3809 calls=127.0.0.1:3813 "
        "tvs=127.0.0.1:3812 files=127.0.0.1:3810 files_tls=127.0.0.1:3811");
  CHECK(endpoints.json(123) ==
        "{\"pid\":123,\"phone\":\"127.0.0.1:3805\",\"metrics\":\"[::1]:3809\",\"calls\":\"127.0.0.1:3813\",\"tvs\":"
        "\"127.0.0.1:3812\",\"files\":\"127.0.0.1:3810\",\"files_tls\":\"127.0.0.1:3811\"}\n");
}

TEST_CASE("the endpoints' file replaces one that was left, and goes when the server stops") {
  const capf::test::Folder folder;
  const auto path = folder.path() / "endpoints.json";
  std::ofstream(path) << "old";
  std::ofstream(path.string() + ".new") << "half";
  {
    const auto file = EndpointsFile::write(path, Endpoints{.phone = "127.0.0.1:1", .admin = {}, .metrics = {}});
    REQUIRE(file);
    std::ifstream in(path);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    CHECK_THAT(text, Catch::Contains("\"phone\":\"127.0.0.1:1\""));
  }
  CHECK(std::filesystem::is_empty(folder.path()));
}

TEST_CASE("IPv6 addresses with a port stand in brackets") {
  CHECK(with_port("::1", 3806) == "[::1]:3806");
  CHECK(with_port("127.0.0.1", 0) == "127.0.0.1:0");
}

}  // namespace
