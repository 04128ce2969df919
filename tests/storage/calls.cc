#include "capf/service/calls.h"

#include <array>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "capf/domain/call_store.h"
#include "tests/support/expect.h"
#include "tests/support/site.h"

// Calls of phones with real LSCs: what is on record decides, at once.

using namespace capf;
using namespace capf::test;
using rules::CallReason;

namespace {

/// A mixed site whose profile 2 is encrypted, and what classifies its calls.
struct CallSite : Site {
  CallSite() {
    policy.superseded_grace = std::chrono::hours{24};
    sql("update site_security set mode = 'mixed'");
    sql("insert into profiles (name, mode) values ('secure', 'encrypted')");
    sql("insert into profiles (name, mode, settings) values ('by MIC', 'authenticated', '{\"allow_mic\": \"on\"}')");
  }

  /// A phone with an LSC. @return the LSC
  Bytes secure(const std::string& name) {
    const DeviceName device = add_phone(name);
    apply(name, "secure");
    return enrol(device, PhoneKey());
  }
  void apply(const std::string& device, const std::string& profile) {
    sql("update phones set profile_id = (select id from profiles where name = '" + profile + "') where device = '" +
        device + "' and removed_at is null");
  }
  void add_line(const std::string& name, const std::vector<std::string>& devices) {
    sql("insert into lines (name, added_by) values ('" + name + "', 'tester')");
    for (const std::string& device : devices) {
      std::string statement =
          "insert into line_members (line_id, phone_id, profile_id) "
          "select l.id, p.id, p.profile_id from lines l, phones p where l.name = '";
      statement.append(name).append("' and p.device = '").append(device).append("' and p.removed_at is null");
      sql(statement);
    }
  }

  rules::CallAnswer classify(const std::vector<CallParty>& parties) {
    return must(calls.classify(administrator, {.parties = parties}));
  }
  /// "encrypted", "nonsecure DEVICE_BLOCKED", of the only party.
  std::string says(const CallParty& party) {
    const rules::PartyAnswer answer = classify({party}).parties.front();
    std::string text(to_string(answer.level));
    for (const CallReason reason : answer.reasons) text += ' ' + std::string(to_string(reason));
    return text;
  }

  Metrics observed;
  service::Calls calls{database(), high_water, observed};
};

CallParty phone(const std::string& name) { return {PartyKind::kDevice, name}; }
CallParty line(const std::string& name, const std::string& answered_by = {}) {
  return {PartyKind::kLine, name, answered_by};
}
/// As a SIP server sees a phone with this certificate.
CallParty seen(const std::string& name, const Bytes& certificate) {
  CallParty party = phone(name);
  party.observed = {SeenTransport::kTls, false, SeenMedia::kSrtp, SeenMedia::kNone, sha256(certificate)};
  return party;
}

}  // namespace

TEST_CASE("a call is secure while every phone of it is") {
  CallSite site;
  site.secure("SEP1");
  site.secure("SEP2");
  site.add_phone("SEP3");
  CHECK(site.classify({phone("SEP1"), phone("SEP2")}).level == DeviceMode::kEncrypted);
  const auto answer = site.classify({phone("SEP1"), phone("SEP3"), phone("SEP1")});
  CHECK(answer.level == DeviceMode::kNonsecure);
  REQUIRE(answer.parties.size() == 3);
  CHECK(answer.parties[0].level == DeviceMode::kEncrypted);
  CHECK(answer.parties[1].reasons.empty());  // its profile asks for no more
  CHECK(answer.parties[2].level == DeviceMode::kEncrypted);

  must(site.certificates.revoke(site.administrator, "SEP2", RevocationReason::kUnspecified));
  CHECK(site.says(phone("SEP2")) == "nonsecure CERTIFICATE_REVOKED");
  site.sql("update site_security set mode = 'nonsecure'");
  CHECK(site.says(phone("SEP1")) == "nonsecure SITE_NONSECURE");
}

TEST_CASE("what keeps a phone from being secure is told") {
  CallSite site;
  site.secure("SEP1");
  CHECK(site.says(phone("SEP9")) == "nonsecure DEVICE_UNKNOWN");
  site.add_phone("SEP2");
  site.apply("SEP2", "secure");
  CHECK(site.says(phone("SEP2")) == "nonsecure NO_CERTIFICATE");
  must(site.certificates.revoke(site.administrator, "SEP1", RevocationReason::kCertificateHold));
  CHECK(site.says(phone("SEP1")) == "nonsecure CERTIFICATE_HELD");
  must(site.certificates.release(site.administrator, "SEP1"));
  CHECK(site.says(phone("SEP1")) == "encrypted");
  site.sql("update phone_lscs set not_after = now() where lsc = 'valid'");
  CHECK(site.says(phone("SEP1")) == "nonsecure CERTIFICATE_EXPIRED");
  must(site.phones.block(site.administrator, must(DeviceName::parse("SEP1"))));
  CHECK(site.says(phone("SEP1")) == "nonsecure DEVICE_BLOCKED");
  must(site.phones.remove(site.administrator, must(DeviceName::parse("SEP1"))));
  CHECK(site.says(phone("SEP1")) == "nonsecure DEVICE_REMOVED");
  site.add_phone("SEP1");  // which inherits nothing
  CHECK(site.says(phone("SEP1")) == "nonsecure");
}

TEST_CASE("a certificate that a SIP server saw is the device's own and good, or the call is not secure") {
  CallSite site;
  const DeviceName device = must(DeviceName::parse("SEP1"));
  const Bytes first = site.secure("SEP1");
  const Bytes others = site.secure("SEP2");
  CHECK(site.says(seen("SEP1", first)) == "encrypted");
  CHECK(site.says(seen("SEP1", others)) == "nonsecure CERTIFICATE_MISMATCH");
  CHECK(site.says(seen("SEP1", Bytes{1})) == "nonsecure CERTIFICATE_MISMATCH");
  CHECK(site.says(seen("SEP9", first)) == "nonsecure DEVICE_UNKNOWN CERTIFICATE_MISMATCH");

  const Bytes second = site.enrol(device, PhoneKey());
  CHECK(site.says(seen("SEP1", first)) == "nonsecure CERTIFICATE_SUPERSEDED");  // not revoked yet
  CHECK(site.says(seen("SEP1", second)) == "encrypted");
  must(site.certificates.revoke(site.administrator, "SEP1", RevocationReason::kKeyCompromise));
  CHECK(site.says(seen("SEP1", second)) == "nonsecure DEVICE_BLOCKED CERTIFICATE_REVOKED");
}

TEST_CASE("a MIC counts where its profile allows it, while it is in time") {
  CallSite site;
  site.add_phone("SEP1");
  site.apply("SEP1", "by MIC");
  const Bytes mic{0x30, 0x01, 0x02};
  CHECK(site.says(phone("SEP1")) == "nonsecure NO_CERTIFICATE");
  site.sql("update phones set mic_sha256 = '\\x" + to_hex(sha256(mic)) + "'");
  CHECK(site.says(phone("SEP1")) == "nonsecure NO_CERTIFICATE");  // its dates are not known
  site.sql(
      "insert into phone_mics (phone_id, sha256, der, not_before, not_after) select id, mic_sha256, '\\x300102', "
      "now() - interval '1 day', now() + interval '1 day' from phones");
  CHECK(site.says(phone("SEP1")) == "authenticated");
  CHECK(site.says(seen("SEP1", mic)) == "authenticated");
  site.sql(
      "insert into blocked_certificates (sha256, key_sha256, serial, subject, issuer, not_after, blocked_by) select "
      "mic_sha256, sha256('key'), '1', '', '', now() + interval '1 day', 'tester' from phones");
  CHECK(site.says(phone("SEP1")) == "nonsecure NO_CERTIFICATE");
  CHECK(must(site.phones.show(must(DeviceName::parse("SEP1")))).phone.effective_mode == DeviceMode::kNonsecure);
  site.sql("delete from blocked_certificates");
  CHECK(site.says(phone("SEP1")) == "authenticated");
  site.sql("update phone_mics set not_after = now()");
  CHECK(site.says(seen("SEP1", mic)) == "nonsecure NO_CERTIFICATE CERTIFICATE_EXPIRED");
}

TEST_CASE("of a line that rings the lowest device counts, and then the one that answers") {
  CallSite site;
  const Bytes lsc = site.secure("SEP1");
  site.secure("SEP2");
  site.secure("SEP3");
  site.add_phone("SEP4");
  site.add_line("1001", {"SEP1", "SEP2"});
  site.add_line("1002", {"SEP1", "SEP4"});
  site.add_line("1003", {});
  CHECK(site.says(line("1001")) == "encrypted");
  const auto mixed = site.classify({line("1002")}).parties.front();
  CHECK(mixed.level == DeviceMode::kNonsecure);
  CHECK(mixed.device == "SEP4");
  CHECK(site.says(line("1002", "SEP1")) == "encrypted");
  CHECK(site.says(line("1002", "SEP3")) == "nonsecure DEVICE_NOT_ON_LINE");
  CHECK(site.says(line("1003")) == "nonsecure LINE_UNKNOWN");
  CHECK(site.says(line("1009")) == "nonsecure LINE_UNKNOWN");
  CallParty answered = line("1001", "SEP1");
  answered.observed = seen("SEP1", lsc).observed;
  CHECK(site.says(answered) == "encrypted");
  answered.answered_by = "SEP2";
  CHECK(site.says(answered) == "nonsecure CERTIFICATE_MISMATCH");
  must(site.phones.block(site.administrator, must(DeviceName::parse("SEP2"))));
  CHECK(site.says(line("1001")) == "nonsecure DEVICE_BLOCKED");
  must(site.phones.remove(site.administrator, must(DeviceName::parse("SEP2"))));
  CHECK(site.says(line("1001")) == "encrypted");
}

TEST_CASE("a line of 500 devices is one party with the states of its devices") {
  CallSite site;
  std::vector<std::string> names;
  for (const DeviceName& device : site.add_phones(500)) names.push_back(device.text());
  site.sql("insert into lines (name, added_by) values ('1000', 'tester')");
  site.sql(
      "insert into line_members (line_id, phone_id, profile_id) select l.id, p.id, p.profile_id from lines l, phones "
      "p");
  site.apply(names[250], "secure");
  const std::vector<CallParty> parties(100, line("1000"));
  const auto facts = must(in_read(site.database(), [&](Transaction& tx) { return tx.calls().look(parties); }));
  REQUIRE(facts.size() == 100);
  CHECK(facts.back().devices.size() == 2);
  CHECK(site.classify(parties).parties.front().device == names.front());
}

TEST_CASE("a trunk or bridge counts as far as the site trusts it, and each change is on record") {
  CallSite site;
  const CallParty trunk{PartyKind::kTrunk, "provider"};
  const CallParty bridge{PartyKind::kBridge, "provider"};
  const auto trust = [&](const CallParty& party, DeviceMode level) {
    return site.calls.trust(site.administrator, {.kind = party.kind, .name = party.name, .level = level});
  };
  CHECK(site.says(trunk) == "nonsecure TRUNK_NOT_TRUSTED");
  CHECK(site.says(bridge) == "nonsecure BRIDGE_NOT_SECURE");
  CHECK(must(trust(trunk, DeviceMode::kEncrypted)));
  CHECK(site.says(trunk) == "encrypted");
  CHECK(site.says(bridge) == "nonsecure BRIDGE_NOT_SECURE");
  CHECK_FALSE(must(trust(trunk, DeviceMode::kEncrypted)));
  CHECK(must(trust(trunk, DeviceMode::kAuthenticated)));
  CHECK(must(trust(bridge, DeviceMode::kEncrypted)));
  CHECK(site.says(trunk) == "authenticated");
  CHECK(refused(trust(trunk, DeviceMode::kNonsecure)) == Reason::kInvalidRequest);
  CHECK(refused(trust(phone("SEP1"), DeviceMode::kEncrypted)) == Reason::kInvalidRequest);
  for (const std::string& name : {std::string(), std::string("a\nb"), std::string("a\0b", 3), std::string(65, 'x')}) {
    CAPTURE(name);
    CHECK(refused(trust({PartyKind::kTrunk, name}, DeviceMode::kEncrypted)) == Reason::kInvalidRequest);
  }

  const auto first = must(site.calls.trusted({.after = 0, .limit = 1}));
  REQUIRE(first.size() == 1);
  CHECK(first.front().name == "provider");
  CHECK(first.front().changed_by == "tester");
  CHECK(must(site.calls.trusted({.after = first.front().id, .limit = 1})).size() == 1);
  CHECK(must(site.calls.distrust(site.administrator, trunk)).level == DeviceMode::kAuthenticated);
  CHECK(refused(site.calls.distrust(site.administrator, trunk)) == Reason::kUnknownParty);
  CHECK(site.says(trunk) == "nonsecure TRUNK_NOT_TRUSTED");
  CHECK(site.value("select string_agg(action || ' ' || subject || ' ' || detail, ', ' order by id) from audit_events "
                   "where action like 'trusted_party.%'") ==
        "trusted_party.add trunk:provider encrypted, trusted_party.add trunk:provider authenticated, "
        "trusted_party.add bridge:provider encrypted, trusted_party.remove trunk:provider was authenticated");
}

TEST_CASE("wrong certificates are counted one by one, and on record a few of them") {
  CallSite site;
  const Bytes own = site.secure("SEP1");
  const std::string events = "select count(*) from audit_events where action = 'call.observe'";
  site.says(seen("SEP1", own));
  CHECK(site.value(events) == "0");
  for (int i = 0; i < 1000; ++i) site.says(seen("SEP1", Bytes{7}));
  CHECK(site.observed.text().find(
            "capf_observed_certificates_refused_total{reason=\"CERTIFICATE_NOT_ON_RECORD\"} 1000") !=
        std::string::npos);
  const int recorded = std::stoi(site.value(events));
  CHECK(recorded >= 1);
  CHECK(recorded <= 2 * (kActsInAMinute + 1));  // the loop may run over the end of a minute
  CHECK(site.value("select distinct actor || ' ' || subject || ' ' || outcome || ' ' || reason from audit_events where "
                   "action = 'call.observe' and detail like 'a SIP server%'") ==
        "tester SEP1 refused CERTIFICATE_NOT_ON_RECORD");
}

TEST_CASE("a database that may have forgotten a revocation says nothing of calls") {
  CallSite site;
  site.secure("SEP1");
  site.high_water.report(site.high_water.epoch(), "crl", "CRL 7");
  CHECK(refused(site.calls.classify(site.administrator, {.parties = {phone("SEP1")}})) == Reason::kDatabaseBehind);
}
