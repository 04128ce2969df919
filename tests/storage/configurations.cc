#include "capf/service/configurations.h"

#include <algorithm>
#include <set>
#include <utility>

#include <catch2/catch.hpp>

#include "capf/domain/certificate_store.h"
#include "capf/domain/configuration_store.h"
#include "capf/files/signed_file.h"
#include "capf/service/secrets.h"
#include "tests/storage/samples.h"
#include "tests/support/expect.h"
#include "tests/support/phone_keys.h"
#include "tests/support/site.h"

// Phones' configuration files: what is imported, and what phones get of it.

using namespace capf;
using namespace capf::test;

namespace {

using files::Form;

const std::string kPassword = "s3cret-9Qx!";
const std::string kSsh = "ssh-canary";

std::string xml_with(const std::string& lines, const std::string& rest = "") {
  return "<device><fullConfig>true</fullConfig><loadInformation>sip88xx.14-2</loadInformation>"
         "<sshPassword>" +
         kSsh + "</sshPassword>" + rest + "<sipProfile><sipLines>" + lines + "</sipLines></sipProfile></device>";
}
std::string line(const std::string& name) {
  return "<line button=\"1\"><featureID>9</featureID><name>" + name + "</name></line>";
}

service::ImportedConfiguration file(const std::string& name, const std::string& xml) {
  return {name, Secret(std::string_view(xml))};
}

files::FileRequest request(const std::string& name) {
  const auto parsed = files::parse_file_name(name);
  if (!parsed) throw std::runtime_error(name);
  return *parsed;
}

struct ConfiguredSite : Site {
  ConfiguredSite() { sql("insert into profiles (name, mode) values ('desks', 'nonsecure')"); }

  service::ConfigurationImport import(const std::vector<service::ImportedConfiguration>& files, bool dry_run = false) {
    return must(configurations.import(administrator, files, dry_run));
  }
  /// Imports a file that must be good.
  void add(const DeviceName& device, const std::string& xml) {
    const auto outcome = import({file(device.text() + ".cnf.xml", xml)});
    REQUIRE(outcome.problems.empty());
  }
  std::optional<service::PhoneFile> open(const std::string& name) { return must(configurations.open(request(name))); }
  std::string text(const std::string& name) {
    const auto found = open(name);
    if (!found) return {};
    return std::string(as_text(*found->octets));
  }
  void add_user(const std::string& name) {
    must(digest_users.add(administrator, {service::DigestPassword{name, Secret(std::string_view(kPassword))}}, false));
  }
  void set(const DeviceName& device, const std::string& settings) {
    sql("insert into phone_settings (phone_id, settings) select id, '" + settings + "' from phones where device = '" +
        device.text() + "' on conflict (phone_id) do update set settings = excluded.settings");
  }
  /// A phone with a file of its own that is encrypted for its MIC.
  DeviceName add_encrypted_by_mic(const std::string& name) {
    const DeviceName phone = add_phone(name);
    add(phone, xml_with(line("2001")));
    set(phone, R"({"encrypted_config": "on"})");
    give_mic(phone, "phone_rsa2048");
    return phone;
  }
  /// The phone confirms an LSC, or comes with a MIC, that is this certificate of tests/data/phone-files.
  void give_mic(const DeviceName& device, const std::string& name) {
    const Bytes der = data.der(name);
    sql("update phones set mic_sha256 = decode('" + to_hex(sha256(der)) + "', 'hex') where device = '" + device.text() +
        "'; insert into phone_mics select id, mic_sha256, decode('" + to_hex(der) +
        "', 'hex'), now() - interval '1 day', now() + interval '1 day' from phones where device = '" + device.text() +
        "' on conflict (phone_id) do update set sha256 = excluded.sha256, der = excluded.der");
  }
  void give_lsc(const DeviceName& device, const std::string& name) {
    in(database(), [&](Transaction& tx) {
      const Phone phone = *good(tx.phones().find(device));
      Operation operation = sample_operation(tx, phone);
      operation = added_operation(tx, operation);
      Certificate lsc = sample_lsc(tx, operation, 1, name);
      lsc.der = data.der(name);
      lsc.sha256 = sha256(lsc.der);
      const std::int64_t id = added_certificate(tx, lsc);
      written(tx, phone.id, {ConfirmCertificate{id}});
      written(tx, phone.id, {EndOperation{operation.id, OperationState::kCancelled, std::nullopt, ""}});
    });
  }

  PhoneFiles data{std::filesystem::path(CAPF_TEST_DATA) / "phone-files"};
  FileSignerAlone keys{data, "tftp"};
  SystemClock clock;
  service::Configurations configurations{
      database(), vault(), keys, policy, high_water, Botan::system_rng(), clock, {.capf = {"capf.example", 3804}}};
};

}  // namespace

TEST_CASE("a site's own file is kept encrypted, and a phone gets it with what its profile decides") {
  ConfiguredSite site;
  const DeviceName phone = site.add_phone("SEP001122334455");
  CHECK(site.import({file("SEP001122334455.cnf.xml", xml_with(line("2001")))}).added == 1);
  CHECK(site.value("select count(*) from configurations where position('canary'::bytea in source) > 0 or "
                   "position('2001'::bytea in source) > 0") == "0");
  const std::string plain = site.text("SEP001122334455.cnf.xml");
  CHECK_THAT(plain, Catch::Contains("<loadInformation>sip88xx.14-2</loadInformation>"));
  CHECK_THAT(plain, Catch::Contains("<deviceSecurityMode>1</deviceSecurityMode>"));
  CHECK_THAT(plain, Catch::Contains("<transportLayerProtocol>4</transportLayerProtocol>"));
  CHECK_THAT(plain, Catch::Contains("<capfAuthMode>0</capfAuthMode>"));
  CHECK_THAT(plain, !Catch::Contains(kSsh));
  const auto made = site.open("SEP001122334455.cnf.xml.sgn");
  REQUIRE(made);
  const auto content =
      files::verify_signed(*made->octets, "SEP001122334455.cnf.xml.sgn", site.data.certificate("tftp"));
  CHECK(as_text(must(content)) == plain);
  CHECK_FALSE(site.open("SEP001122334455.cnf.xml.enc.sgn"));

  CHECK(site.value("select string_agg(subject, ' ') from audit_events where action = 'configuration.import'") ==
        "SEP001122334455");
  CHECK(site.import({file("SEP001122334455.cnf.xml", xml_with(line("2001")))}).unchanged == 1);
  CHECK(site.value("select revision || imported_by from configurations") == "1tester");
  CHECK(site.import({file("SEP001122334455.cnf.xml", xml_with(line("2002")))}).changed == 1);
  CHECK(site.value("select revision from configurations") == "2");
  must(site.phones.remove(site.administrator, phone));
  CHECK(site.value("select count(*) from configurations") == "0");
  CHECK_FALSE(site.open("SEP001122334455.cnf.xml"));
}

TEST_CASE("all problems of an import are told, and nothing of it is done") {
  ConfiguredSite site;
  site.add_phone("SEP001122334455");
  const auto outcome = site.import(
      {file("SEP001122334455.cnf.xml", xml_with(line("2001"))), file("SEP001122334456.cnf.xml", xml_with(line("2001"))),
       file("SEP001122334455.cnf.xml", xml_with(line("2001"))), file("../SEP001122334455.cnf.xml", xml_with("")),
       file("SEP001122334455.cnf.xml.sgn", xml_with("")),
       file("XMLDefault.cnf.xml", "<Default><sshPassword>x</sshPassword></Default>"),
       file("template", "<!DOCTYPE device><device/>")});
  std::vector<std::pair<std::size_t, Reason>> found;
  for (const auto& problem : outcome.problems) found.emplace_back(problem.place, problem.error.reason);
  CHECK(found == std::vector<std::pair<std::size_t, Reason>>{{1, Reason::kUnknownDevice},
                                                             {2, Reason::kInvalidRequest},
                                                             {3, Reason::kInvalidRequest},
                                                             {4, Reason::kInvalidRequest},
                                                             {5, Reason::kPhoneConfigurationMalformed},
                                                             {6, Reason::kPhoneConfigurationMalformed}});
  CHECK(site.value("select (select count(*) from configurations) + (select count(*) from lines)") == "0");

  CHECK(site.import({file("SEP001122334455.cnf.xml", xml_with(line("2001")))}, true).added == 1);
  CHECK(site.value("select (select count(*) from configurations) + (select count(*) from lines)") == "0");
  CHECK(site.value("select count(*) from audit_events where action like 'configuration.%' or action like 'line.%'") ==
        "0");
  CHECK(refused(site.configurations.import(site.administrator, {}, false)) == Reason::kInvalidRequest);
}

TEST_CASE("a file that is removed leaves its phone the template, and its lines") {
  ConfiguredSite site;
  const DeviceName phone = site.add_phone("SEP001122334455");
  site.add_phone("SEP001122334456");
  CHECK(site.import({file("SEP001122334455.cnf.xml", xml_with(line("2001"), "<own/>")),
                     file("template", xml_with("", "<shared/>")), file("XMLDefault.cnf.xml", "<Default/>")})
            .added == 3);
  const auto before = must(site.configurations.generation(request("SEP001122334455.cnf.xml")));
  const auto remove = [&](const std::vector<std::string>& names) {
    const auto outcome = must(site.configurations.remove(site.administrator, names));
    return std::pair(outcome.removed, outcome.absent);
  };
  CHECK(remove({"SEP001122334455.cnf.xml", "SEP001122334456.cnf.xml"}) == std::pair(1, 1));
  CHECK_THAT(site.text("SEP001122334455.cnf.xml"), Catch::Contains("<shared"));
  CHECK(must(site.configurations.generation(request("SEP001122334455.cnf.xml"))) != before);
  CHECK(site.value("select count(*) from line_members") == "0");
  CHECK(remove({"SEP001122334455.cnf.xml"}) == std::pair(0, 1));
  CHECK(remove({"template", "XMLDefault.cnf.xml"}) == std::pair(2, 0));
  CHECK_THAT(site.text("SEP001122334455.cnf.xml"), !Catch::Contains("<shared"));
  CHECK_FALSE(site.open("XMLDefault.cnf.xml"));
  CHECK(site.value("select string_agg(subject, ' ' order by id) from audit_events where action = "
                   "'configuration.remove'") == "SEP001122334455 template XMLDefault");
  for (const auto& names :
       {std::vector<std::string>{}, {"SEP001122334455.cnf.xml.sgn"}, {"../template"}, {"template", "template"}}) {
    CHECK(refused(site.configurations.remove(site.administrator, names)) == Reason::kInvalidRequest);
  }
  CHECK(refused(site.configurations.remove(site.administrator, std::vector<std::string>{"SEP001122334457.cnf.xml"})) ==
        Reason::kUnknownDevice);
}

TEST_CASE("phones come to the lines that their files name and leave those of the file before") {
  ConfiguredSite site;
  const DeviceName phone = site.add_phone("SEP001122334455");
  const DeviceName other = site.add_phone("SEP001122334456");
  const auto lines_of = [&](const DeviceName& device) {
    return site.value(
        "select coalesce(string_agg(l.name, ' ' order by l.name), '') from line_members m join lines l on "
        "l.id = m.line_id join phones p on p.id = m.phone_id where p.device = '" +
        device.text() + "'");
  };
  must(site.lines.add(site.administrator, {"9999", {phone}}));
  const auto outcome =
      site.import({file("SEP001122334455.cnf.xml", xml_with(line("2001") + line("2002") + line("a b"))),
                   file("SEP001122334456.cnf.xml", xml_with(line("2001") + line("")))});
  CHECK(outcome.problems.empty());
  CHECK(outcome.warnings.size() == 1);
  CHECK(lines_of(phone) == "2001 2002 9999");
  CHECK(lines_of(other) == "2001");
  site.add(phone, xml_with(line("2003")));
  CHECK(lines_of(phone) == "2003 9999");
  CHECK(site.value("select string_agg(detail, ' | ' order by id) from audit_events where action = 'line.leave'") ==
        "line 2001 | line 2002");
}

TEST_CASE("a file that would mix a line is refused, unless the line may be mixed") {
  ConfiguredSite site;
  const DeviceName secure = site.add_phone("SEP001122334455");
  const DeviceName open = site.add_phone("SEP001122334456");
  site.sql(
      "insert into profiles (name, mode) values ('secure', 'encrypted'); update phones set profile_id = (select id "
      "from profiles where name = 'secure') where device = 'SEP001122334455'");
  site.add(secure, xml_with(line("2001")));
  const std::vector<service::ImportedConfiguration> files{
      file("SEP001122334456.cnf.xml", xml_with(line("2001") + line("2002")))};
  const auto outcome = site.import(files);
  REQUIRE(outcome.problems.size() == 1);
  CHECK(outcome.problems.front().error.reason == Reason::kSharedLineMixed);
  CHECK_THAT(outcome.problems.front().error.message, Catch::Contains("2001"));
  CHECK(site.value("select count(*) from lines") == "1");
  CHECK(site.value("select count(*) from configurations") == "1");
  must(site.lines.add(site.administrator, {"2001", {open}, true}));
  CHECK(site.import(files).problems.empty());
}

TEST_CASE("a phone with encrypted_config gets a stub in the clear, and its passwords in a file for its own key") {
  ConfiguredSite site;
  const DeviceName phone = site.add_phone("SEP001122334455");
  site.add(phone, xml_with(line("2001")));
  site.add_user("4711");
  must(site.digest_users.set_phone(site.administrator, phone, "4711"));
  site.set(phone, R"({"encrypted_config": "on", "digest": "on"})");

  // Without a certificate nothing is encrypted, so that no password leaves.
  CHECK_FALSE(site.open("SEP001122334455.cnf.xml.enc.sgn"));
  CHECK_THAT(site.text("SEP001122334455.cnf.xml"), !Catch::Contains(kSsh) && !Catch::Contains(kPassword));
  CHECK_FALSE(must(site.configurations.check(phone)).plan.values.secrets);

  site.give_mic(phone, "phone_rsa2048");
  const auto encrypted = site.open("SEP001122334455.cnf.xml.enc.sgn");
  REQUIRE(encrypted);
  must(files::verify_encrypted(*encrypted->octets, "SEP001122334455.cnf.xml.enc.sgn", site.data.certificate("tftp")));
  CHECK(must(site.configurations.check(phone)).plan.key == service::ConfigurationPlan::Key::kMic);
  const std::string hash = files::certificate_hash(site.data.der("phone_rsa2048"));
  for (const char* name : {"SEP001122334455.cnf.xml", "SEP001122334455.cnf.xml.sgn"}) {
    const std::string stub = site.text(name);
    CHECK_THAT(stub, Catch::Contains("<fullConfig>false</fullConfig>"));
    CHECK_THAT(stub, Catch::Contains("<certHash>" + hash + "</certHash>"));
    CHECK_THAT(stub, !Catch::Contains(kSsh) && !Catch::Contains(kPassword) && !Catch::Contains("4711"));
  }
  // For people there are no passwords in it either.
  const auto view = must(site.configurations.show(phone));
  CHECK_THAT(view.after, Catch::Contains("<authName>4711</authName>"));
  CHECK_THAT(view.after, Catch::Contains("<authPassword>***</authPassword>"));
  CHECK_THAT(view.before + view.after, !Catch::Contains(kSsh) && !Catch::Contains(kPassword));

  site.give_lsc(phone, "phone_rsa4096");
  CHECK(must(site.configurations.check(phone)).plan.key == service::ConfigurationPlan::Key::kLsc);
  CHECK_THAT(site.text("SEP001122334455.cnf.xml"),
             Catch::Contains(files::certificate_hash(site.data.der("phone_rsa4096"))));
  site.give_lsc(phone, "phone_ec");
  CHECK_FALSE(site.open("SEP001122334455.cnf.xml.enc.sgn"));
  CHECK(refused(site.configurations.make_export(phone, Form::kEncrypted)) == Reason::kNoCertificate);
}

TEST_CASE("nothing is encrypted for a MIC that is blocked, because somebody else may have its key") {
  ConfiguredSite site;
  site.add_encrypted_by_mic("SEP001122334455");
  const auto before = site.open("SEP001122334455.cnf.xml.enc.sgn");
  REQUIRE(before);
  must(site.trust.block(site.administrator, {read_data("phone-files/certs/phone_rsa2048.crt")}));
  CHECK_FALSE(site.open("SEP001122334455.cnf.xml.enc.sgn"));
  const auto after = site.open("SEP001122334455.cnf.xml");
  REQUIRE(after);
  CHECK(after->generation != before->generation);
  CHECK_THAT(std::string(as_text(*after->octets)), !Catch::Contains(kSsh));
}

TEST_CASE("nothing is encrypted for a MIC whose key is compromised, or by a database that was set back") {
  ConfiguredSite site;
  const DeviceName phone = site.add_encrypted_by_mic("SEP001122334455");
  REQUIRE(site.open("SEP001122334455.cnf.xml.enc.sgn"));
  site.high_water.report(site.high_water.epoch(), "crl", "it lacks a CRL");
  CHECK(refused(site.configurations.open(request("SEP001122334455.cnf.xml.enc.sgn"))) == Reason::kDatabaseBehind);
  CHECK(refused(site.configurations.make_export(phone, Form::kEncrypted)) == Reason::kDatabaseBehind);
  site.high_water.begin_anew();
  REQUIRE(site.open("SEP001122334455.cnf.xml.enc.sgn"));
  site.sql(
      "insert into public_keys (sha256, owner, phone_id, compromised) select sha256('its key'), 'mic', id, true "
      "from phones where device = 'SEP001122334455'");
  CHECK_FALSE(site.open("SEP001122334455.cnf.xml.enc.sgn"));
}

TEST_CASE("passwords are in the clear only where a profile allows it, and never for a blocked phone") {
  ConfiguredSite site;
  const DeviceName phone = site.add_phone("SEP001122334455");
  site.add(phone, xml_with(line("2001")));
  site.sql(
      "update profiles set settings = '{\"allow_secrets_in_clear\": \"on\"}' where name = 'desks'; update phones "
      "set profile_id = (select id from profiles where name = 'desks')");
  CHECK_THAT(site.text("SEP001122334455.cnf.xml"), Catch::Contains(kSsh));
  // An administrator who exports it is not the phone.
  CHECK_THAT(std::string(as_text(must(site.configurations.make_export(phone, Form::kPlain)))), !Catch::Contains(kSsh));
  // Neither is a folder on another server.
  service::Configurations exported{site.database(), site.vault(),
                                   site.keys,       site.policy,
                                   site.high_water, Botan::system_rng(),
                                   site.clock,      {.capf = {"capf.example", 3804}},
                                   {.files = 1},    service::SecretsInClear::kNever};
  const auto file_of_export = must(exported.open(request("SEP001122334455.cnf.xml")));
  REQUIRE(file_of_export);
  CHECK_THAT(std::string(as_text(*file_of_export->octets)), !Catch::Contains(kSsh));
  CHECK(file_of_export->generation != site.open("SEP001122334455.cnf.xml")->generation);
  must(site.phones.block(site.administrator, phone));
  CHECK_THAT(site.text("SEP001122334455.cnf.xml"), !Catch::Contains(kSsh));
}

TEST_CASE("a generation is another one after each change that the file follows from, and a made file is made once") {
  ConfiguredSite site;
  const DeviceName phone = site.add_phone("SEP001122334455");
  const DeviceName other = site.add_phone("SEP001122334456");
  site.add(phone, xml_with(line("2001")));
  site.set(phone, R"({"encrypted_config": "on", "digest": "on"})");
  site.give_mic(phone, "phone_rsa2048");
  std::set<std::string> seen;
  const auto is_new = [&] {
    const auto made = site.open("SEP001122334455.cnf.xml.enc.sgn");
    REQUIRE(made);
    const auto again = site.open("SEP001122334455.cnf.xml.enc.sgn");
    CHECK(again->octets == made->octets);
    CHECK(must(site.configurations.generation(request("SEP001122334455.cnf.xml.sgn"))) == made->generation);
    return seen.insert(made->generation).second;
  };
  CHECK(is_new());
  CHECK_FALSE(is_new());
  site.add(other, xml_with(line("2003")));
  site.add_user("4711");
  CHECK_FALSE(is_new());
  site.add(phone, xml_with(line("2002")));
  CHECK(is_new());
  must(site.digest_users.set_phone(site.administrator, phone, "4711"));
  CHECK(is_new());
  must(site.digest_users.set_password(site.administrator, {"4711", Secret(std::string_view("another one"))}, false));
  CHECK(is_new());
  site.set(phone, R"({"encrypted_config": "on", "digest": "on", "web_access": "off"})");
  CHECK(is_new());
  site.sql(
      "update phones set profile_id = (select id from profiles where name = 'desks') where device = "
      "'SEP001122334455'; update profiles set settings = '{\"pc_port\": \"off\"}' where name = 'desks'");
  CHECK(is_new());
  site.give_lsc(phone, "phone_rsa1024");
  CHECK(is_new());
  in(site.database(), [&](Transaction& tx) { added_operation(tx, *good(tx.phones().find(phone))); });
  CHECK(is_new());
  CHECK_THAT(site.text("SEP001122334455.cnf.xml"),
             Catch::Contains("<capfAuthMode>1</capfAuthMode>") && Catch::Contains("<processNodeName>capf.example"));
}

TEST_CASE("files that are asked for together each go to their phone, however large their sources are") {
  ConfiguredSite site;
  constexpr std::size_t kPhones = 6;
  const std::string padding =
      "<padding>" + std::string(1'000'000, 'x') + "</padding>";  // five are more than one answer has
  std::vector<ConfigurationQuestion> asked;
  std::vector<files::FileRequest> requests;
  for (std::size_t number = 0; number < kPhones; ++number) {
    const std::string digit = std::to_string(number);
    const DeviceName phone = site.add_phone("SEP00000000000" + digit);
    site.add(phone, xml_with(line("200" + digit), padding));
    asked.push_back({phone});
    requests.push_back(request(phone.text() + ".cnf.xml"));
  }
  requests.push_back(request("SEPFFFFFFFFFFFF.cnf.xml"));
  requests.push_back(request("ITLFile.tlv"));
  const auto facts = must(in_read(site.database(), [&](Transaction& tx) { return tx.configurations().facts(asked); }));
  CHECK(std::count_if(facts.begin(), facts.end(), [](const auto& each) { return each->source.source.has_value(); }) ==
        kPhones - 1);

  std::vector<const files::FileRequest*> wanted;
  for (const files::FileRequest& each : requests) wanted.push_back(&each);
  std::vector<std::optional<service::PhoneFile>> opened(wanted.size());
  for (int time = 0; time < 2; ++time) {  // made, and from memory
    std::size_t answers = 0;
    site.configurations.open_each(wanted, [&](std::size_t place, Result<std::optional<service::PhoneFile>> file) {
      const auto before = std::exchange(opened.at(place), must(std::move(file)));
      if (time > 0 && before) CHECK(before->octets == opened[place]->octets);
      ++answers;
    });
    REQUIRE(answers == wanted.size());
    for (std::size_t number = 0; number < kPhones; ++number) {
      REQUIRE(opened[number]);
      CHECK_THAT(std::string(as_text(*opened[number]->octets)), Catch::Contains("<name>200" + std::to_string(number)));
    }
    CHECK_FALSE(opened[kPhones]);
    CHECK_FALSE(opened[kPhones + 1]);
  }
}

TEST_CASE("a key and an IV are made for every making of an encrypted file") {
  ConfiguredSite site;
  const DeviceName phone = site.add_phone("SEP001122334455");
  site.set(phone, R"({"encrypted_config": "on"})");
  site.give_mic(phone, "phone_rsa2048");
  const Bytes first = must(site.configurations.make_export(phone, Form::kEncrypted));
  const Bytes second = must(site.configurations.make_export(phone, Form::kEncrypted));
  const auto one = must(files::read_header(first)).header.encryption;
  const auto other = must(files::read_header(second)).header.encryption;
  CHECK(one->iv != other->iv);
  CHECK(one->wrapped_key != other->wrapped_key);
  CHECK(one->plain_digest == other->plain_digest);
}

TEST_CASE(
    "phones without a file get the site's template, or a small one of this server's, and unknown ones the default") {
  ConfiguredSite site;
  const DeviceName phone = site.add_phone("SEP001122334455");
  CHECK_THAT(site.text("SEP001122334455.cnf.xml"), Catch::Contains("<deviceProtocol>SIP</deviceProtocol>"));
  CHECK_FALSE(must(site.configurations.check(phone)).source);
  CHECK_FALSE(site.open("XMLDefault.cnf.xml"));
  const std::string fallback = "<Default><callManagerGroup></callManagerGroup></Default>";
  CHECK(
      site.import({file("template", xml_with("", "<mark>ours</mark>")), file("XMLDefault.cnf.xml", fallback)}).added ==
      2);
  CHECK_THAT(site.text("SEP001122334455.cnf.xml"), Catch::Contains("<mark>ours</mark>"));
  CHECK(must(site.configurations.check(phone)).source->kind == ConfigurationKind::kTemplate);
  CHECK(site.text("XMLDefault.cnf.xml") == fallback);
  CHECK(site.import({file("XMLDefault.cnf.xml", fallback)}).unchanged == 1);
  CHECK_FALSE(site.open("SEP001122334499.cnf.xml"));
  site.add(phone, xml_with("", "<mark>its own</mark>"));
  CHECK_THAT(site.text("SEP001122334455.cnf.xml"), Catch::Contains("<mark>its own</mark>"));
}

TEST_CASE("without a key that signs there are unsigned files alone") {
  ConfiguredSite site;
  const DeviceName phone = site.add_phone("SEP001122334455");
  site.set(phone, R"({"encrypted_config": "on"})");
  site.give_mic(phone, "phone_rsa2048");
  const FileSignerAlone none;
  service::Configurations unsigned_files(site.database(), site.vault(), none, site.policy, site.high_water,
                                         Botan::system_rng(), site.clock, {.capf = {"capf.example"}});
  const auto plain = must(unsigned_files.open(request("SEP001122334455.cnf.xml")));
  REQUIRE(plain);
  CHECK_THAT(std::string(as_text(*plain->octets)), Catch::Contains("<encrConfig>false</encrConfig>"));
  CHECK_FALSE(must(unsigned_files.open(request("SEP001122334455.cnf.xml.sgn"))));
  CHECK_FALSE(must(unsigned_files.open(request("SEP001122334455.cnf.xml.enc.sgn"))));
  CHECK(refused(unsigned_files.make_export(phone, Form::kSigned)) == Reason::kNoFileSigner);
}

TEST_CASE("sources are encrypted again under another key, and still open") {
  ConfiguredSite site;
  const DeviceName phone = site.add_phone("SEP001122334455");
  site.add(phone, xml_with(line("2001")));
  const Secret key = ca::generate_secrets_key(Botan::system_rng());
  must(site.vault().add(2, key));
  site.sql("insert into secrets_keys (generation, check_value) values (2, decode('" +
           to_hex(must(ca::check_value_of(key))) + "', 'hex'))");
  service::SecretsRekeying rekeying(site.database(), site.vault(), site.administrator, Botan::system_rng());
  must(rekeying.activate(2));
  CHECK(must(rekeying.encrypt_some(2)) == 1);
  CHECK(must(rekeying.encrypt_some(2)) == 0);
  CHECK(site.value("select generation from configurations") == "2");
  CHECK_THAT(site.text("SEP001122334455.cnf.xml"), Catch::Contains("sip88xx"));
}
