#include <set>

#include <botan/system_rng.h>
#include <catch2/catch.hpp>

#include "capf/domain/phone_fetch_store.h"
#include "capf/service/fetch_notes.h"
#include "capf/service/file_exports.h"
#include "capf/service/phone_files.h"
#include "tests/support/expect.h"
#include "tests/support/no_database.h"
#include "tests/support/phone_files.h"
#include "tests/support/site.h"

// Fetches of phones, and their files for other servers.

using namespace capf;
using namespace capf::test;

namespace {

const Address kAddress = *Address::parse("192.0.2.7");
const test::PhoneFiles kData{std::string(CAPF_TEST_DATA) + "/phone-files"};

service::PhoneFile file(const std::string& generation, const std::string& text = "x") {
  return {std::make_shared<const Bytes>(text.begin(), text.end()), generation};
}

struct FetchSite : Site {
  void note(const std::string& name, const std::string& generation, TimePoint at = kSystem.now()) {
    notes.add(files::parse_file_name(name).value(), file(generation), kAddress, at);
  }
  std::optional<PhoneFetch> fetched(const std::string& name) {
    return must(phones.show(must(DeviceName::parse(name)))).fetched;
  }
  std::int64_t behind(std::int64_t generation, int most = 100) {
    return must(
        in_read(database(), [&](Transaction& tx) { return tx.phone_fetches().count_behind(generation, most); }));
  }

  static inline const SystemClock kSystem;
  service::FetchNotes notes{database()};
};

/// A list for everybody, another one for one phone, and configurations of all that are asked for.
class Files final : public service::PhoneFileSource {
 public:
  Result<std::optional<service::PhoneFile>> open(const files::FileRequest& request) override {
    if (request.wanted == files::Wanted::kStatic) return std::nullopt;
    if (request.form == files::Form::kEncrypted) return std::nullopt;
    const bool own = request.device && request.device->text() == "SEP000000000002";
    if (request.wanted == files::Wanted::kTrustList) return file("5", own ? "its own" : "everybody's");
    return file("c", "configuration");
  }
};

}  // namespace

TEST_CASE("what phones fetched is written together, and the last of each kind is shown with the phone") {
  FetchSite site;
  site.add_phone("SEP000000000001");
  site.add_phone("SEP000000000002");
  const TimePoint now = parse_rfc3339("2026-11-30T12:00:00Z").value();
  site.note("ITLSEP000000000001.tlv", "4", now);
  site.note("ITLFile.tlv", "4", now);
  site.note("SEPFFFFFFFFFFFF.cnf.xml", "c-1", now);  // on record nowhere
  site.note("SEP000000000001.cnf.xml.enc.sgn", "c-1", now + std::chrono::seconds{3});
  CHECK_FALSE(site.fetched("SEP000000000001"));
  must(site.notes.write());
  const auto first = site.fetched("SEP000000000001");
  REQUIRE(first);
  CHECK(first->itl_generation == 4);
  CHECK_FALSE(first->ctl_generation);
  CHECK(first->configuration == "c-1");
  CHECK(first->fetched_at == now + std::chrono::seconds{3});
  CHECK(first->address == kAddress);
  CHECK_FALSE(site.fetched("SEP000000000002"));
  CHECK(site.value("select count(*) from phone_fetches") == "1");

  site.note("CTLSEP000000000001.tlv", "5", now - std::chrono::hours{1});
  must(site.notes.write());
  const auto second = site.fetched("SEP000000000001");
  CHECK(second->itl_generation == 4);
  CHECK(second->ctl_generation == 5);
  CHECK(second->configuration == "c-1");
  CHECK(second->fetched_at == now + std::chrono::seconds{3});
  CHECK(site.behind(5) == 1);
  CHECK(site.behind(4) == 0);
  site.sql("insert into phone_trust_lists select id, 'itl', 1 from phones");
  must(site.phones.remove(site.administrator, must(DeviceName::parse("SEP000000000001"))));
  CHECK(site.behind(5) == 0);
  CHECK(site.value("select count(*) from phone_fetches") == "0");
  CHECK(site.value("select count(*) from phone_trust_lists") == "1");
}

TEST_CASE(
    "more fetches than one transaction takes are written in several, and those that are behind are counted so far") {
  FetchSite site;
  std::vector<DeviceName> devices;
  for (int i = 0; i < 1200; ++i) {
    char name[16];
    std::snprintf(name, sizeof name, "SEP%012X", i);
    devices.push_back(must(DeviceName::parse(name)));
  }
  for (const auto& some :
       {std::span(devices).first(500), std::span(devices).subspan(500, 500), std::span(devices).subspan(1000)}) {
    must(site.phones.add(site.administrator, {some.begin(), some.end()}, ""));
  }
  for (const DeviceName& device : devices) site.note("ITL" + device.text() + ".tlv", "1");
  must(site.notes.write());
  CHECK(site.value("select count(*) from phone_fetches") == "1200");
  CHECK(site.behind(2, 10'000) == 1200);
  CHECK(site.behind(2, 1000) == 1000);
}

TEST_CASE("fetches that cannot be written wait, and newer ones stay") {
  NoDatabase away;
  service::FetchNotes notes(away);
  const auto request = files::parse_file_name("ITLSEP000000000001.tlv").value();
  notes.add(request, file("1"), kAddress, FetchSite::kSystem.now());
  CHECK(refused(notes.write()) == Reason::kDatabaseUnavailable);
  CHECK(refused(notes.write()) == Reason::kDatabaseUnavailable);  // it still has it
}

TEST_CASE("an export has every file that a phone may ask for, and a phone's own list where it is another one") {
  FetchSite site;
  for (const char* name : {"SEP000000000001", "SEP000000000002", "CSFuser"}) site.add_phone(name);
  Files all;
  service::StaticFiles statics(
      {}, [] { return std::shared_ptr<const service::PhoneKey>(); }, Botan::system_rng(), FetchSite::kSystem);
  service::FileExports exports(site.database(), all, statics);
  const auto names = [&](const std::optional<Pattern>& devices) {
    std::set<std::string> found;
    must(exports.walk(devices, [&](const std::string& name, const files::FileRequest& request) -> Status {
      CAPF_LET(const auto opened, exports.open(request));
      if (opened) found.insert(name);
      return {};
    }));
    std::set<std::string> together;
    must(exports.open_all(devices, [&](const std::string& name, const Result<service::PhoneFile>& file) -> Status {
      CHECK(file);
      CHECK(together.insert(name).second);
      return {};
    }));
    CHECK(together == found);
    return found;
  };
  const std::set<std::string> second{"CTLSEP000000000002.tlv", "ITLSEP000000000002.tlv", "SEP000000000002.cnf.xml",
                                     "SEP000000000002.cnf.xml.sgn"};
  std::set<std::string> expected = second;
  for (const char* name :
       {"CTLFile.tlv", "ITLFile.tlv", "XMLDefault.cnf.xml", "SEP000000000001.cnf.xml", "SEP000000000001.cnf.xml.sgn"}) {
    expected.insert(name);
  }
  CHECK(names({}) == expected);
  CHECK(names(must(Pattern::parse("*2"))) == second);
  for (int number = 100; number < 130; ++number) site.add_phone("SEP000000000" + std::to_string(number));
  CHECK(names({}).size() == expected.size() + 2 * 30);  // of more than one group
  int opened = 0;
  const Status ended = exports.open_all({}, [&](const std::string&, const Result<service::PhoneFile>&) -> Status {
    ++opened;
    return fail(Reason::kCallerGone);
  });
  CHECK(refused(ended) == Reason::kCallerGone);
  CHECK(opened == 1);
  must(exports.begin(site.administrator, must(Pattern::parse("*2"))));
  must(exports.begin(site.administrator, {}));
  CHECK(site.value("select string_agg(subject, ' ' order by id) from audit_events where action = 'file.export'") ==
        "*2 all");
}

TEST_CASE("a file that an administrator has signed is on record with its digest") {
  FetchSite site;
  const auto key = std::make_shared<const service::PhoneKey>(
      service::PhoneKey{"file-signer", kData.der("tftp"), std::shared_ptr<const ca::SigningKey>(kData.key("tftp"))});
  service::StaticFiles statics(
      {}, [&] { return key; }, Botan::system_rng(), FetchSite::kSystem);
  service::FileExports exports(site.database(), statics, statics);
  const Bytes content{1, 2, 3};
  const Bytes made = must(exports.sign(site.administrator, "German/words.xml", content));
  CHECK(files::verify_signed(made, "German/words.xml.sgn", kData.certificate("tftp")));
  CHECK(site.value("select subject || ' ' || detail from audit_events where action = 'file.sign'") ==
        "German/words.xml.sgn SHA-256 " + to_hex(sha256(content)));
  CHECK(refused(exports.sign(site.administrator, "ITLFile.tlv", content)) == Reason::kInvalidRequest);
  CHECK(refused(exports.sign(site.administrator, "x", Bytes(service::kLargestFileToSign + 1))) ==
        Reason::kRequestTooLarge);
  CHECK(site.value("select count(*) from audit_events where action = 'file.sign'") == "1");
}
