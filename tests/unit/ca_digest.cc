#include <sstream>

#include <botan/hash.h>
#include <botan/hex.h>
#include <catch2/catch.hpp>

#include "capf/ca/digest.h"
#include "tests/support/data.h"

using namespace capf;
using namespace capf::test;

namespace {

std::vector<std::string> cells_of(const std::string& line) {
  std::vector<std::string> cells;
  std::istringstream in(line);
  for (std::string cell; std::getline(in, cell, '\t');) cells.push_back(cell);
  return cells;
}

std::string hash(const std::string& algorithm, const std::string& text) {
  const auto digest = Botan::HashFunction::create_or_throw(algorithm)->process(text);
  return Botan::hex_encode(digest.data(), digest.size(), false);
}

}  // namespace

TEST_CASE("HA1 is what openssl makes of user, realm and password") {
  std::istringstream file(std::string(as_text(read_data("digest/ha1.tsv"))));
  int users = 0;
  for (std::string line; std::getline(file, line); ++users) {
    const auto cells = cells_of(line);
    REQUIRE(cells.size() == 7);
    CAPTURE(cells[0]);
    const Ha1 ha1 = ca::make_ha1(cells[1], cells[2], Secret(cells[3]));
    CHECK(ha1.md5.text() == cells[4]);
    CHECK(ha1.sha256.text() == cells[5]);
    CHECK(ha1.sha512_256.text() == cells[6]);
  }
  CHECK(users == 6);
}

TEST_CASE("a response that is made from HA1 is the one of RFC 7616 3.9.1") {
  const Ha1 ha1 = ca::make_ha1("Mufasa", "http-auth@example.org", Secret(std::string_view("Circle of Life")));
  const std::string dialogue =
      ":7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v:00000001:f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ:auth:";
  const std::string request = "GET:/dir/index.html";
  CHECK(hash("MD5", std::string(ha1.md5.text()) + dialogue + hash("MD5", request)) ==
        "8ca523f5e9506fed4657c9700eebdbec");
  CHECK(hash("SHA-256", std::string(ha1.sha256.text()) + dialogue + hash("SHA-256", request)) ==
        "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1");
}
