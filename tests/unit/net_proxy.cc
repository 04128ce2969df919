#include <cstdio>
#include <string>

#include <botan/hex.h>
#include <catch2/catch.hpp>

#include "capf/net/proxy.h"

using namespace capf;
using namespace capf::net;

namespace {

constexpr const char* kSignature = "0d0a0d0a000d0a515549540a";

/// A header: version and command, family, and the rest with its length in front.
Bytes header(const std::string& command, const std::string& family, const std::string& rest) {
  char length[5];
  std::snprintf(length, sizeof length, "%04zx", rest.size() / 2);
  return Botan::hex_decode(kSignature + command + family + length + rest);
}

// 192.0.2.7:51000 -> 198.51.100.1:3804; 2001:db8::7:51000 -> 2001:db8::1:3804
const std::string kIpv4 = "c0000207c6336401c7380edc";
const std::string kIpv6 =
    "20010db8000000000000000000000007"
    "20010db8000000000000000000000001"
    "c7380edc";
/// PP2_TYPE_NOOP of two octets, PP2_TYPE_UNIQUE_ID without a value.
const std::string kAdditions =
    "0400020000"
    "050000";

std::string source_of(const Bytes& data) {
  const auto read = read_proxy_header(data);
  if (!read) return to_string(read.error().reason) == "MESSAGE_MALFORMED" ? "refused" : "another reason";
  if (read->needs != 0) return "more";
  return read->source ? read->source->to_string() : "none";
}

}  // namespace

TEST_CASE("a PROXY header says for whom a connection stands") {
  CHECK(source_of(header("21", "11", kIpv4)) == "192.0.2.7:51000");
  CHECK(source_of(header("21", "21", kIpv6)) == "[2001:db8::7]:51000");
  CHECK(source_of(header("21", "11", kIpv4 + kAdditions)) == "192.0.2.7:51000");
  CHECK(source_of(header("21", "21", kIpv6 + kAdditions)) == "[2001:db8::7]:51000");
  // IPv4 in an IPv6 header is the IPv4 address that limits and networks know.
  CHECK(source_of(header("21", "21", "00000000000000000000ffffc0000207" + kIpv6.substr(32))) == "192.0.2.7:51000");
}

TEST_CASE("LOCAL and unspecified headers stand for the proxy itself, whatever follows") {
  for (const char* family : {"00", "11", "21", "31", "12"}) {
    CHECK(source_of(header("20", family, "")) == "none");
    CHECK(source_of(header("20", family, kIpv4 + "ff")) == "none");
  }
  CHECK(source_of(header("21", "00", "")) == "none");
  CHECK(source_of(header("21", "00", kAdditions)) == "none");
}

TEST_CASE("a PROXY header is read octet by octet, and nothing beyond it") {
  for (const Bytes& whole :
       {header("21", "11", kIpv4), header("21", "21", kIpv6 + kAdditions), header("20", "00", "")}) {
    for (std::size_t size = 0; size < whole.size(); ++size) {
      const auto read = read_proxy_header(BytesView(whole).first(size));
      REQUIRE(read);
      CHECK(read->needs == (size < 16 ? 16 : whole.size()));
      CHECK_FALSE(read->source);
    }
    Bytes longer = whole;
    longer.push_back(0x16);
    CHECK(source_of(longer) == "refused");
  }
}

TEST_CASE("what is no PROXY header of version 2 is refused as soon as that shows") {
  CHECK(source_of(Bytes{'P'}) == "refused");  // version 1
  const std::string_view first = "PROXY TCP4 192.0.2.7 198.51.100.1 51000 3804\r\n";
  CHECK(source_of(Bytes(first.begin(), first.end())) == "refused");
  CHECK(source_of(Botan::hex_decode("160301")) == "refused");  // TLS
  CHECK(source_of(Botan::hex_decode("0d0a0d0a010d")) == "refused");
  for (const char* command : {"11", "01", "22", "2f", "31", "00"})
    CHECK(source_of(header(command, "11", kIpv4)) == "refused");
  for (const char* family : {"12", "22", "31", "32", "13", "41", "01", "10", "20"}) {
    CHECK(source_of(header("21", family, kIpv6 + kIpv6)) == "refused");
  }
}

TEST_CASE("a PROXY header has room for its addresses and additions, and is bounded") {
  CHECK(source_of(header("21", "11", kIpv4.substr(2))) == "refused");
  CHECK(source_of(header("21", "21", kIpv4)) == "refused");
  CHECK(source_of(header("21", "11", "")) == "refused");
  for (const char* cut : {"04", "0400", "040001", "04000200", "040002000005"}) {
    CHECK(source_of(header("21", "11", kIpv4 + cut)) == "refused");
  }
  const auto padded = [](std::size_t octets) {
    char length[5];
    std::snprintf(length, sizeof length, "%04zx", octets);
    return header("21", "11", kIpv4 + "04" + length + std::string(2 * octets, '0'));
  };
  CHECK(source_of(padded(kLargestProxyHeader - 16 - 12 - 3)) == "192.0.2.7:51000");
  CHECK(source_of(padded(kLargestProxyHeader - 16 - 12 - 2)) == "refused");
  CHECK(source_of(Botan::hex_decode(std::string(kSignature) + "2111ffff")) == "refused");
}
