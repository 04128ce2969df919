#include <botan/auto_rng.h>
#include <catch2/catch.hpp>

#include "capf/ca/authstring.h"
#include "capf/ca/botan.h"
#include "capf/domain/authstring.h"
#include "tests/support/data.h"

using namespace capf;
using namespace capf::test;

namespace {

/// Gives the octets that it was made with.
class ScriptedRandom final : public ca::RandomSource {
 public:
  explicit ScriptedRandom(Bytes octets) : octets_(std::move(octets)) {}
  void fill(std::span<std::uint8_t> out) override {
    for (std::uint8_t& octet : out) octet = octets_.at(at_++);
  }
  std::string name() const override { return "script"; }

 private:
  Bytes octets_;
  std::size_t at_ = 0;
};

DeviceName device(const std::string& name) { return DeviceName::parse(name).value(); }

}  // namespace

TEST_CASE("an authentication string has 4 to 10 ASCII digits") {
  CHECK(check_auth_string("1234"));
  CHECK(check_auth_string("0123456789"));
  for (const std::string bad : {"", "123", "01234567890", "12a4", "12 4", "-123", "\xd9\xa1\xd9\xa2"}) {
    CAPTURE(bad);
    CHECK(reason_of(check_auth_string(bad)) == Reason::kInvalidAuthString);
  }
  CHECK(reason_of(check_auth_string(std::string_view("123\0", 4))) == Reason::kInvalidAuthString);
}

TEST_CASE("a generated string has 8 digits, with its leading zeros") {
  ScriptedRandom small({0, 0, 0, 42});
  CHECK(generate_auth_string(small).text() == "00000042");
  Botan::AutoSeeded_RNG random;
  for (int i = 0; i < 100; ++i) {
    const Secret digits = generate_auth_string(random);
    CHECK(digits.view().size() == 8);
    CHECK(check_auth_string(digits.text()));
  }
}

TEST_CASE("numbers that would make some strings likelier are drawn again") {
  // 4,200,000,000 = 0xFA56EA00 begins the last, partial run of 10^8.
  ScriptedRandom last_whole({0xFA, 0x56, 0xE9, 0xFF});
  CHECK(generate_auth_string(last_whole).text() == "99999999");
  ScriptedRandom partial({0xFA, 0x56, 0xEA, 0x00, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 7});
  CHECK(generate_auth_string(partial).text() == "00000007");
}

TEST_CASE("the hash of a string differs with operation, device, digits and key") {
  const auto key = ca::StringKey::make(Secret(Bytes(32, 1))).value();
  const Bytes mac = key.mac(7, device("SEP001122334455"), "12345678");
  CHECK(mac.size() == 32);
  CHECK(key.mac(7, device("SEP001122334455"), "12345678") == mac);
  CHECK(key.mac(8, device("SEP001122334455"), "12345678") != mac);
  CHECK(key.mac(7, device("SEP001122334456"), "12345678") != mac);
  CHECK(key.mac(7, device("SEP001122334455"), "12345679") != mac);
  CHECK(key.mac(7, device("SEP0011223344551"), "2345678") != mac);
  CHECK(ca::StringKey::make(Secret(Bytes(32, 2))).value().mac(7, device("SEP001122334455"), "12345678") != mac);
}

TEST_CASE("the hash is HMAC-SHA-256 over operation, name and digits, each with its length") {
  // printf '\0\0\0\0\0\0\0\1\0\0\0\1A\0\0\0\0041234' | openssl dgst -sha256 -mac HMAC -macopt hexkey:00…00 (32 octets)
  const auto key = ca::StringKey::make(Secret(Bytes(32, 0))).value();
  CHECK(to_hex(key.mac(1, device("A"), "1234")) == "3fb66dd3568f1af37ac6032743cb1d5534b12c5ec99e0e3afc9f39bce10e84ea");
}

TEST_CASE("a site key has 32 octets") {
  CHECK(reason_of(ca::StringKey::make(Secret(Bytes(31, 1)))) == Reason::kInvalidConfiguration);
  CHECK(reason_of(ca::StringKey::make(Secret())) == Reason::kInvalidConfiguration);
}
