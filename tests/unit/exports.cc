#include "tests/support/exports.h"

#include <catch2/catch.hpp>

using namespace capf;
using exports::Format;

namespace {

exports::Device phone(const std::string& name, DeviceMode mode, bool lsc = true) {
  exports::Device device{DeviceName::parse(name).value(), mode};
  if (lsc) device.lsc = sha256(as_bytes(name));
  return device;
}

/// HA1s that are told apart, which is all that matters to a format.
exports::User user(const std::string& name, const std::string& realm, std::vector<exports::Device> devices = {}) {
  Ha1 ha1{Secret(to_hex(sha256(as_bytes(name))).substr(0, 32)), Secret(to_hex(sha256(as_bytes(realm)))),
          Secret(to_hex(sha256(as_bytes(name + realm))))};
  return {name, realm, std::move(ha1), std::move(devices)};
}

std::string written(Format format, const exports::User& user) {
  return std::string(exports::write_user(format, user).value().text());
}

/// Why a format refuses the user; empty where it does not.
std::string refusal(Format format, const std::string& name, const std::string& realm = "ccmsipline") {
  const auto text = exports::write_user(format, user(name, realm));
  if (text) return {};
  CHECK(text.error().reason == Reason::kInvalidRequest);
  CHECK(text.error().message.find("the user \"" + name + "\" cannot be written as " +
                                  std::string(exports::to_string(format))) == 0);
  return text.error().message;
}

constexpr std::array kAsterisk{Format::kAsteriskPjsip, Format::kAsteriskPjsipDigests, Format::kAsteriskChanSip};
constexpr std::array kTables{Format::kKamailioSql, Format::kKamailioCsv, Format::kOpensipsSql, Format::kOpensipsCsv};

}  // namespace

TEST_CASE("a format is known by its name") {
  for (const Format format : exports::kFormats) CHECK(exports::parse_format(exports::to_string(format)) == format);
  CHECK_FALSE(exports::parse_format("asterisk"));
  CHECK_FALSE(exports::parse_format(""));
}

TEST_CASE("each format's reader finds what was meant") {
  const std::vector<exports::User> users{
      user("4711", "ccmsipline", {phone("SEP001122334455", DeviceMode::kEncrypted)}),
      user("4712", "ccmsipline",
           {phone("SEP001122334456", DeviceMode::kNonsecure, false), phone("ATA-1.2_3", DeviceMode::kAuthenticated)}),
      user("4713", "ccmsipline",
           {phone("SEP001122334457", DeviceMode::kEncrypted), phone("SEP001122334458", DeviceMode::kNonsecure)}),
      user("4714", "ccmsipline"),
      user("o\"n\\e", "realm with \"quotes\", it's one"),
      user("o'; DROP TABLE subscriber; --", "$$'\\'"),
      user("a;b\\;c;;", ";-- a comment --;"),
      user("\\", "back\\slash\\\\"),
      user("<script>alert(1)</script>", "&amp;&#60;<![CDATA[x]]>"),
      user("x-Pre-Process", "$${domain} <!--#set \"a=b\"--> <?xml?> <include>"),
      user("=value", "#include passwords"),
      user("+=x", "=> y"),
      user("j\xC3\xB6rg", "b\xC3\xBCro.example \xF0\x9F\x93\x9E"),
      user("two words", "%s ${EXTEN} `id` \t"),
      user(",", ","),
      user("(!)", ")(+"),
  };
  for (const Format format : exports::kFormats) {
    CAPTURE(exports::to_string(format));
    CHECK(test::fault_of(format, users).empty());
    for (const exports::User& each : users) CHECK(test::fault_of(format, {each}).empty());
  }
}

TEST_CASE("what a format cannot say is refused by the user's name") {
  for (const Format format : kAsterisk) {
    CAPTURE(exports::to_string(format));
    CHECK_THAT(refusal(format, "a\nb"), Catch::EndsWith("its name has a line break or another control character"));
    CHECK_THAT(refusal(format, "a]b"), Catch::EndsWith("its name has '[', ']' or ',', and names a section"));
    CHECK_FALSE(refusal(format, "[a").empty());
    CHECK_FALSE(refusal(format, "a,b").empty());
    CHECK_FALSE(refusal(format, " a").empty());
    CHECK_FALSE(refusal(format, std::string(80, 'a')).empty());
    CHECK(refusal(format, std::string(74, 'a')).empty());
    CHECK(refusal(format, "a;b").empty());
  }
  CHECK_FALSE(refusal(Format::kAsteriskPjsip, std::string(75, 'a')).empty());
  CHECK_THAT(refusal(Format::kAsteriskPjsip, "a", "b\rc"), Catch::Contains("its realm has a line break"));
  CHECK_THAT(refusal(Format::kAsteriskPjsip, "a", "b "), Catch::Contains("its realm is empty, or begins or ends"));
  CHECK_THAT(refusal(Format::kAsteriskChanSip, "General"), Catch::Contains("another section of sip.conf"));
  CHECK(refusal(Format::kAsteriskPjsip, "General").empty());
  CHECK_THAT(refusal(Format::kFreeswitch, "a\tb"), Catch::Contains("its name has a line break"));
  CHECK_THAT(refusal(Format::kFreeswitch, "a\xEF\xBF\xBF"), Catch::Contains("control character"));
  CHECK_THAT(refusal(Format::kFreeswitch, std::string(400, '<')), Catch::Contains("too long for a line"));
  for (const Format format : kTables) {
    CAPTURE(exports::to_string(format));
    CHECK_THAT(refusal(format, std::string("a\0b", 3)), Catch::Contains("its name has a NUL"));
    CHECK_THAT(refusal(format, std::string(65, 'a')), Catch::Contains("more than the 64 characters"));
    CHECK_THAT(refusal(format, "a", std::string(65, 'a')),
               Catch::Contains("its realm has more than the 64 characters"));
    std::string umlauts;
    for (int i = 0; i < 64; ++i) umlauts += "\xC3\xBC";
    CHECK(refusal(format, umlauts).empty());
  }
  CHECK(refusal(Format::kKamailioSql, "a\nb").empty());
  CHECK_THAT(refusal(Format::kKamailioCsv, "a\nb"), Catch::Contains("its name has a line break"));
}

TEST_CASE("a name that is not UTF-8 is refused by every format that has names") {
  for (const Format format : exports::kFormats) {
    if (format == Format::kKamailioHtableCsv || format == Format::kOpensipsPreferencesCsv) continue;
    CAPTURE(exports::to_string(format));
    CHECK_THAT(refusal(format, "a\xFF"), Catch::Contains("its name is not UTF-8"));
  }
}

TEST_CASE("JSON has a line for each user, whatever is in its name") {
  const std::string name("\0\x01\x1f\x7f\n\r\t\"\\/\xE2\x80\xA8", 13);
  CHECK(test::fault_of(Format::kJson, {user(name, name), user("b", "c")}).empty());
  const std::string line = written(Format::kJson, user(name, name));
  CHECK(line.find('\n') == line.size() - 1);
  CHECK(line.find('\0') == std::string::npos);
}

TEST_CASE("the lines of users are as they are documented") {
  const auto one = user("4711", "ccmsipline", {phone("SEP001122334455", DeviceMode::kEncrypted)});
  const std::string md5(one.ha1.md5.text());
  const std::string lsc = to_hex(*one.devices[0].lsc);
  CHECK(written(Format::kAsteriskPjsip, one) ==
        "\n[4711-auth]\ntype = auth\nusername = 4711\nrealm = ccmsipline\n"
        "auth_type = md5\nmd5_cred = " +
            md5 +
            "\n\n[SEP001122334455](!,capf-encrypted)\nauth = 4711-auth\n"
            "set_var = CAPF_DEVICE=SEP001122334455\nset_var = CAPF_LSC_SHA256=" +
            lsc + '\n');
  CHECK(written(Format::kAsteriskChanSip, one) ==
        "\n[4711]\ntype = friend\nhost = dynamic\nmd5secret = " + md5 +
            "\ntransport = tls\nencryption = yes\nsetvar = CAPF_MODE_SEP001122334455=encrypted\n"
            "setvar = CAPF_LSC_SEP001122334455=" +
            lsc + '\n');
  CHECK(written(Format::kKamailioCsv, one) == "\"4711\",\"ccmsipline\",\"\",\"" + md5 + "\",\"\"\n");
  CHECK(written(Format::kKamailioHtableCsv, one) ==
        "\"SEP001122334455::capf_mode\",\"encrypted\"\n"
        "\"SEP001122334455::capf_lsc\",\"" +
            lsc + "\"\n");
}
