#include <map>
#include <set>
#include <string>

#include <botan/system_rng.h>
#include <catch2/catch.hpp>

#include "capf/domain/digest.h"

using namespace capf;

TEST_CASE("a digest user has 1 to 64 printable characters without a colon") {
  for (const std::string& good : {std::string("4711"), std::string("jörg"), std::string("<script>"), std::string("a b"),
                                  std::string("\"'\\"), std::string(64, 'x')}) {
    CAPTURE(good);
    CHECK(check_digest_user(good));
  }
  std::string umlauts;
  for (int i = 0; i < 64; ++i) umlauts += "ö";
  CHECK(check_digest_user(umlauts));
  for (const std::string& bad : {std::string(), std::string("a:b"), std::string("a\nb"), std::string("a\0b", 3),
                                 std::string("a\x7f"), std::string("a\xc2\x85"), std::string(" a"), std::string("a "),
                                 std::string("\xff"), std::string(65, 'x'), std::string(300, 'x'), umlauts + "ö"}) {
    CAPTURE(bad);
    CHECK(check_digest_user(bad).error().reason == Reason::kInvalidDigestUser);
  }
}

TEST_CASE("a password has 8 to 30 printable characters") {
  for (const std::string& good : {std::string(8, 'x'), std::string(30, 'x'), std::string("a:b:c:d:"),
                                  std::string("Straße 1"), std::string(" blanks ")}) {
    CAPTURE(good);
    CHECK(check_digest_password(good));
  }
  for (const std::string& bad : {std::string(), std::string(7, 'x'), std::string(31, 'x'), std::string("12345678\n"),
                                 std::string("1234\0005678", 9), std::string("1234567\xff")}) {
    CAPTURE(bad);
    CHECK(check_digest_password(bad).error().reason == Reason::kInvalidPassword);
  }
}

TEST_CASE("a realm has 1 to 128 printable characters") {
  CHECK(check_realm("ccmsipline"));
  CHECK(check_realm("\"quoted\" : realm"));
  CHECK(check_realm(std::string(128, 'x')));
  for (const std::string& bad : {std::string(), std::string(129, 'x'), std::string("a\rb")}) {
    CHECK(check_realm(bad).error().reason == Reason::kInvalidConfiguration);
  }
}

TEST_CASE("a generated password has 24 letters and digits, each as likely as any other") {
  constexpr int kPasswords = 5000;
  std::map<char, int> counts;
  std::set<std::string> seen;
  for (int i = 0; i < kPasswords; ++i) {
    const Secret password = generate_digest_password(Botan::system_rng());
    REQUIRE(password.view().size() == 24);
    CHECK(check_digest_password(password.text()));
    seen.emplace(password.text());
    for (const char c : password.text()) ++counts[c];
  }
  CHECK(seen.size() == kPasswords);
  REQUIRE(counts.size() == 62);
  // 1,935 of each on average, with a standard deviation of 44: without drawing again some would have 2,343.
  for (const auto& [c, count] : counts) {
    CAPTURE(c, count);
    CHECK(count > 1935 - 300);
    CHECK(count < 1935 + 300);
  }
}
