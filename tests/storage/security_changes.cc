// Changes of security as a SIP server hears them: which change of what writes a row, in which order they are read, what
// the time brings, and how long they are kept.
#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "capf/domain/issuer_store.h"
#include "capf/domain/security_change_store.h"
#include "capf/domain/summary_store.h"
#include "tests/storage/samples.h"

namespace capf::test {
namespace {

using std::chrono::hours;

/// A mixed site with the profile "office", which is encrypted, and phones: SEP1 to SEP4, of which SEP1 has the first
/// profile and the others have that one. Each has an LSC that was issued and not confirmed.
struct Phones {
  Phones() {
    fresh.sql("update site_security set mode = 'mixed'");
    fresh.sql("insert into profiles (name, mode) values ('office', 'encrypted')");
    in(*database, [](Transaction& tx) {
      const std::int64_t issuer = good(tx.issuers().add(sample_issuer()));
      for (const char* name : {"SEP1", "SEP2", "SEP3", "SEP4"}) {
        const Operation operation = added_operation(tx, added_phone(tx, device(name)));
        added_certificate(tx, sample_lsc(tx, operation, issuer, name));
      }
    });
    set("profile_id = 2", "device <> 'SEP1'");
    told();
  }
  void set(const std::string& what, const std::string& of) const {
    fresh.sql("update phones set " + what + " where " + of);
  }
  void lscs(const std::string& what, const std::string& of) const {
    fresh.sql("update certificates set " + what + " where phone_id in (select id from phones where " + of + ")");
  }
  void confirm(const std::string& of = "true") const { lscs("confirmed_at = now()", of); }
  /// Waits until no transaction runs that began before, also of another test in the cluster: a reader waits for them.
  void settle() const {
    const std::string now = fresh.sql("select pg_current_xact_id()");
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    while (fresh.sql("select pg_snapshot_xmin(pg_current_snapshot()) > '" + now + "'::xid8") != "t") {
      if (std::chrono::steady_clock::now() > deadline) FAIL("a transaction of another test does not end");
    }
  }
  std::vector<SecurityChange> changes(int limit = 1000) {
    settle();
    return read(limit);
  }
  std::vector<SecurityChange> read(int limit) {
    auto page = good(in_read(*database, [&](Transaction& tx) { return tx.security_changes().list(cursor, limit); }));
    if (!page.empty()) cursor = page.back().cursor;
    return page;
  }
  /// The news since the last call: "SEP2 CERTIFICATE_CONFIRMED encrypted; …", by device.
  std::string told() {
    std::vector<std::string> lines;
    for (const SecurityChange& change : changes()) {
      std::string line = change.device.empty() ? "profile " + change.profile : change.device;
      if (change.device.empty() && change.profile_id == 0) line = "site";
      if (change.kind != SecurityChangeKind::kModeChanged) line += " " + std::string(to_string(change.kind));
      if (change.revocation) line += " " + std::string(to_string(*change.revocation));
      for (const std::string& word : {change.reason, change.mode, change.digest_user}) {
        if (!word.empty()) line += " " + word;
      }
      if (change.facts) line += " " + std::string(to_string(effective_mode(*change.facts).mode));
      lines.push_back(line);
    }
    std::sort(lines.begin(), lines.end());
    std::string text;
    for (const std::string& line : lines) text += (text.empty() ? "" : "; ") + line;
    return text;
  }
  int tell_ends(int limit) {
    return good(in_write(*database, [&](Transaction& tx) { return tx.security_changes().tell_ends(limit); }));
  }

  FreshDatabase fresh;
  std::unique_ptr<storage::PostgresDatabase> database = fresh.open();
  ChangeCursor cursor;
};

TEST_CASE("what changes the mode of a phone is told, unless it has the first profile") {
  Phones site;
  site.confirm();
  CHECK(site.told() ==
        "SEP2 CERTIFICATE_CONFIRMED encrypted; SEP3 CERTIFICATE_CONFIRMED encrypted; SEP4 CERTIFICATE_CONFIRMED "
        "encrypted");
  site.set("blocked_at = now()", "device in ('SEP1', 'SEP2')");
  CHECK(site.told() == "SEP2 BLOCKED nonsecure");
  site.set("blocked_at = null", "device in ('SEP1', 'SEP2')");
  CHECK(site.told() == "SEP2 UNBLOCKED encrypted");
  site.set("profile_id = 1", "device = 'SEP2'");
  site.set("profile_id = 2", "device = 'SEP1'");
  CHECK(site.told() == "SEP1 PROFILE encrypted; SEP2 PROFILE nonsecure");
  site.set("model = 'CP-7841', revision = revision", "true");
  CHECK(site.told().empty());
  site.set("removed_at = now()", "device in ('SEP2', 'SEP3')");
  CHECK(site.told() == "SEP3 REMOVED nonsecure");
}

TEST_CASE("an enrolment of a phone of the first profile writes no change") {
  Phones site;
  site.confirm("device = 'SEP1'");
  CHECK(site.fresh.sql("select lsc from phone_lscs l join phones p on p.id = l.phone_id where p.device = 'SEP1'") ==
        "valid");
  CHECK(site.told().empty());
}

TEST_CASE("a profile or the site that changes is one change, and no other setting is one") {
  Phones site;
  site.confirm();
  site.told();
  site.fresh.sql("update profiles set mode = 'authenticated' where id = 2");
  CHECK(site.told() == "profile office authenticated");
  site.fresh.sql("update profiles set settings = '{\"allow_mic\": \"on\"}' where id = 2");
  CHECK(site.told() == "profile office authenticated");
  site.fresh.sql("update profiles set settings = settings || '{\"digest\": \"on\"}', mode = mode where id = 2");
  CHECK(site.told().empty());
  site.fresh.sql("update site_security set mode = 'nonsecure'");
  CHECK(site.told() == "site nonsecure");
  site.fresh.sql("update site_security set mode = 'nonsecure', changed_at = now()");
  CHECK(site.told().empty());
}

TEST_CASE("every LSC that is withdrawn or released is told, with what it is known by") {
  Phones site;
  site.confirm();
  site.told();
  site.lscs("revoked_at = now(), revocation_reason = 6", "device in ('SEP1', 'SEP2')");
  CHECK(site.told() ==
        "SEP1 certificate_withdrawn certificateHold nonsecure; SEP2 CERTIFICATE_HELD nonsecure; SEP2 "
        "certificate_withdrawn certificateHold nonsecure");
  site.lscs("revoked_at = null, revocation_reason = null", "device = 'SEP2'");
  CHECK(site.told() == "SEP2 CERTIFICATE_RELEASED encrypted; SEP2 certificate_released encrypted");
  site.lscs("revocation_reason = 1", "device = 'SEP1'");
  const auto changes = site.changes();
  REQUIRE(changes.size() == 1);
  CHECK(changes.front().kind == SecurityChangeKind::kCertificateWithdrawn);
  CHECK(changes.front().device == "SEP1");
  CHECK(changes.front().revocation == RevocationReason::kKeyCompromise);
  in(*site.database, [&](Transaction& tx) {
    const Certificate lsc = *good(tx.certificates().find_lsc(*changes.front().sha256));
    CHECK(lsc.device == "SEP1");
    CHECK(lsc.serial == changes.front().serial);
  });
}

TEST_CASE("an LSC that was never in use changes no mode when it is revoked") {
  Phones site;
  site.lscs("revoked_at = now(), revocation_reason = 4, superseded_at = now()", "device = 'SEP2'");
  CHECK(site.told() == "SEP2 certificate_withdrawn superseded nonsecure");
}

TEST_CASE("LSCs that end are told once, step by step, and those of the first profile are not") {
  Phones site;
  site.confirm();
  site.told();
  CHECK(site.tell_ends(2) == 0);
  site.fresh.sql("update security_ends set ended_at = now() - interval '1 hour'");
  // Without the trigger, as the time does it.
  site.fresh.sql(
      "alter table phone_lscs disable trigger phone_lscs_changed_mode; "
      "update phone_lscs set not_after = now() - interval '1 minute'; "
      "alter table phone_lscs enable trigger phone_lscs_changed_mode");
  CHECK(site.tell_ends(3) == 3);  // all of the same moment
  CHECK(site.told() == "SEP2 CERTIFICATE_EXPIRED nonsecure; SEP3 CERTIFICATE_EXPIRED nonsecure");
  CHECK(site.tell_ends(3) == 1);
  CHECK(site.told() == "SEP4 CERTIFICATE_EXPIRED nonsecure");
  CHECK(site.tell_ends(3) == 0);
  site.fresh.sql(
      "update phone_lscs set not_after = now() + interval '1 hour' where phone_id in (select id from phones where "
      "device = 'SEP3')");
  CHECK(site.told() == "SEP3 CERTIFICATE_CONFIRMED encrypted");
  // A clock that was ahead has told of an end that comes later.
  site.fresh.sql("update security_ends set ended_at = now() + interval '1 day'");
  CHECK(site.tell_ends(3) == 0);
}

TEST_CASE("a MIC counts for a profile that takes it, until it ends or is forgotten") {
  Phones site;
  const auto shows = [&](const std::string& name, const std::string& end) {
    site.set("mic_sha256 = sha256('" + name + "')", "device = '" + name + "'");
    site.fresh.sql(
        "insert into phone_mics (phone_id, sha256, der, not_before, not_after) select id, mic_sha256, '0', "
        "now() - interval '1 day', now() + interval '" +
        end + "' from phones where device = '" + name + "'");
  };
  shows("SEP2", "1 hour");
  CHECK(site.told().empty());
  site.fresh.sql("update profiles set settings = '{\"allow_mic\": \"on\"}' where id = 2");
  site.told();
  shows("SEP3", "1 hour");
  shows("SEP1", "1 hour");
  CHECK(site.told() == "SEP3 MIC encrypted");
  site.set("mic_sha256 = null", "device = 'SEP3'");
  CHECK(site.told() == "SEP3 MIC nonsecure");
  site.fresh.sql("update security_ends set ended_at = now() - interval '1 hour'");
  shows("SEP4", "-1 minute");
  CHECK(site.told() == "SEP4 MIC nonsecure");
  CHECK(site.tell_ends(10) == 1);
  CHECK(site.told() == "SEP4 MIC nonsecure");
}

TEST_CASE("a MIC that is blocked counts no more, and its end is then no news") {
  Phones site;
  site.fresh.sql("update profiles set settings = '{\"allow_mic\": \"on\"}' where id = 2");
  site.set("mic_sha256 = sha256(device::bytea)", "true");
  site.fresh.sql(
      "insert into phone_mics (phone_id, sha256, der, not_before, not_after) select id, mic_sha256, '0', "
      "now() - interval '1 day', now() + interval '1 hour' from phones");
  site.told();
  const auto block = [&](const std::string& name) {
    site.fresh.sql(
        "insert into blocked_certificates (sha256, key_sha256, serial, subject, issuer, not_after, blocked_by) values "
        "(sha256('" +
        name + "'), sha256('key'), '1', '', '', now() + interval '1 hour', 'tester')");
  };
  block("SEP2");
  CHECK(site.told() == "SEP2 MIC nonsecure");
  site.fresh.sql("delete from blocked_certificates");
  CHECK(site.told() == "SEP2 MIC encrypted");
  block("SEP1");  // of the first profile
  block("SEP9");
  CHECK(site.told().empty());
  block("SEP3");
  CHECK(site.told() == "SEP3 MIC nonsecure");
  site.fresh.sql(
      "alter table phone_mics disable trigger user; update phone_mics set not_after = now() - interval '1 minute'; "
      "alter table phone_mics enable trigger user; "
      "update security_ends set ended_at = now() - interval '1 hour' where credential = 'mic'");
  CHECK(site.tell_ends(10) == 4);
  CHECK(site.told() == "SEP2 MIC nonsecure; SEP4 MIC nonsecure");
  site.fresh.sql("delete from blocked_certificates");  // of what has ended
  CHECK(site.told().empty());
}

TEST_CASE("digest users are told by phone, by user, or all of them") {
  Phones site;
  site.fresh.sql(
      "insert into digest_site (realm) values ('one'); insert into digest_users (name, password) values "
      "('anna', decode(repeat('01', 40), 'hex')), ('bert', decode(repeat('01', 40), 'hex'))");
  CHECK(site.told().empty());
  site.fresh.sql(
      "insert into phone_digest (phone_id, user_id) select id, 1 from phones where device in ('SEP1', 'SEP2')");
  CHECK(site.told() == "SEP1 digest_user_changed anna nonsecure; SEP2 digest_user_changed anna nonsecure");
  const std::string of_first = " where phone_id = (select id from phones where device = 'SEP1')";
  site.fresh.sql("update phone_digest set login_id = 2, login_at = now()" + of_first);
  CHECK(site.told() == "SEP1 digest_user_changed bert nonsecure");
  site.fresh.sql("update phone_digest set user_id = null" + of_first);
  CHECK(site.told().empty());
  site.fresh.sql("delete from phone_digest" + of_first);
  CHECK(site.told() == "SEP1 digest_user_changed nonsecure");
  site.fresh.sql("update digest_users set password = decode(repeat('02', 40), 'hex')");  // under another key
  CHECK(site.told().empty());
  site.fresh.sql("update digest_users set password_set_at = now() + interval '1 second' where id = 1");
  CHECK(site.told() == "site digest_user_changed anna");
  site.fresh.sql("update digest_site set realm = 'two'");
  CHECK(site.told() == "site digest_user_changed");
}

TEST_CASE("a reader of security loses no change of a transaction that ends late") {
  Phones site;
  in(*site.database, [&](Transaction& slow) {
    const std::vector<std::int64_t> ids{good(slow.phones().find(device("SEP2")))->id};
    good(slow.phones().lock_all(ids));
    written(slow, ids.front(),
            {RevokeCertificate{good(slow.certificates().of_phone(ids.front(), 1)).front().id,
                               RevocationReason::kUnspecified}});
    site.set("blocked_at = now()", "device = 'SEP3'");
    CHECK(site.read(1000).empty());  // it may not be passed by
  });
  CHECK(site.told() == "SEP2 certificate_withdrawn unspecified nonsecure; SEP3 BLOCKED nonsecure");
}

TEST_CASE("a page ends where it was asked to, and the next one goes on") {
  Phones site;
  site.confirm();
  CHECK(site.changes(2).size() == 2);
  CHECK(site.changes(2).size() == 1);
  CHECK(site.changes(2).empty());
}

TEST_CASE("a cursor behind which changes are deleted has expired, and no other one") {
  Phones site;
  const ChangeCursor before = site.cursor;
  site.confirm();
  site.changes();
  const ChangeCursor last = site.cursor;
  const auto forget = [&](int limit) {
    return good(
        in_write(*site.database, [&](Transaction& tx) { return tx.security_changes().forget(hours(24), limit); }));
  };
  const auto reason_from = [&](const ChangeCursor& cursor) {
    const auto read = in_read(*site.database, [&](Transaction& tx) { return tx.security_changes().list(cursor, 10); });
    return read ? std::string() : std::string(to_string(read.error().reason));
  };
  CHECK(forget(100) == 0);
  CHECK(reason_from({}).empty());
  site.fresh.sql("update security_changes set at = now() - interval '25 hours'");
  const int all = std::stoi(site.fresh.sql("select count(*) from security_changes"));
  CHECK(forget(all - 3) == all - 3);
  CHECK(reason_from({}) == "CURSOR_EXPIRED");
  CHECK(reason_from(before).empty());
  CHECK(forget(100) == 3);
  CHECK(reason_from(before) == "CURSOR_EXPIRED");
  CHECK(reason_from(last).empty());
  CHECK(forget(100) == 0);
}

TEST_CASE("the server may not make a change up, nor take one back") {
  const FreshDatabase fresh;
  for (const char* text : {"insert into security_changes (kind, mode) values ('mode_changed', 'mixed')",
                           "delete from security_changes", "update security_changes set reason = null",
                           "update security_ends set phone_id = 1", "update security_changes_deleted set id = 1"}) {
    CHECK_THROWS_WITH(fresh.sql(text, "capf_server"), Catch::Contains("permission denied"));
  }
}

TEST_CASE("places go on behind the last change where the cluster is another one") {
  Phones site;
  site.fresh.sql("insert into security_changes (xid, kind, mode) values ('1000000000', 'mode_changed', 'mixed')");
  CHECK(site.fresh.sql("select adopt_cluster()", "capf_server") == "t");
  site.told();
  site.set("blocked_at = now()", "device = 'SEP3'");
  CHECK(site.told() == "SEP3 BLOCKED nonsecure");
}

TEST_CASE("phones are counted by what their mode depends on, some at a time") {
  Phones site;
  site.confirm("device in ('SEP2', 'SEP3')");
  site.set("blocked_at = now()", "device = 'SEP3'");
  site.fresh.sql("update profiles set settings = '{\"digest\": \"on\"}' where id = 2");
  site.fresh.sql(
      "insert into phone_settings (phone_id, settings) select id, '{\"digest\": \"off\"}' from phones where device = "
      "'SEP4'");
  ModeFigures figures;
  ModeCount::Place place;
  in(*site.database, [&](Transaction& tx) {
    for (int calls = 0; calls < 3; ++calls) {
      const ModeCount some = good(tx.summary().count_modes(place, 2));
      std::int64_t phones = 0;
      for (const ModeCount::Group& group : some.groups) {
        ModeFigure& figure = figures[{group.facts.profile, effective_mode(group.facts).reason}];
        figure.phones += group.figure.phones;
        figure.without_digest_user += group.figure.without_digest_user;
        phones += group.figure.phones;
      }
      CHECK(phones == (calls == 0 ? 2 : calls == 1 ? 1 : 0));
      if (phones > 0) place = some.last;
    }
    good(tx.summary().set_modes({{{DeviceMode::kAuthenticated, ModeReason::kNone}, {7, 0}}}));
    good(tx.summary().set_modes(figures));
  });
  const Summary summary = good(in_read(*site.database, [](Transaction& tx) { return tx.summary().summary({}); }));
  const PhoneModes modes = phone_modes(summary.modes, summary.phones);
  using Modes = std::map<DeviceMode, std::int64_t>;
  CHECK(modes.profile ==
        Modes{{DeviceMode::kNonsecure, 1}, {DeviceMode::kAuthenticated, 0}, {DeviceMode::kEncrypted, 3}});
  CHECK(modes.effective ==
        Modes{{DeviceMode::kNonsecure, 3}, {DeviceMode::kAuthenticated, 0}, {DeviceMode::kEncrypted, 1}});
  CHECK(modes.not_in_effect.at(ModeReason::kBlocked) == 1);
  CHECK(modes.not_in_effect.at(ModeReason::kNoCertificate) == 1);
  CHECK(modes.not_in_effect.at(ModeReason::kCertificateExpired) == 0);
  CHECK(modes.without_digest_user == 2);
}

}  // namespace
}  // namespace capf::test
