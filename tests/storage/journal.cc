#include "capf/service/journal.h"

#include <botan/system_rng.h>
#include <catch2/catch.hpp>

#include "capf/domain/administrator_store.h"
#include "capf/service/administrators.h"
#include "capf/service/calls.h"
#include "capf/service/recovery.h"
#include "capf/service/trusted_certificates.h"
#include "tests/support/data.h"
#include "tests/support/expect.h"
#include "tests/support/folder.h"
#include "tests/support/marks.h"
#include "tests/support/site.h"

// The journal of withdrawals beside a server's keys: it follows all servers, is kept when the database is set back, and
// a recovery brings its entries back.

using namespace capf;
using namespace capf::test;

namespace {

constexpr Role kRole = Role::kOperator;

/// Transactions of other tests, in other databases of the cluster, hold withdrawals back: until they end.
void follow(service::Journal& journal, const LinesInMemory& lines, std::size_t count) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (lines.lines.size() < count && std::chrono::steady_clock::now() < deadline) must(journal.follow());
  REQUIRE(lines.lines.size() == count);
}

/// A site with one of each thing that can be withdrawn.
class Withdrawing {
 public:
  Withdrawing() {
    for (const char* name : {"REMOVED", "BLOCKED", "STOLEN"}) site.add_phone(name);
    const DeviceName stolen = device("STOLEN");
    site.enrol(stolen, key);
    must(site.trust.add(site.administrator, anchor()));
    add_administrator("dismissed", 1);
    add_administrator("present", 2);
  }
  void withdraw() {
    must(site.phones.remove(site.administrator, device("REMOVED")));
    must(site.phones.block(site.administrator, device("BLOCKED")));
    must(site.certificates.revoke(site.administrator, "STOLEN", RevocationReason::kKeyCompromise));
    must(site.trust.block(site.administrator, {blocked}));
    must(administrators.disable(site.administrator, "dismissed"));
  }
  /// Trusts two trunks and the certificate of a SIP server.
  void trust() {
    for (const char* name : {"provider", "branch"}) {
      must(calls.trust(site.administrator, {.kind = PartyKind::kTrunk, .name = name, .level = DeviceMode::kEncrypted}));
    }
    must(certificates.add(
        site.administrator,
        {.file = read_data("tvs/certs/ccm.pem"), .roles = {TrustRole::kCcm}, .dns = {}, .address = {}}));
  }
  void distrust() {
    must(calls.distrust(site.administrator, {PartyKind::kTrunk, "provider"}));
    must(calls.trust(site.administrator,
                     {.kind = PartyKind::kTrunk, .name = "branch", .level = DeviceMode::kAuthenticated}));
    must(certificates.remove(site.administrator, to_hex(sha256(sip_server))));
  }
  /// Restores a dump of before distrust().
  void restore_trust() {
    site.sql(
        "alter table withdrawals disable trigger user; delete from withdrawals; "
        "alter table withdrawals enable trigger user; delete from trusted_parties");
    trust();
    site.sql(
        "alter table withdrawals disable trigger user; delete from withdrawals; "
        "alter table withdrawals enable trigger user");
  }
  std::string trusted() {
    return site.value(
        "select string_agg(name || ' ' || level, ', ' order by name) || ' ' || (select count(*) from "
        "trusted_certificates) from trusted_parties");
  }
  /// Restores an earlier dump.
  void restore() {
    const std::string tables[]{"administrators", "phones",      "blocked_certificates",
                               "public_keys",    "withdrawals", "certificates"};
    std::string statements;
    for (const std::string& table : tables) statements += "alter table " + table + " disable trigger user; ";
    statements +=
        "update administrators set disabled_at = null; update phones set removed_at = null, blocked_at = null; "
        "delete from blocked_certificates; update public_keys set compromised = false; delete from withdrawals; ";
    for (const std::string& table : tables) statements += "alter table " + table + " enable trigger user; ";
    site.sql(statements);
  }
  static DeviceName device(const std::string& name) { return must(DeviceName::parse(name)); }
  Sha256 certificate(const std::string& name) {
    return must(in_read(site.database(), [&](Transaction& tx) -> Result<Sha256> {
      CAPF_LET(const auto found, tx.administrators().find(name));
      if (!found) return fail(Reason::kUnknownAdministrator);
      return found->certificate_sha256;
    }));
  }

  Site site;
  Manufacturer maker{"Maker"};
  Bytes blocked = maker.mic(PhoneKey(), "SEP5");
  PhoneKey key;
  SystemClock clock;
  std::unique_ptr<ca::SigningKey> site_key = must(ca::generate_key(ca::KeyAlgorithm::kP256));
  Bytes site_certificate = must(ca::make_site_ca(*site_key, {"CN=Site CA", clock.now()}, Botan::system_rng()));
  service::Administrators administrators{site.database(), *site_key,      site_certificate,   clock,
                                         site.high_water, site.blacklist, Botan::system_rng()};
  Metrics metrics;
  service::Calls calls{site.database(), site.high_water, metrics};
  service::TrustedCertificates certificates{site.database()};
  Bytes sip_server = read_der("tvs/certs/ccm.pem");
  LinesInMemory lines;
  service::Journal journal{site.database(), lines, site.high_water};

 private:
  service::AnchorRequest anchor() const {
    service::AnchorRequest request;
    request.files = {maker.root()};
    return request;
  }
  void add_administrator(const std::string& name, std::uint8_t octet) {
    Administrator administrator{name, kRole, {}, clock.now() + std::chrono::hours{24}, clock.now(), "test", {}};
    administrator.certificate_sha256.fill(octet);
    must(in_write(site.database(), [&](Transaction& tx) { return tx.administrators().add(administrator); }));
  }
};

/// The parts of a recovery.
struct Recovering {
  explicit Recovering(Withdrawing& of) : one(of) {}
  /// All administrators and anchors that there are.
  service::Confirmed confirmed() {
    const auto state = must(recovery.look());
    service::Confirmed confirmed;
    for (const Administrator& one_of_them : state.administrators) {
      if (!one_of_them.disabled_at) confirmed.administrators.push_back(one_of_them.name);
    }
    for (const TrustAnchor& anchor : state.anchors) confirmed.anchors.push_back(anchor.sha256);
    return confirmed;
  }

  Withdrawing& one;
  Folder folder;
  std::unique_ptr<service::PublishedCrls> published = must(service::PublishedCrls::open(folder.path() / "crls"));
  MarksInMemory marks;
  service::RecordState record;
  service::SiteClock clock{one.clock, TimePoint()};
  std::unique_ptr<ca::SigningKey> audit_key = must(ca::generate_key(ca::KeyAlgorithm::kP256));
  service::Sealer sealer{one.site.database(), *audit_key, marks, one.site.high_water, record, clock, "test",
                         Botan::system_rng()};
  service::Recovery recovery{one.site.database(), *published, marks, one.site.high_water, clock, sealer, one.journal};
};

}  // namespace

TEST_CASE("withdrawals have one form on a line, and nothing else is one") {
  Withdrawal certificate{{7, 9}, WithdrawalKind::kCertificate, false, sha256(as_bytes("x")), 0, "", "{\"a\": \"b c\"}"};
  Withdrawal phone{{18446744073709551615U, 1}, WithdrawalKind::kBlockedPhone, true, {}, 12, "SEP1", ""};
  Withdrawal party{{8, 1}, WithdrawalKind::kTrustedParty, false, sha256(as_bytes("y")), 0, "", "{\"level\": null}"};
  Withdrawal trusted{{8, 2}, WithdrawalKind::kTrustedCertificate, true, sha256(as_bytes("z")), 0, "", ""};
  for (const Withdrawal& withdrawal : {certificate, phone, party, trusted}) {
    const auto read = Withdrawal::parse_line(withdrawal.to_line());
    REQUIRE(read);
    CHECK(read->to_line() == withdrawal.to_line());
  }
  CHECK(Withdrawal::parse_line(certificate.to_line())->block == certificate.block);
  for (const char* line :
       {"", "7", "7 9 phone done 1 SEP1", "7 9 key done 00 -", "7 9 blocked_phone done x SEP1",
        "7 9 blocked_phone done 1 ", "x 9 removed_phone done 1 SEP1", "7 9 removed_phone ended 1 SEP1"}) {
    CAPTURE(line);
    CHECK_FALSE(Withdrawal::parse_line(line));
  }
}

TEST_CASE("a journal keeps of each subject what still holds, and its very last entry") {
  const auto entry = [](std::int64_t id, WithdrawalKind kind, bool undone, std::int64_t phone) {
    return Withdrawal{{1, id}, kind, undone, {}, phone, "SEP" + std::to_string(phone), ""};
  };
  constexpr auto kBlocked = WithdrawalKind::kBlockedPhone;
  constexpr auto kRemoved = WithdrawalKind::kRemovedPhone;
  std::vector<Withdrawal> journal{entry(1, kBlocked, false, 1), entry(2, kBlocked, false, 2),
                                  entry(3, kBlocked, true, 1),  entry(4, kRemoved, false, 2),
                                  entry(5, kBlocked, false, 3), entry(6, kBlocked, false, 2)};
  const auto places = [&] {
    std::string text;
    for (const Withdrawal& each : condense(journal)) text += std::to_string(each.place.id) + ' ';
    return text;
  };
  CHECK(places() == "4 5 6 ");
  journal.push_back(entry(7, kBlocked, true, 3));
  CHECK(places() == "4 6 7 ");
  journal.clear();
  CHECK(places().empty());
}

TEST_CASE("what was withdrawn and given back ten thousand times is left out of the journal") {
  Withdrawing one;
  must(one.journal.open());
  one.withdraw();
  follow(one.journal, one.lines, 6);
  LinesInMemory long_one;
  for (int i = 0; i < 6000; ++i) {
    for (const char* state : {"done", "undone"}) {
      long_one.lines.push_back("1 " + std::to_string(i + 1) + " blocked_phone " + state + " 77 SEP77");
    }
  }
  long_one.lines.insert(long_one.lines.end(), one.lines.lines.begin(), one.lines.lines.end());
  service::HighWater other;
  service::Journal later(one.site.database(), long_one, other);
  must(later.open());
  CHECK(long_one.lines == one.lines.lines);
  CHECK(other.withdrawn().list(WithdrawalKind::kBlockedPhone).size() == 2);
  must(later.follow());
  CHECK(long_one.lines.size() == one.lines.lines.size());
}

TEST_CASE("a server follows what is withdrawn and given back, and finds it again when it starts") {
  Withdrawing one;
  must(one.journal.open());
  one.withdraw();
  follow(one.journal, one.lines, 6);
  const service::Withdrawn& withdrawn = one.site.high_water.withdrawn();
  const auto key = sha256(one.key.botan().subject_public_key());
  CHECK(withdrawn.has_administrator(one.certificate("dismissed")));
  CHECK_FALSE(withdrawn.has_administrator(one.certificate("present")));
  CHECK(withdrawn.has_key({&key, 1}));
  CHECK(withdrawn.list(WithdrawalKind::kCertificate).size() == 1);
  CHECK(withdrawn.list(WithdrawalKind::kRemovedPhone).size() == 1);
  CHECK(withdrawn.list(WithdrawalKind::kBlockedPhone).size() == 2);  // and the stolen one
  must(one.journal.follow());
  const std::size_t count = one.lines.lines.size();
  CHECK(count == 6);

  must(one.site.phones.unblock(one.site.administrator, Withdrawing::device("BLOCKED")));
  follow(one.journal, one.lines, count + 1);
  CHECK(withdrawn.list(WithdrawalKind::kBlockedPhone).size() == 1);

  service::HighWater other;
  service::Journal later(one.site.database(), one.lines, other);
  must(later.open());
  CHECK(other.withdrawn().has_administrator(one.certificate("dismissed")));
  CHECK(other.withdrawn().list(WithdrawalKind::kBlockedPhone).size() == 1);
  must(later.follow());
  CHECK(one.lines.lines.size() == count + 1);
  // A phone that is added again is another one.
  const DeviceName again = one.site.add_phone("REMOVED");
  one.site.enrol(again, PhoneKey());

  // A state directory of an earlier time: it takes over the missing withdrawals.
  LinesInMemory old;
  old.lines.assign(one.lines.lines.begin(), one.lines.lines.begin() + 2);
  service::HighWater older;
  service::Journal restored(one.site.database(), old, older);
  must(restored.open());
  follow(restored, old, one.lines.lines.size());
  CHECK(old.lines == one.lines.lines);

  one.lines.lines.emplace_back("nonsense");
  CHECK(refused(service::Journal(one.site.database(), one.lines, other).open()) == Reason::kInvalidConfiguration);
}

TEST_CASE("what was withdrawn stays so when the database is set back, and a recovery brings it back") {
  Withdrawing one;
  Site& site = one.site;
  must(one.journal.open());
  one.withdraw();
  follow(one.journal, one.lines, 6);
  const Sha256 dismissed = one.certificate("dismissed");
  one.restore();

  CHECK(refused(one.journal.follow()) == Reason::kDatabaseBehind);
  CHECK(refused(site.high_water.check()) == Reason::kDatabaseBehind);
  // Even where the database has gone on, and has another withdrawal in that place.
  const auto last = Withdrawal::parse_line(one.lines.lines.back()).value();
  site.sql("insert into withdrawals (id, xid, kind, phone_id, device) overriding system value values (" +
           std::to_string(last.place.id) + ", '" + std::to_string(last.place.transaction) +
           "', 'removed_phone', 1, 'SEP1')");
  CHECK(refused(one.journal.follow()) == Reason::kDatabaseBehind);
  site.sql(
      "alter table withdrawals disable trigger user; delete from withdrawals; alter table withdrawals enable trigger "
      "user");
  CHECK(refused(one.administrators.recognise(dismissed)) == Reason::kAdministratorDisabled);
  CHECK(must(one.administrators.recognise(one.certificate("present"))).level.error().reason == Reason::kDatabaseBehind);
  // Even where this was not reported.
  site.high_water.report(site.high_water.epoch(), "journal", std::nullopt);
  const DeviceName removed = Withdrawing::device("REMOVED");
  const std::string digits = site.schedule(removed, OperationKind::kInstall, AuthMode::kString);
  CHECK(refused(site.enrolment.issue(Site::with_string(removed, digits), PhoneKey().request())) ==
        Reason::kAuthenticationFailed);
  const DeviceName innocent = site.add_phone("SEP9");
  const std::string string = site.schedule(innocent, OperationKind::kInstall, AuthMode::kString);
  CHECK(refused(site.enrolment.issue(Site::with_string(innocent, string), one.key.request())) ==
        Reason::kKeyCompromised);

  CHECK(refused(one.journal.follow()) == Reason::kDatabaseBehind);
  Recovering recovering(one);
  const service::Confirmed confirmed = recovering.confirmed();
  CHECK(confirmed.administrators == std::vector<std::string>{"present"});
  const std::uint64_t before = site.high_water.epoch();
  site.high_water.report(before, "crls", "a CRL is not there");
  const auto done = must(recovering.recovery.run(site.administrator, confirmed));
  CHECK(done.withdrawn == 6);
  must(site.high_water.check());
  site.high_water.report(before, "crls", "a CRL is not there");  // by a thread that read it before the recovery
  CHECK(site.value("select disabled_at is not null from administrators where name = 'dismissed'") == "t");
  CHECK(site.value("select count(*) from blocked_certificates") == "1");
  CHECK(site.value("select count(*) from public_keys where compromised") == "1");
  CHECK(site.value("select string_agg(device, ' ' order by device) from phones where removed_at is not null") ==
        "REMOVED");
  CHECK(site.value("select string_agg(device, ' ' order by device) from phones where blocked_at is not null") ==
        "BLOCKED STOLEN");
  must(site.high_water.check());
  follow(one.journal, one.lines, 6);
  CHECK(site.high_water.withdrawn().has_administrator(dismissed));
  CHECK(one.lines.lines.size() == 6);
}

TEST_CASE("a dump of before a party or a certificate lost its trust does not bring that back") {
  Withdrawing one;
  Site& site = one.site;
  must(one.journal.open());
  one.trust();
  one.distrust();
  follow(one.journal, one.lines, 6);  // each was given, and then taken away or lowered
  CHECK(one.trusted() == "branch authenticated 0");
  one.restore_trust();
  REQUIRE(one.trusted() == "branch encrypted, provider encrypted 1");
  CHECK(refused(one.journal.follow()) == Reason::kDatabaseBehind);
  CHECK(refused(one.calls.classify(site.administrator, {.parties = {{PartyKind::kTrunk, "provider"}}})) ==
        Reason::kDatabaseBehind);
  Recovering recovering(one);
  CHECK(must(recovering.recovery.run(site.administrator, recovering.confirmed())).withdrawn == 3);
  CHECK(one.trusted() == "branch authenticated 0");
  CHECK(
      site.value("select string_agg(action || ' ' || subject, ', ' order by subject) from audit_events "
                 "where detail like '%before the database was restored%' and action <> 'trusted_certificate.remove'") ==
      "trusted_party.add trunk:branch, trusted_party.remove trunk:provider");
  CHECK(site.value("select count(*) from audit_events where action = 'trusted_certificate.remove' and detail like "
                   "'it was withdrawn before%'") == "1");

  // Trust that is given back counts again, after a recovery too.
  one.trust();
  follow(one.journal, one.lines, 6);
  CHECK(site.high_water.withdrawn().list(WithdrawalKind::kTrustedParty).empty());
  CHECK(site.high_water.withdrawn().list(WithdrawalKind::kTrustedCertificate).empty());
}

TEST_CASE("the server's role makes up no withdrawal") {
  Site site;
  CHECK_THROWS_WITH(
      site.sql("insert into withdrawals (kind, phone_id, device) values ('removed_phone', 1, 'SEP1')", "capf_server"),
      Catch::Contains("permission denied"));
  CHECK_THROWS_WITH(site.sql("delete from withdrawals"), Catch::Contains("never changed"));
}
