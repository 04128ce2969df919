#include "capf/service/publisher.h"

#include <fstream>
#include <set>
#include <thread>

#include <botan/system_rng.h>
#include <catch2/catch.hpp>

#include "capf/service/crlstate.h"
#include "capf/service/monitor.h"
#include "tests/support/folder.h"
#include "tests/support/site.h"

namespace capf::test {
namespace {

using service::PublishedCrls;
using service::Publisher;
using service::ShardState;

/// A clock that tests set apart from the database's.
class ShiftedClock final : public Clock {
 public:
  TimePoint now() const override { return stopped.value_or(SystemClock().now()) + shift; }
  std::optional<TimePoint> stopped;
  Duration shift{0};
};

/// The publishing part of one server of a site.
struct Node {
  explicit Node(Site& of, const std::string& name, std::chrono::seconds interval = std::chrono::seconds{0})
      : site(of), published(must(PublishedCrls::open(folder.path() / "crls"))) {
    open(name, interval);
  }
  void open(const std::string& name, std::chrono::seconds interval) {
    publisher.emplace(site.database(), *published, clock, Botan::system_rng(),
                      service::PublisherSettings{name, "http://capf.example:3807", interval, std::chrono::hours{168}});
  }
  ShardState run() {
    const auto issuer = site.issuer_keys().find(1);
    return publisher->run({{issuer->record(), issuer->key()}}).front();
  }
  ShardState run_well() {
    const ShardState state = run();
    if (state.error) FAIL(to_string(state.error->reason) << ": " << state.error->message << state.error->cause);
    return state;
  }
  std::vector<Revocation> entries() const {
    auto reader = must(ca::CrlReader::open(published->path({1, 0})));
    std::vector<Revocation> list;
    while (const auto entry = must(reader.next())) list.push_back(*entry);
    return list;
  }

  Site& site;
  Folder folder;
  ShiftedClock clock;
  std::unique_ptr<PublishedCrls> published;
  std::optional<Publisher> publisher;
};

std::string reason_of(const ShardState& state) {
  return state.error ? std::string(to_string(state.error->reason)) : "none";
}

void revoke(Site& site, const std::string& device, RevocationReason reason) {
  must(site.certificates.revoke(site.administrator, device, reason));
}

TEST_CASE("a revocation stands on the next CRL, whose number is greater") {
  Site site;
  Node node(site, "one");
  const auto first = node.run_well();
  CHECK(first.published);
  CHECK(first.newest->number == 1);
  CHECK(node.entries().empty());
  CHECK_FALSE(node.run_well().published);

  site.enrol(site.add_phone("SEP000000000001"), PhoneKey());
  site.enrol(site.add_phone("SEP000000000002"), PhoneKey());
  CHECK_FALSE(node.run_well().published);
  revoke(site, "SEP000000000001", RevocationReason::kKeyCompromise);
  const auto second = node.run_well();
  CHECK(second.published);
  CHECK(second.newest->number == 2);
  CHECK(second.newest->entries == 1);
  REQUIRE(node.entries().size() == 1);
  CHECK(node.entries().front().reason == RevocationReason::kKeyCompromise);
  CHECK(site.value("select count(*) from crl_changes") == "0");
  CHECK_FALSE(node.run_well().published);
  CHECK(must(ca::CrlReader::open(node.published->path({1, 0}))).check_issuer(site.issuer_keys().find(1)->record()));
}

TEST_CASE("within half an interval there is one CRL, however many are revoked") {
  Site site;
  Node node(site, "one", std::chrono::seconds{3600});
  CHECK(node.run_well().published);
  site.enrol(site.add_phone("SEP000000000001"), PhoneKey());
  revoke(site, "SEP000000000001", RevocationReason::kSuperseded);
  CHECK_FALSE(node.run_well().published);
  site.sql("update crls set published_at = published_at - interval '31 minutes'");
  CHECK(node.run_well().published);
}

TEST_CASE("a CRL is made anew long before it ends, and after a clock that went back") {
  Site site;
  Node node(site, "one", std::chrono::seconds{3600});
  node.run_well();
  site.sql("update crls set published_at = published_at - interval '43 hours'");
  CHECK(node.run_well().published);
  CHECK_FALSE(node.run_well().published);
  site.sql(
      "update crls set this_update = this_update + interval '1 hour', next_update = next_update + interval '1 hour'");
  const auto third = node.run_well();
  CHECK(third.newest->number == 3);
  CHECK(third.newest->this_update < SystemClock().now());
}

/// Publishes a CRL, which must hold from five minutes ago, in whole seconds.
ShardState publish_backdated(Node& node) {
  const TimePoint earliest = std::chrono::floor<std::chrono::seconds>(SystemClock().now()) - std::chrono::minutes{5};
  const ShardState state = node.run_well();
  const TimePoint latest = SystemClock().now() - std::chrono::minutes{5};
  CHECK(state.published);
  CHECK(state.newest->this_update >= earliest);
  CHECK(state.newest->this_update <= latest);
  CHECK(state.newest->this_update == std::chrono::floor<std::chrono::seconds>(state.newest->this_update));
  return state;
}

TEST_CASE("a CRL holds from five minutes ago, its entries from no later, and never from before its predecessor") {
  Site site;
  site.enrol(site.add_phone("SEP000000000001"), PhoneKey());
  site.enrol(site.add_phone("SEP000000000002"), PhoneKey());
  Node node(site, "one");
  CHECK(publish_backdated(node).newest->number == 1);

  revoke(site, "SEP000000000001", RevocationReason::kKeyCompromise);
  const auto second = publish_backdated(node);
  CHECK(second.newest->number == 2);
  REQUIRE(node.entries().size() == 1);
  CHECK(node.entries().front().revoked_at == second.newest->this_update);

  // As an earlier version, without this rule, has left it: the next one does not begin earlier.
  const auto undated = std::chrono::floor<std::chrono::seconds>(SystemClock().now());
  site.sql("update crls set this_update = date_trunc('second', now()) where number = 2");
  revoke(site, "SEP000000000002", RevocationReason::kCertificateHold);
  const auto third = node.run_well();
  CHECK(third.newest->this_update >= undated);
  for (const Revocation& entry : node.entries()) CHECK(entry.revoked_at <= third.newest->this_update);

  // A hold that follows a release keeps its time: the release before it must not count as its own.
  must(site.certificates.release(site.administrator, "SEP000000000002"));
  node.run_well();
  CHECK(node.entries().size() == 1);
  site.sql("update crls set this_update = this_update - interval '5 minutes'");
  revoke(site, "SEP000000000002", RevocationReason::kCertificateHold);
  const auto last = node.run_well();
  for (const Revocation& entry : node.entries()) {
    CHECK(entry.revoked_at <= last.newest->this_update);
    if (entry.reason != RevocationReason::kCertificateHold) continue;
    CHECK(entry.revoked_at >= undated);
  }
  CHECK(node.entries().size() == 2);
}

TEST_CASE("every server has the newest CRL, and one at a time publishes") {
  Site site;
  Node one(site, "one");
  Node two(site, "two");
  CHECK(one.run_well().published);
  site.enrol(site.add_phone("SEP000000000001"), PhoneKey());
  revoke(site, "SEP000000000001", RevocationReason::kUnspecified);
  // The lease is the first one's.
  site.sql("update leases set holder = 'one', expires_at = now() + interval '1 minute' where name = 'crl/1/0'");
  const auto seen = two.run_well();
  CHECK_FALSE(seen.published);
  CHECK(seen.awaited);
  CHECK(two.published->find({1, 0})->sha256 == one.published->find({1, 0})->sha256);
  CHECK(one.run_well().published);
  CHECK_FALSE(two.run_well().published);
  CHECK(two.entries().size() == 1);

  // It gave the lease back after publishing.
  CHECK(site.value("select count(*) from leases where expires_at > now()") == "0");
  site.sql("insert into crl_changes (issuer_id, shard) values (1, 0)");
  CHECK(two.run_well().published);

  // It is gone: the other one takes over.
  site.sql("update leases set holder = 'one'");
  site.sql("update leases set expires_at = now() where name = 'crl/1/0'");
  site.sql("insert into crl_changes (issuer_id, shard) values (1, 0)");
  const auto taken = two.run_well();
  CHECK(taken.published);
  CHECK(taken.newest->number == 4);
}

TEST_CASE("of servers that publish at once each number is used once") {
  Site site;
  std::vector<std::unique_ptr<Node>> nodes;
  for (int i = 0; i < 3; ++i) nodes.push_back(std::make_unique<Node>(site, "node " + std::to_string(i)));
  std::atomic<int> published{0};
  std::vector<std::thread> threads;
  for (auto& node : nodes) {
    threads.emplace_back([&, self = node.get()] {
      for (int i = 0; i < 10; ++i) {
        site.sql("update leases set expires_at = now()");  // every lease has run out
        site.sql("insert into crl_changes (issuer_id, shard) values (1, 0)");
        published += self->run().published ? 1 : 0;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(std::to_string(published) == site.value("select count(*) from crls"));
  CHECK(site.value("select max(number) = count(*) from crls") == "t");
  for (auto& node : nodes) node->run();
  for (auto& node : nodes) {
    CHECK_FALSE(node->run_well().published);
    CHECK(std::to_string(node->published->find({1, 0})->terms.number) == site.value("select max(number) from crls"));
  }
  CHECK(site.value("select count(distinct number) <= 2 from crl_pieces") == "t");
}

TEST_CASE("an entry stays until it has stood on a CRL that was made after the certificate's end") {
  Site site;
  Node node(site, "one");
  node.run_well();
  site.enrol(site.add_phone("SEP000000000001"), PhoneKey());
  revoke(site, "SEP000000000001", RevocationReason::kSuperseded);
  node.run_well();
  const auto end = [&](const std::string& when) {
    site.sql("update revocations set expires_at = " + when);
    site.sql("update certificates set not_before = " + when + " - interval '1 hour', not_after = " + when);
  };
  end("now() - interval '1 second'");
  node.run_well();
  CHECK(node.entries().size() == 1);
  // Beyond the end, and beyond what a transaction may last.
  end("now() - interval '2 hours'");
  CHECK(node.run_well().newest->entries == 0);
}

TEST_CASE("a server that was away takes the CRL that has dropped an entry since, and loses no other one") {
  Site site;
  Node one(site, "one");
  Node two(site, "two");
  site.enrol(site.add_phone("SEP000000000001"), PhoneKey());
  revoke(site, "SEP000000000001", RevocationReason::kSuperseded);
  one.run_well();
  // The last CRL that the second server has is three hours old, and the certificate has ended since.
  const auto ago = std::chrono::floor<std::chrono::seconds>(SystemClock().now()) - std::chrono::hours{3};
  const auto issuer = site.issuer_keys().find(1);
  auto builder = must(ca::CrlBuilder::begin(two.published->path_aside({1, 0})));
  for (Revocation entry : one.entries()) {
    entry.revoked_at = ago;
    must(builder.add(entry));
  }
  const ca::CrlTerms terms{1, ago, ago + std::chrono::hours{168}, ""};
  must(builder.finish(terms, issuer->record(), issuer->key(), Botan::system_rng()));
  must(two.published->take({1, 0}));
  const auto end = [&](const std::string& when) {
    site.sql("update revocations set expires_at = " + when);
    site.sql("update certificates set not_before = " + when + " - interval '1 hour', not_after = " + when);
  };
  end("now() - interval '2 hours'");
  CHECK(one.run_well().newest->entries == 0);
  site.sql("insert into crl_changes (issuer_id, shard) values (1, 0)");
  CHECK(one.run_well().newest->number == 3);
  SECTION("whose certificate has ended") {
    CHECK(two.run_well().newest->number == 3);
    CHECK(two.entries().empty());
    CHECK(two.published->find({1, 0})->sha256 == one.published->find({1, 0})->sha256);
  }
  SECTION("but none whose certificate has not ended") {
    site.sql("update certificates set not_after = now() + interval '1 hour'");
    CHECK(reason_of(two.run()) == "CRL_WOULD_LOSE_ENTRIES");
    CHECK(two.published->find({1, 0})->terms.number == 1);
  }
}

TEST_CASE("a CRL that would lose an entry is not published, and the old one stays") {
  Site site;
  Node node(site, "one");
  site.enrol(site.add_phone("SEP000000000001"), PhoneKey());
  site.enrol(site.add_phone("SEP000000000002"), PhoneKey());
  revoke(site, "SEP000000000001", RevocationReason::kKeyCompromise);
  // It was released from an earlier hold before this one.
  site.sql("update certificates set released_at = now() - interval '1 minute'");
  revoke(site, "SEP000000000002", RevocationReason::kCertificateHold);
  node.run_well();
  const auto before = node.published->find({1, 0})->sha256;
  // As in an earlier backup.
  const auto forget = [&](const std::string& which) {
    site.sql("alter table certificates disable trigger certificates_revoked");
    site.sql("with gone as (delete from revocations where reason = " + which +
             " returning serial) update certificates set revoked_at = null, revocation_reason = null where serial in "
             "(select serial from gone)");
    site.sql("alter table certificates enable trigger certificates_revoked");
  };
  SECTION("whose certificate is good in the database") {
    forget("1");
    CHECK(reason_of(node.run()) == "CRL_WOULD_LOSE_ENTRIES");
    CHECK(reason_of(node.run()) == "CRL_WOULD_LOSE_ENTRIES");
    CHECK(node.published->find({1, 0})->sha256 == before);
    CHECK(site.value("select max(number) from crls") == "1");
  }
  SECTION("whose certificate nobody knows") {
    site.sql("delete from revocations where reason = 1");
    site.sql("update certificates set issuer_id = 1, serial = '\\x55' where revocation_reason = 1");
    CHECK(reason_of(node.run()) == "CRL_WOULD_LOSE_ENTRIES");
  }
  SECTION("that was on hold and was never released") {
    forget("6");
    site.sql("update certificates set released_at = null");
    CHECK(reason_of(node.run()) == "CRL_WOULD_LOSE_ENTRIES");
  }
  SECTION("that was released before it was put on hold again") {
    forget("6");
    CHECK(reason_of(node.run()) == "CRL_WOULD_LOSE_ENTRIES");
  }
  SECTION("but one on hold may be released") {
    must(site.certificates.release(site.administrator, "SEP000000000002"));
    CHECK(node.run_well().newest->entries == 1);
  }
  SECTION("and one on hold may be revoked for good") {
    revoke(site, "SEP000000000002", RevocationReason::kCaCompromise);
    CHECK(node.run_well().newest->entries == 2);
    CHECK(site.value("select count(*) from crl_changes") == "0");
    std::set<RevocationReason> reasons;
    for (const Revocation& entry : node.entries()) reasons.insert(entry.reason);
    CHECK(reasons == std::set{RevocationReason::kKeyCompromise, RevocationReason::kCaCompromise});
  }
}

TEST_CASE("after a CRL that another server has put in the place of ours comes one that has both") {
  Site site;
  Node node(site, "one");
  site.enrol(site.add_phone("SEP000000000001"), PhoneKey());
  revoke(site, "SEP000000000001", RevocationReason::kKeyCompromise);
  CHECK(node.run_well().newest->number == 1);
  site.sql("update crls set sha256 = sha256('other') where number = 1");
  SECTION("where the database has what ours has") {
    CHECK(node.run_well().newest->number == 2);
    CHECK(node.entries().size() == 1);
  }
  SECTION("and none where it has lost an entry") {
    site.sql(
        "alter table certificates disable trigger user; update certificates set revoked_at = null, "
        "revocation_reason = null; delete from revocations");
    CHECK(reason_of(node.run()) == "CRL_WOULD_LOSE_ENTRIES");
  }
  SECTION("nor where what was revoked for good is on hold in it") {
    site.sql(
        "alter table certificates disable trigger user; update certificates set revocation_reason = 6; "
        "update revocations set reason = 6");
    CHECK(reason_of(node.run()) == "CRL_WOULD_LOSE_ENTRIES");
  }
}

TEST_CASE("a server that failed twice to write a CRL is not ready until it has written it") {
  Site site;
  Node node(site, "one");
  service::CrlState crls;
  const service::RecordState record;
  const service::OwnCertificates own;
  service::Monitor monitor(site.database(), node.clock, site.issuer_keys(), site.high_water, record, crls, own, {});
  const auto round = [&] {
    const ShardState state = node.run();
    crls.report(state);
    return state.failures;
  };
  CHECK(round() == 0);
  site.enrol(site.add_phone("SEP000000000001"), PhoneKey());
  revoke(site, "SEP000000000001", RevocationReason::kKeyCompromise);
  const auto blocked = node.published->path_aside({1, 0});
  std::filesystem::create_directory(blocked);
  CHECK(round() == 1);
  CHECK(monitor.healthy().has_value());
  CHECK(round() == 2);
  const Status failing = monitor.healthy();
  REQUIRE_FALSE(failing);
  CHECK_THAT(failing.error().message, Catch::StartsWith("the next CRL of issuer 1, shard 0, is not published: "));
  std::filesystem::remove(blocked);
  CHECK(round() == 0);
  CHECK(monitor.healthy().has_value());
  CHECK(node.entries().size() == 1);
}

TEST_CASE("a database that is behind what was published publishes nothing") {
  Site site;
  Node node(site, "one");
  node.run_well();
  site.sql("insert into crl_changes (issuer_id, shard) values (1, 0)");
  node.run_well();
  const auto check = [&] { return site.database().read([&](Transaction& tx) { return node.published->check(tx); }); };
  CHECK(check());
  SECTION("without its last CRL") {
    site.sql("delete from crl_pieces where number = 2");
    site.sql("delete from crls where number = 2");
  }
  SECTION("without any") { site.sql("truncate crl_pieces, crls"); }
  CHECK(reason_of(node.run()) == "DATABASE_BEHIND");
  CHECK(check().error().reason == Reason::kDatabaseBehind);
  CHECK(node.published->find({1, 0})->terms.number == 2);
  // So does a server that starts over the same files.
  const auto again = must(PublishedCrls::open(node.folder.path() / "crls"));
  CHECK(again->marks().front().number == 2);
  // And one without files cannot pass the mark with entries lost: see above for its answer then.
  Node fresh(site, "fresh");
  fresh.run();
  CHECK(reason_of(node.run()) == "DATABASE_BEHIND");
}

TEST_CASE("a server whose clock is wrong publishes nothing") {
  Site site;
  Node node(site, "one");
  node.clock.shift = GENERATE(std::chrono::seconds{61}, std::chrono::seconds{-61});
  // A clock that is behind does not catch up while the machine does something else.
  if (node.clock.shift < Duration{0}) node.clock.stopped = SystemClock().now();
  CHECK(reason_of(node.run()) == "CLOCK_SKEW");
  CHECK(site.value("select count(*) from crls") == "0");
}

TEST_CASE("a damaged file of a CRL stops the start, with its name") {
  const Folder folder;
  std::filesystem::create_directory(folder.path() / "crls");
  std::filesystem::permissions(folder.path() / "crls", std::filesystem::perms::owner_all);
  std::ofstream(folder.path() / "crls" / "1-0.crl") << "nonsense";
  const auto opened = PublishedCrls::open(folder.path() / "crls");
  REQUIRE_FALSE(opened);
  CHECK(opened.error().reason == Reason::kCrlCheckFailed);
  CHECK_THAT(opened.error().message, Catch::Contains("1-0.crl"));
}

}  // namespace
}  // namespace capf::test
