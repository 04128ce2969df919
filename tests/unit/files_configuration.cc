#include <catch2/catch.hpp>

#include "capf/files/configuration.h"
#include "capf/files/xml.h"
#include "tests/support/phone_files.h"

using namespace capf;
using files::Configuration;
using files::ConfigurationValues;

namespace {

const test::PhoneFiles kData{std::string(CAPF_TEST_DATA) + "/phone-files"};

std::string parsed(std::string_view xml) {
  const auto configuration = Configuration::parse(as_bytes(xml));
  if (!configuration) CHECK(configuration.error().reason == Reason::kPhoneConfigurationMalformed);
  return configuration ? "" : configuration.error().message;
}

/// The file with these values, without its declaration.
std::string applied(std::string_view xml, const ConfigurationValues& values) {
  auto configuration = Configuration::parse(as_bytes(xml)).value();
  REQUIRE(configuration.apply(values));
  const Secret text = configuration.text();
  constexpr std::string_view kDeclaration = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
  REQUIRE(text.text().starts_with(kDeclaration));
  return std::string(text.text().substr(kDeclaration.size()));
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

ConfigurationValues with_secrets() {
  ConfigurationValues values{.mode = DeviceMode::kEncrypted, .certificate_hash = "abc", .secrets = true};
  values.digest = files::DigestCredentials{"alice", Secret("a new password")};
  values.ssh_user = "root";
  values.ssh_password = Secret("ssh secret");
  values.phone_password = Secret("unlock secret");
  return values;
}

constexpr std::string_view kSite =
    "<device>"
    "<sshUserId>site</sshUserId><sshPassword>of the site</sshPassword>"
    "<commonProfile><phonePassword>unlock</phonePassword><other>1</other></commonProfile>"
    "<sipProfile><sipLines>"
    "<line button=\"1\"><featureID>9</featureID><name>4711</name><authName>old</authName>"
    "<authPassword>old secret</authPassword></line>"
    "<line button=\"2\"><featureID>21</featureID><name>dial</name></line>"
    "<line button=\"3\"><featureID>9</featureID><name>4712</name></line>"
    "</sipLines></sipProfile>"
    "<vendorConfig><garp>0</garp></vendorConfig><commonConfig><pcPort>0</pcPort></commonConfig>"
    "<enterpriseConfig><other>0</other></enterpriseConfig>"
    "</device>";

}  // namespace

TEST_CASE("what is no configuration is refused") {
  CHECK(parsed("<device/>").empty());
  CHECK(parsed("\xEF\xBB\xBF<?xml version='1.0' encoding='utf-8'?><!-- a --><device></device>\n<?pi?>").empty());
  CHECK_THAT(parsed(""), Catch::Contains("one element around all others"));
  CHECK_THAT(parsed("<phone/>"), Catch::Contains("root is not 'device'"));
  CHECK_THAT(parsed("<device/><device/>"), Catch::Contains("two roots"));
  CHECK_THAT(parsed("<device/>text"), Catch::Contains("text beside"));
  CHECK_THAT(parsed("<device/><![CDATA[text]]>"), Catch::Contains("text beside"));
  CHECK_THAT(parsed("<device>"), Catch::Contains("cut off"));
  CHECK_THAT(parsed("<device></device></device>"), Catch::Contains("has not begun"));
  CHECK_FALSE(parsed("<device><a></b></device>").empty());
  CHECK_FALSE(parsed("<device><a></device></a>").empty());
  CHECK_THAT(parsed("<!DOCTYPE device><device/>"), Catch::Contains("document type"));
  CHECK_THAT(parsed("<device><!ENTITY a 'b'></device>"), Catch::Contains("document type"));
  CHECK_THAT(parsed("<device>&own;</device>"), Catch::Contains("entity"));
  CHECK_THAT(parsed("<device a='&own;'/>"), Catch::Contains("entity"));
  CHECK_THAT(parsed("<device>&#0;</device>"), Catch::Contains("reference"));
  CHECK_THAT(parsed("<device>&#x1F;</device>"), Catch::Contains("reference"));
  CHECK_THAT(parsed("<device>&#13;</device>"), Catch::Contains("reference"));
  CHECK_THAT(parsed("<device>&#xD800;</device>"), Catch::Contains("reference"));
  CHECK_THAT(parsed("<device>a & b</device>"), Catch::Contains("reference"));
  CHECK(parsed("<device>&amp;&#228;&#xE4;&lt;&gt;&apos;&quot;</device>").empty());
  CHECK_THAT(parsed(std::string_view("<device>\0</device>", 18)), Catch::Contains("control characters"));
  CHECK_THAT(parsed("<device>\x1B[2J</device>"), Catch::Contains("control characters"));
  CHECK_THAT(parsed("<device>\xFF</device>"), Catch::Contains("not UTF-8"));
  CHECK_THAT(parsed(std::string("\xFF\xFE<\0d", 5)), Catch::Contains("not UTF-8"));
  CHECK_THAT(parsed("<device a='1' a='2'/>"), Catch::Contains("attribute twice"));
  CHECK_THAT(parsed("<device><!-- a -- b --></device>"), Catch::Contains("two hyphens"));
  CHECK_THAT(parsed("<device><a <b/></device>"), Catch::Contains("a tag does not end"));
  CHECK_THAT(parsed("<device><?xml version='1.0'?></device>"), Catch::Contains("second declaration"));
  CHECK_THAT(parsed("<?xml version='1.0' encoding='UTF-7'?><device>+ADw-</device>"),
             Catch::Contains("another encoding"));
  CHECK_THAT(parsed("<?xml version='1.0' encoding='ISO-8859-1'?><device>\xC3\xA4</device>"),
             Catch::Contains("another encoding"));
  CHECK(parsed("<?xml version='1.0' encoding='iso-8859-1'?><device>a</device>").empty());
  CHECK_THAT(parsed("<device><fullConfig>false</fullConfig></device>"), Catch::Contains("stub"));
}

TEST_CASE("a configuration has its limits") {
  const auto deep = [](int depth) {
    std::string xml = "<device>";
    for (int i = 1; i < depth; ++i) xml += "<a>";
    for (int i = 1; i < depth; ++i) xml += "</a>";
    return xml + "</device>";
  };
  CHECK(parsed(deep(64)).empty());
  CHECK_THAT(parsed(deep(65)), Catch::Contains("64 deep"));
  CHECK_FALSE(parsed(deep(140'000)).empty());
  const auto many = [](int count) {
    std::string xml = "<device>";
    for (int i = 1; i < count; ++i) xml += "<a/>";
    return xml + "</device>";
  };
  CHECK(parsed(many(20'000)).empty());
  CHECK_THAT(parsed(many(20'001)), Catch::Contains("20000 elements"));
  CHECK(parsed("<device>" + std::string(files::kLargestXml - 17, ' ') + "</device>").empty());
  CHECK_THAT(parsed("<device>" + std::string(files::kLargestXml - 16, ' ') + "</device>"), Catch::Contains("1 MiB"));
}

TEST_CASE("what no value decides stays as it was") {
  const std::string xml =
      "<!-- of the site --><device x=\"a&#10;b&quot;&lt;\"><a>  two  </a><b><![CDATA[<raw> & ]]></b>\n\t<?pi data?><c/>"
      "<d>&lt;&amp;\xC3\xA4</d><deviceSecurityMode y=\"1\">1<!-- old --></deviceSecurityMode></device>";
  const std::string text = applied(xml, {});
  for (const char* part : {"<!-- of the site -->", "<a>  two  </a>", "<![CDATA[<raw> & ]]>", "\n\t<?pi data?>",
                           "<d>&lt;&amp;\xC3\xA4</d>", "x=\"a&#10;b&quot;&lt;\""}) {
    CAPTURE(part);
    CHECK(has(text, part));
  }
  CHECK(has(text, "<deviceSecurityMode y=\"1\">1</deviceSecurityMode>"));
  // Once applied, it does not change any more.
  CHECK(applied(text, {}) == text);
}

TEST_CASE("mode and transport are one decision") {
  const auto both = [](DeviceMode mode, Transport transport) {
    const std::string text = applied("<device/>", {.mode = mode, .transport = transport});
    const auto value = [&](const std::string& name) { return text.at(text.find("<" + name + ">") + name.size() + 2); };
    return std::string{value("deviceSecurityMode"), value("transportLayerProtocol")};
  };
  CHECK(both(DeviceMode::kNonsecure, Transport::kTcp) == "11");
  CHECK(both(DeviceMode::kNonsecure, Transport::kUdp) == "12");
  CHECK(both(DeviceMode::kNonsecure, Transport::kBoth) == "14");
  for (const Transport transport : {Transport::kTcp, Transport::kUdp, Transport::kBoth}) {
    CHECK(both(DeviceMode::kAuthenticated, transport) == "23");
    CHECK(both(DeviceMode::kEncrypted, transport) == "33");
  }
}

TEST_CASE("a phone is sent to CAPF only where it shall go there") {
  ConfigurationValues values{.capf = {{"capf.example.org", 3804}, {"capf2.example.org", 13804}}};
  CHECK(has(applied("<device><capfAuthMode>2</capfAuthMode></device>", values), "<capfAuthMode>0</capfAuthMode>"));
  CHECK(has(applied("<device/>", values),
            "<capfList><capf><phonePort>3804</phonePort><processNodeName/></capf></capfList>"));
  const std::vector<std::pair<AuthMode, int>> modes{
      {AuthMode::kString, 1}, {AuthMode::kNull, 2}, {AuthMode::kLsc, 3}, {AuthMode::kMic, 4}};
  for (const auto& [mode, code] : modes) {
    values.capf_auth = mode;
    CHECK(has(applied("<device/>", values), "<capfAuthMode>" + std::to_string(code) + "<"));
  }
  CHECK(
      has(applied("<device><capfList><capf>x</capf></capfList></device>", values),
          "<capfList><capf><phonePort>3804</phonePort><processNodeName>capf.example.org</processNodeName></capf>"
          "<capf><phonePort>13804</phonePort><processNodeName>capf2.example.org</processNodeName></capf></capfList>"));
}

TEST_CASE("servers of TVS are replaced where there are any to set") {
  const std::string xml = "<device><TVS><members><member priority=\"0\">old</member></members></TVS></device>";
  CHECK(has(applied(xml, {}), "old"));
  const std::string text = applied(xml, {.tvs = std::vector<CapfHost>{{"a.example.org", 2445}, {"b", 12445}}});
  CHECK(has(text,
            "<member priority=\"0\"><port>2445</port><address>a.example.org</address></member>"
            "<member priority=\"1\"><port>12445</port><address>b</address></member></members>"));
  CHECK_FALSE(has(text, "old"));
}

TEST_CASE("an element that is there twice has one value afterwards") {
  const std::string text = applied(
      "<device><deviceSecurityMode>3</deviceSecurityMode><a/>"
      "<deviceSecurityMode>2</deviceSecurityMode></device>",
      {});
  CHECK(has(text, "<deviceSecurityMode>1</deviceSecurityMode><a/>"));
  CHECK_FALSE(has(text, "deviceSecurityMode>2"));
}

TEST_CASE("flags are set for the device, and for all where they stand there") {
  const std::string text = applied(kSite, {.hardening = {{"garp", "1"}, {"pcPort", "1"}}});
  CHECK(has(text, "<vendorConfig><garp>1</garp><pcPort>1</pcPort>"));
  CHECK(has(text, "<commonConfig><pcPort>1</pcPort></commonConfig>"));
  CHECK(has(text, "<enterpriseConfig><other>0</other></enterpriseConfig>"));
  CHECK(has(applied("<device/>", {.hardening = {{"garp", "1"}}}), "<vendorConfig><garp>1</garp>\n</vendorConfig>"));
}

TEST_CASE("no password leaves where none may") {
  ConfigurationValues values = with_secrets();
  values.secrets = false;
  const std::string text = applied(kSite, values);
  for (const char* secret : {"secret", "of the site", "unlock", "assword", "alice"}) {
    CAPTURE(secret);
    CHECK_FALSE(has(text, secret));
  }
  CHECK(has(text, "<sshUserId>site</sshUserId>"));
  CHECK(has(text, "<commonProfile><other>1</other></commonProfile>"));
}

TEST_CASE("a password that is commented out is one all the same") {
  const std::string site =
      "<!-- a note --><device><!-- <sshPassword>before</sshPassword> --><loadInformation>sip<!-- authPassword: before "
      "--></loadInformation><?old phonePassword before?></device><!--authPassword before-->";
  const std::string text = applied(site, {});
  CHECK(has(text, "<!-- a note -->"));
  CHECK(has(text, "<loadInformation>sip</loadInformation>"));
  CHECK_FALSE(has(text, "before"));
  CHECK(has(applied(site, {.secrets = true}), "<!-- <sshPassword>before</sshPassword> -->"));

  auto configuration = Configuration::parse(as_bytes(site)).value();
  REQUIRE(configuration.apply({.certificate_hash = "abc", .secrets = true}));
  CHECK_FALSE(has(std::string(as_text(configuration.stub())), "before"));
  configuration.mask();
  CHECK_FALSE(has(std::string(configuration.text().text()), "before"));
}

TEST_CASE("passwords are set where they may leave") {
  const std::string text = applied(kSite, with_secrets());
  CHECK(has(text, "<sshUserId>root</sshUserId><sshPassword>ssh secret</sshPassword>"));
  CHECK(has(text, "<commonProfile><phonePassword>unlock secret</phonePassword><other>1</other></commonProfile>"));
  CHECK(has(text, "<name>4711</name><authName>alice</authName><authPassword>a new password</authPassword></line>"));
  CHECK(has(text, "<name>4712</name><authName>alice</authName>\n<authPassword>a new password</authPassword>"));
  CHECK(has(text, "<featureID>21</featureID><name>dial</name></line>"));
  ConfigurationValues site{.secrets = true};
  CHECK(has(applied(kSite, site), "<authName>old</authName><authPassword>old secret</authPassword>"));
  site.exclude_digest = true;
  CHECK_FALSE(has(applied(kSite, site), "auth"));
  CHECK(has(applied(kSite, site), "<phonePassword>unlock</phonePassword>"));
}

TEST_CASE("a value that XML cannot have is refused") {
  for (const std::string& bad :
       {std::string("a\0b", 3), std::string("\x01"), std::string("\xFF"), std::string("a\rb")}) {
    ConfigurationValues values{.secrets = true};
    values.digest = files::DigestCredentials{"user", Secret(bad)};
    auto configuration = Configuration::parse(as_bytes("<device/>")).value();
    const Status status = configuration.apply(values);
    REQUIRE_FALSE(status);
    CHECK(status.error().reason == Reason::kInvalidRequest);
  }
}

TEST_CASE("people see no password") {
  auto configuration = Configuration::parse(as_bytes(kSite)).value();
  REQUIRE(configuration.apply(with_secrets()));
  configuration.mask();
  const std::string text(configuration.text().text());
  CHECK(has(text, "<authPassword>***</authPassword>"));
  CHECK(has(text, "<sshPassword>***</sshPassword>"));
  CHECK(has(text, "<phonePassword>***</phonePassword>"));
  CHECK_FALSE(has(text, "secret"));
  CHECK_FALSE(has(text, "a new password"));
}

TEST_CASE("the lines of a configuration are its buttons for lines") {
  CHECK(Configuration::parse(as_bytes(kSite))->lines() == std::vector<std::string>{"4711", "4712"});
  CHECK(Configuration::parse(as_bytes("<device/>"))->lines().empty());
}

TEST_CASE("the stub is what the open tool writes") {
  for (const std::string folder : {"rsa2048-sha512", "pad1"}) {
    const Bytes plain = kData.octets("enc/" + folder + "/plaintext.xml");
    auto configuration = Configuration::parse(plain).value();
    REQUIRE(configuration.apply({.mode = DeviceMode::kEncrypted,
                                 .capf_auth = AuthMode::kLsc,
                                 .capf = {{"capf.example.org", 3804}},
                                 .certificate_hash = files::certificate_hash(kData.der("phone_rsa2048"))}));
    const Bytes theirs = kData.octets("enc/" + folder + "/SEP001122334455.cnf.xml.sgn");
    const BytesView stub = files::strip(theirs).value();
    const auto compact = [](BytesView octets) {
      std::string text;
      for (const char c : as_text(octets)) {
        if (c != ' ' && c != '\n') text += c;
      }
      return text;
    };
    CHECK(compact(configuration.stub()) == compact(stub));
  }
}
