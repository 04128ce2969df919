#include "capf/domain/selection.h"

#include <array>
#include <functional>
#include <sstream>

#include "capf/domain/certificate_store.h"
#include "capf/domain/issuer_store.h"
#include "capf/domain/phone_store.h"
#include "tests/storage/samples.h"

namespace capf::test {
namespace {

using std::chrono::hours;
using Ids = std::vector<std::int64_t>;

/// The names of a selection's phones, by pages of `limit`, and that they are as many as are counted.
std::string selected(Transaction& tx, const PhoneSelection& selection, int limit = 2) {
  std::string names;
  std::int64_t count = 0;
  for (PhonePage page{{}, limit};;) {
    const SelectedPhones found = good(tx.phones().select(selection, page));
    for (const Phone& phone : good(tx.phones().find_all(found.ids))) {
      names += (names.empty() ? "" : " ") + phone.device.text();
      ++count;
    }
    if (!found.next) break;
    page.after = found.next;
  }
  CHECK(good(tx.phones().count(selection)).phones == count);
  return names;
}

Pattern pattern(const std::string& text) { return good(Pattern::parse(text)); }
LscStatus lsc_of(Transaction& tx, const std::string& name) { return good(tx.phones().find(device(name)))->lsc.status; }

TEST_CASE("a phone's LSC is beside it, as its certificates are changed") {
  const FreshDatabase fresh;
  const auto database = fresh.open();
  Certificate lsc;
  Operation operation{.device = device()};
  in(*database, [&](Transaction& tx) {
    operation = added_operation(tx, added_phone(tx));
    lsc = sample_lsc(tx, operation, good(tx.issuers().add(sample_issuer())));
    CHECK(lsc_of(tx, device().text()) == LscStatus::kNone);
    lsc.id = added_certificate(tx, lsc);
    CHECK(lsc_of(tx, device().text()) == LscStatus::kNone);
  });
  in(*database, [&](Transaction& tx) {
    written(tx, operation.phone_id, {ConfirmCertificate{lsc.id}});
    const PhoneLsc now = good(tx.phones().find(device()))->lsc;
    CHECK(now.status == LscStatus::kValid);
    CHECK(now.not_after == lsc.not_after);
    CHECK(now.issuer_id == lsc.issuer_id);
  });
  in(*database, [&](Transaction& tx) {
    written(tx, operation.phone_id, {RevokeCertificate{lsc.id, RevocationReason::kCertificateHold}});
    CHECK(lsc_of(tx, device().text()) == LscStatus::kHeld);
    CHECK(good(tx.certificates().release(lsc.id)));
    CHECK(lsc_of(tx, device().text()) == LscStatus::kValid);
  });
  in(*database, [&](Transaction& tx) {
    written(tx, operation.phone_id, {RevokeCertificate{lsc.id, RevocationReason::kKeyCompromise}});
    CHECK(lsc_of(tx, device().text()) == LscStatus::kRevoked);
  });
  fresh.sql("update phone_lscs set lsc = 'valid', not_after = now() - interval '1 hour'");
  in(*database, [](Transaction& tx) { CHECK(lsc_of(tx, device().text()) == LscStatus::kExpired); });
  in(*database, [&](Transaction& tx) { good(tx.phones().remove_all(std::array{operation.phone_id})); });
  CHECK(fresh.sql("select count(*) from phone_lscs") == "0");
}

TEST_CASE("a phone that proves who it is was seen, which is written once in 5 minutes") {
  const FreshDatabase fresh;
  fresh.sql("insert into phones (device) values ('SEP1')");
  fresh.sql(
      "insert into operations (id, phone_id, kind, state, auth, key_order, rsa_bits, ec_bits, self_service, "
      "created_by, "
      "completes_by, authenticated_by) values (1, 1, 'install', 'in_progress', 'null', 'rsa', 2048, 384, false, 'a', "
      "now(), 'none')");
  const std::string seen =
      "select coalesce(extract(epoch from last_seen - first_seen) || '', 'never') || ' ' || "
      "coalesce((extract(epoch from last_seen) % 300)::int || '', '') from phone_sightings "
      "where first_seen is not null union all select 'never' limit 1";
  CHECK(fresh.sql(seen) == "never");
  fresh.sql("update operations set session = 1, authenticated_by = 'mic'");
  CHECK_THAT(fresh.sql(seen), Catch::EndsWith(" 0") && Catch::StartsWith("0"));
  fresh.sql("update phone_sightings set first_seen = first_seen - interval '1 day'");
  const std::string version = fresh.sql("select xmin from phone_sightings");
  fresh.sql("update phone_sightings set last_seen = last_seen + interval '1 day'");
  const std::string ahead = fresh.sql("select xmin from phone_sightings");
  CHECK(ahead != version);
  fresh.sql("update operations set session = 2");
  CHECK(fresh.sql("select xmin from phone_sightings") == ahead);
  const std::string kNever = "update phone_sightings set first_seen = null, last_seen = '-infinity'";
  fresh.sql(kNever);
  fresh.sql("update operations set state = 'issued', certificates = 1");  // by a call that begins no dialogue
  CHECK(fresh.sql(seen) != "never");
  fresh.sql(kNever);
  fresh.sql("update operations set state = 'cancelled', finished_at = now()");
  CHECK(fresh.sql(seen) == "never");
}

/// Five phones, of which each has something that others lack.
void fill_each(const FreshDatabase& fresh) {
  fresh.sql(
      "insert into phones (device, model) values ('SEP1', 'CP-8861'), ('SEP2', 'CP-8861'), ('SEP3', 'CP-7821'), "
      "('ATA4', 'ATA 191'), ('SEP5', ''); update phones set blocked_at = now() where device = 'SEP3'; "
      "insert into issuers values (1, 'CN=1', sha256('1'), '', '', now(), now() + interval '9 years', true, 1), "
      "(2, 'CN=2', sha256('2'), '', '', now(), now() + interval '1 year', false, 1); "
      "update phone_lscs set (lsc, not_after, issuer_id) = ('valid', now() + interval '30 days', 1) where phone_id = "
      "1; "
      "update phone_lscs set (lsc, not_after, issuer_id) = ('valid', now() - interval '1 day', 2) where phone_id = 2; "
      "update phone_lscs set (lsc, not_after, issuer_id) = ('revoked', now(), 2) where phone_id = 3; "
      "update phone_sightings set first_seen = now(), last_seen = now() where phone_id <> 5; "
      "insert into device_strings (phone_id, count, locked_until) values (1, 9, now() + interval '1 hour'); "
      "insert into operations (id, phone_id, kind, auth, key_order, rsa_bits, ec_bits, self_service, created_by, "
      "completes_by) select n, n, 'install', case when n = 1 then 'mic' else 'null' end, 'rsa', 2048, 384, false, 'a', "
      "now() + (2 * n - 3) * interval '1 hour' from generate_series(1, 3) n; "
      "update operations set state = 'failed', finished_at = now(), reason = 'MIC_CHANGED', authenticated_by = 'none' "
      "where id = 3; insert into phone_attempts values (1, now() - interval '1 day', '', 'grpc', 'install', "
      "'MIC_CHANGED', ''), (2, now() + interval '1 second', '', 'grpc', 'install', 'AUTH_STRING_MISMATCH', '')");
}

TEST_CASE("phones are found by each of their properties, an option given twice is or, and different ones are and") {
  const FreshDatabase fresh;
  fill_each(fresh);
  const auto database = fresh.open();
  in(*database, [&](Transaction& tx) {
    good(tx.phones().change(Ids{1, 2, 4}, {.added_tags = {"lobby", "f-1"}}));
    good(tx.phones().change(Ids{4}, {.removed_tags = {"f-1"}}));
    const TimePoint now = tx.now();
    CHECK(selected(tx, {}) == "ATA4 SEP1 SEP2 SEP3 SEP5");
    CHECK(selected(tx, {.devices = {device("SEP2"), device("ATA4"), device("SEP9")}}) == "ATA4 SEP2");
    CHECK(selected(tx, {.patterns = {pattern("SEP*"), pattern("SE*5")}, .excepts = {device("SEP2")}}) ==
          "SEP1 SEP3 SEP5");
    CHECK(selected(tx, {.tags = {"f-1"}}) == "SEP1 SEP2");
    CHECK(selected(tx, {.tags = {"f-1", "lobby"}}) == "ATA4 SEP1 SEP2");
    CHECK(selected(tx, {.models = {pattern("CP-8861"), pattern("CP-7821")}}) == "SEP1 SEP2 SEP3");
    CHECK(selected(tx, {.models = {pattern("CP-*")}}) == "SEP1 SEP2 SEP3");
    CHECK(selected(tx, {.lscs = {LscStatus::kNone}}) == "ATA4 SEP5");
    CHECK(selected(tx, {.lscs = {LscStatus::kExpired, LscStatus::kRevoked}}) == "SEP2 SEP3");
    CHECK(selected(tx, {.expires_before = now + hours(24 * 31)}) == "SEP1 SEP2");
    CHECK(selected(tx, {.lscs = {LscStatus::kValid}, .expires_before = now + hours(24 * 29)}).empty());
    CHECK(selected(tx, {.issuers = {2}}) == "SEP2 SEP3");
    CHECK(selected(tx, {.issuer_expires_before = now + hours(24 * 400)}) == "SEP2 SEP3");
    CHECK(selected(tx, {.auths = {AuthMode::kMic}}) == "SEP1");
    CHECK(selected(tx, {.operations = {OperationStatus::kNone}}) == "ATA4 SEP5");
    CHECK(selected(tx, {.operations = {OperationStatus::kPending}}) == "SEP1 SEP2");
    CHECK(selected(tx, {.operations = {OperationStatus::kOverdue, OperationStatus::kFailed}}) == "SEP1 SEP3");
    CHECK(selected(tx, {.reasons = {Reason::kMicChanged}}) == "SEP3");
    CHECK(selected(tx, {.tried = true}) == "SEP2");
    CHECK(selected(tx, {.tried = true, .refusals = {Reason::kMicChanged}}).empty());
    CHECK(selected(tx, {.not_seen_since = now - hours(1)}) == "SEP5");
    CHECK(selected(tx, {.blocked = true}) == "SEP3");
    CHECK(selected(tx, {.blocked = false, .locked = false}) == "ATA4 SEP2 SEP5");
    CHECK(selected(tx, {.locked = true}) == "SEP1");
    CHECK(selected(tx, {.tags = {"lobby"}, .lscs = {LscStatus::kExpired}}) == "SEP2");
    CHECK(good(tx.phones().count({.patterns = {pattern("SEP*")}, .excepts = {device("SEP5")}})).last_id == 3);
    CHECK(good(tx.phones().count({.tags = {"nowhere"}})).last_id == 0);
    CHECK(good(tx.phones().missing(std::vector{device("SEP9"), device("SEP1"), device("ATA9"), device("SEP9")})) ==
          std::vector{device("ATA9"), device("SEP9")});
    const auto still = good(tx.phones().still_selected({.patterns = {pattern("SEP*")}}, Ids{5, 4, 2, 99}));
    REQUIRE(still.size() == 2);
    CHECK(still[0].device == device("SEP2"));
    CHECK(still[1].id == 5);
  });
}

/// One more property of a selection.
using Given = std::function<void(PhoneSelection&)>;

/// Each property that a page is found by, with a value that some phones of `fill_each()` have.
std::vector<std::pair<std::string, Given>> properties(TimePoint now) {
  std::vector<std::pair<std::string, Given>> all{
      {"devices",
       [](PhoneSelection& s) {
         s.devices = {device("SEP1"), device("SEP2"), device("SEP5"), device("SEP9")};
       }},
      {"pattern", [](PhoneSelection& s) { s.patterns = {pattern("SEP*")}; }},
      {"excepts", [](PhoneSelection& s) { s.excepts = {device("SEP2")}; }},
      {"tags",
       [](PhoneSelection& s) {
         s.tags = {"f-1", "lobby"};
       }},
      {"models",
       [](PhoneSelection& s) {
         s.models = {pattern("CP-8861"), pattern("CP-7821")};
       }},
      {"model pattern", [](PhoneSelection& s) { s.models = {pattern("CP-*")}; }},
      {"expiring", [now](PhoneSelection& s) { s.expires_before = now + hours(24 * 31); }},
      {"issuers",
       [](PhoneSelection& s) {
         s.issuers = {2, 2};
       }},
      {"old issuers", [now](PhoneSelection& s) { s.issuer_expires_before = now + hours(24 * 400); }},
      {"reason", [](PhoneSelection& s) { s.reasons = {Reason::kMicChanged}; }},
      {"tried", [](PhoneSelection& s) { s.tried = true; }},
      {"refused",
       [](PhoneSelection& s) {
         s.tried = true;
         s.refusals = {Reason::kAuthStringMismatch, Reason::kAuthStringMismatch};
       }},
      {"not seen", [now](PhoneSelection& s) { s.not_seen_since = now - hours(1); }},
      {"blocked", [](PhoneSelection& s) { s.blocked = true; }},
      {"not blocked", [](PhoneSelection& s) { s.blocked = false; }},
      {"locked", [](PhoneSelection& s) { s.locked = true; }},
      {"not locked", [](PhoneSelection& s) { s.locked = false; }},
      {"several statuses",
       [](PhoneSelection& s) {
         s.lscs = {LscStatus::kExpired, LscStatus::kValid, LscStatus::kNone};
       }},
      {"several operations",
       [](PhoneSelection& s) {
         s.operations = {OperationStatus::kOverdue, OperationStatus::kIssued, OperationStatus::kOverdue};
       }},
  };
  for (const LscStatus status : {LscStatus::kNone, LscStatus::kValid, LscStatus::kExpired, LscStatus::kRevoked})
    all.emplace_back(to_string(status), [status](PhoneSelection& s) { s.lscs = {status}; });
  for (const OperationStatus status : kOperationStatuses)
    all.emplace_back(to_string(status), [status](PhoneSelection& s) { s.operations = {status}; });
  for (const AuthMode auth : {AuthMode::kMic, AuthMode::kNull})
    all.emplace_back(to_string(auth), [auth](PhoneSelection& s) { s.auths = {auth}; });
  return all;
}

/// The names that are in both lists.
std::string in_both(const std::string& one, const std::string& other) {
  std::istringstream names(one);
  std::string both;
  for (std::string name; names >> name;) {
    if ((" " + other + " ").find(" " + name + " ") != std::string::npos) both += (both.empty() ? "" : " ") + name;
  }
  return both;
}

/// Both selections at once; nothing where they are of the same property.
std::optional<PhoneSelection> at_once(const Given& one, const Given& other) {
  PhoneSelection first;
  PhoneSelection second;
  one(first);
  other(second);
  PhoneSelection both = first;
  other(both);
  PhoneSelection reversed = second;
  one(reversed);
  // The one that is given last replaces the other's values.
  const auto same = [](const PhoneSelection& a, const PhoneSelection& b) {
    return a.models == b.models && a.lscs == b.lscs && a.operations == b.operations && a.blocked == b.blocked &&
           a.locked == b.locked && a.auths == b.auths;
  };
  if (!same(both, reversed)) return std::nullopt;
  return both;
}

TEST_CASE("two properties select just the phones that each of them selects") {
  const FreshDatabase fresh;
  fill_each(fresh);
  const auto database = fresh.open();
  in(*database, [&](Transaction& tx) {
    good(tx.phones().change(Ids{1, 2, 4}, {.added_tags = {"lobby", "f-1"}}));
    const auto all = properties(tx.now());
    std::vector<std::string> names;
    for (const auto& [name, given] : all) {
      INFO(name);
      PhoneSelection selection;
      given(selection);
      names.push_back(selected(tx, selection, 1));
    }
    for (std::size_t i = 0; i < all.size(); ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        const auto both = at_once(all[i].second, all[j].second);
        if (!both) continue;
        INFO(all[i].first << " and " << all[j].first);
        CHECK(selected(tx, *both, 5) == in_both(names[i], names[j]));
      }
    }
  });
}

TEST_CASE("two properties that many phones have select the same, in pages that may be short") {
  const FreshDatabase fresh;
  fresh.sql(
      "insert into phones (device, model) select 'SEP' || 100000 + n, case when n % 7 = 0 then '' else 'CP-8861' end "
      "from generate_series(1, 13000) n; "
      "insert into issuers values (1, 'CN=1', sha256('1'), '', '', now(), now() + interval '9 years', true, 1); "
      "insert into phone_tags (phone_id, tag) select id, tag from phones, unnest(array['a', 'b']) tag "
      "where id % 11 <> 0 and (tag = 'a' or id % 5 = 0); "
      "update phone_lscs set (lsc, not_after, issuer_id) = ('valid', now() + case when phone_id % 13 = 0 then '9 "
      "days' else '2 days'::interval end, 1) where phone_id % 17 <> 0; "
      "update phone_sightings set first_seen = now(), last_seen = now() where phone_id % 19 = 0; "
      "insert into operations (id, phone_id, kind, auth, key_order, rsa_bits, ec_bits, self_service, created_by, "
      "completes_by) select id, id, 'install', case when id % 2 = 0 then 'mic' else 'null' end, 'rsa', 2048, 384, "
      "false, 'a', now() + case when id % 23 = 0 then '1 day' else '-1 day'::interval end from phones where id % 29 <> "
      "0; "
      "insert into phone_attempts select id, now() + interval '1 second', '', 'grpc', 'install', "
      "'AUTH_STRING_MISMATCH', '' from phones where id % 31 <> 0");
  const auto database = fresh.open();
  in(*database, [&](Transaction& tx) {
    const TimePoint soon = tx.now() + hours(24 * 3);
    const auto count = [&](const PhoneSelection& selection, auto expected) {
      std::int64_t found = 0;
      for (PhonePage page{{}, 5000};;) {
        const SelectedPhones phones = good(tx.phones().select(selection, page));
        for (const std::int64_t id : phones.ids) CHECK(expected(id));
        found += static_cast<std::int64_t>(phones.ids.size());
        if (!phones.next) break;
        page.after = phones.next;
      }
      std::int64_t wanted = 0;
      for (std::int64_t id = 1; id <= 13'000; ++id) wanted += expected(id) ? 1 : 0;
      CHECK(found == wanted);
      CHECK(good(tx.phones().count(selection)).phones == wanted);
    };
    const auto expiring = [](std::int64_t id) { return id % 17 != 0 && id % 13 != 0; };
    const auto open = [](std::int64_t id) { return id % 29 != 0; };
    const auto tagged = [](std::int64_t id) { return id % 11 != 0; };
    count({.lscs = {LscStatus::kValid}, .expires_before = soon}, expiring);
    count({.expires_before = soon, .issuers = {1}}, expiring);
    count({.models = {pattern("CP-8861")}, .lscs = {LscStatus::kValid}},
          [](std::int64_t id) { return id % 7 != 0 && id % 17 != 0; });
    count({.tags = {"a", "b"}, .lscs = {LscStatus::kNone, LscStatus::kValid}}, tagged);
    count({.tags = {"a", "b"}, .operations = {OperationStatus::kPending}},
          [&](std::int64_t id) { return tagged(id) && open(id); });
    count({.operations = {OperationStatus::kOverdue}, .not_seen_since = tx.now() - hours(1)},
          [&](std::int64_t id) { return open(id) && id % 23 != 0 && id % 19 != 0; });
    count({.operations = {OperationStatus::kOverdue, OperationStatus::kPending}}, open);
    count({.tried = true, .refusals = {Reason::kAuthStringMismatch}},
          [&](std::int64_t id) { return open(id) && id % 31 != 0; });
    count({.auths = {AuthMode::kMic, AuthMode::kNull}, .not_seen_since = tx.now() - hours(1)},
          [&](std::int64_t id) { return open(id) && id % 19 != 0; });
  });
}

TEST_CASE("a phone's operation is beside it from when it is scheduled, and again when it ends") {
  const FreshDatabase fresh;
  const auto database = fresh.open();
  Operation operation{.device = device()};
  Certificate lsc;
  const std::string row = "select concat_ws(' ', outcome, auth, reason, device) from phone_operations";
  in(*database, [&](Transaction& tx) { added_phone(tx); });
  CHECK(fresh.sql(row) == "none " + device().text());
  in(*database, [&](Transaction& tx) { operation = added_operation(tx, *good(tx.phones().find(device()))); });
  CHECK(fresh.sql(row) == "open string " + device().text());
  const std::string version = fresh.sql("select xmin from phone_operations");
  const AdvanceOperation begun{operation.id, OperationState::kInProgress, CredentialKind::kString, {}, false};
  in(*database, [&](Transaction& tx) { written(tx, operation.phone_id, {begun}); });
  CHECK(fresh.sql("select xmin from phone_operations") == version);
  Operation next = operation;
  next.auth = AuthMode::kMic;
  next.string_mac.clear();
  next.string_digits = 0;
  in(*database, [&](Transaction& tx) {
    next.id = good(tx.operations().next_ids(1)).front();
    written(tx, operation.phone_id,
            {EndOperation{operation.id, OperationState::kFailed, Reason::kPhoneRefused, ""}, AddOperation{next, 0}});
  });
  CHECK(fresh.sql(row) == "open mic " + device().text());
  in(*database, [&](Transaction& tx) {
    written(tx, operation.phone_id, {EndOperation{next.id, OperationState::kFailed, Reason::kPhoneRefused, ""}});
  });
  CHECK(fresh.sql(row) == "failed mic PHONE_REFUSED " + device().text());
  in(*database, [&](Transaction& tx) { good(tx.phones().remove_all(std::array{operation.phone_id})); });
  CHECK(fresh.sql("select count(*) from phone_operations") == "0");
}

TEST_CASE("description and tags of phones are changed, and those that were so before are not named") {
  const FreshDatabase fresh;
  fresh.sql("insert into phones (device) select 'SEP' || n from generate_series(1, 4) n");
  const auto database = fresh.open();
  in(*database, [&](Transaction& tx) {
    const auto change = [&](const Ids& ids, const PhoneChange& how) { return good(tx.phones().change(ids, how)); };
    const auto tags_of = [&](const std::string& name) { return good(tx.phones().find(device(name)))->tags; };
    CHECK(change({3, 1, 2}, {.description = "Lobby"}) == Ids{1, 2, 3});
    CHECK(change({3, 4}, {.description = "Lobby"}) == Ids{4});
    CHECK(change({4}, {.description = ""}) == Ids{4});
    CHECK(good(tx.phones().find(device("SEP3")))->description == "Lobby");
    CHECK(good(tx.phones().find(device("SEP4")))->description.empty());
    CHECK(change({1, 2}, {.added_tags = {"b", "a"}}) == Ids{1, 2});
    CHECK(change({1, 3}, {.added_tags = {"a"}}) == Ids{3});
    CHECK(tags_of("SEP1") == std::vector<std::string>{"a", "b"});
    CHECK(change({1, 2, 3}, {.added_tags = {"c"}, .removed_tags = {"b"}}) == Ids{1, 2, 3});
    CHECK(tags_of("SEP2") == std::vector<std::string>{"a", "c"});
    CHECK(change({1, 2, 3, 4}, {.added_tags = {"a", "c"}, .sets_tags = true}) == Ids{4});
    CHECK(change({2, 3}, {.added_tags = {"x"}, .sets_tags = true}) == Ids{2, 3});
    CHECK(tags_of("SEP3") == std::vector<std::string>{"x"});
    CHECK(change({1, 3}, {.sets_tags = true}) == Ids{1, 3});
    CHECK(tags_of("SEP1").empty());
  });
}

TEST_CASE("no phone gets more tags than it may have, whatever it had before") {
  const FreshDatabase fresh;
  fresh.sql("insert into phones (device) values ('SEP1'), ('SEP2')");
  const auto database = fresh.open();
  PhoneChange full;
  for (std::size_t i = 0; i < kMostTags; ++i) full.added_tags.push_back("t" + std::to_string(i));
  in(*database, [&](Transaction& tx) {
    good(tx.phones().change(Ids{1}, full));
    CHECK(good(tx.phones().change(Ids{1}, {.added_tags = {"t3"}})).empty());
    CHECK(good(tx.phones().change(Ids{1, 2}, {.added_tags = {"other"}, .removed_tags = {"t3"}})) == Ids{1, 2});
    const auto refused = tx.phones().change(Ids{1, 2}, {.added_tags = {"one"}});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().reason == Reason::kInvalidRequest);
    CHECK(refused.error().message == "SEP1 would have more than 16 tags");
  });
}

TEST_CASE("a change of phones says what, and nothing against itself") {
  const auto reason_of = [](const PhoneChange& change) {
    const Status status = change.check();
    return status ? std::string("good") : status.error().message;
  };
  CHECK_THAT(reason_of({}), Catch::Contains("nothing to change"));
  CHECK(reason_of({.description = ""}) == "good");
  CHECK(reason_of({.sets_tags = true}) == "good");
  CHECK(reason_of({.added_tags = {"a"}, .removed_tags = {"b"}}) == "good");
  CHECK_THAT(reason_of({.added_tags = {"a"}, .removed_tags = {"b"}, .sets_tags = true}), Catch::Contains("are set"));
  CHECK_THAT(reason_of({.added_tags = {"a", "b"}, .removed_tags = {"b"}}), Catch::Contains("the tag b is added"));
  CHECK_THAT(reason_of({.added_tags = {"a b"}}), Catch::Contains("\"a b\" is no tag"));
  CHECK_THAT(reason_of({.removed_tags = {""}}), Catch::Contains("\"\" is no tag"));
  CHECK_THAT(reason_of({.added_tags = std::vector<std::string>(kMostTags + 1, "a")}), Catch::Contains("at most 16"));
  CHECK_THAT(reason_of({.description = "a\nb"}), Catch::Contains("no description"));
}

TEST_CASE("a page of a property that many phones have may be short, and its cursor goes on to the end") {
  const FreshDatabase fresh;
  fresh.sql(
      "insert into phones (device, model) select 'SEP' || 100000 + n, 'CP-8861' from generate_series(1, 20500) n");
  fresh.sql("update phones set model = 'CP-7821' where device > 'SEP120499'");
  const auto database = fresh.open();
  in(*database, [](Transaction& tx) {
    // A pattern with a star has no index: its page looks at the names.
    const PhoneSelection last{.models = {pattern("CP-78*")}};
    const SelectedPhones first = good(tx.phones().select(last, {}));
    CHECK(first.ids.empty());
    CHECK(first.next == device("SEP104000"));
    CHECK(selected(tx, last) == "SEP120500");
    CHECK(good(tx.phones().select({.models = {pattern("CP-8861")}}, {{}, 500})).ids.size() == 500);
  });
}

TEST_CASE("a selection is bounded, and refused with the property's name") {
  PhoneSelection selection;
  CHECK_FALSE(selection.names_any());
  good(selection.check());
  selection.models.assign(kMostSelectedValues + 1, pattern("*"));
  CHECK(selection.names_any());
  CHECK_THAT(selection.check().error().message, Catch::Contains("at most 100 models"));
  CHECK_FALSE(PhoneSelection{.tags = {"a b"}}.check());
  CHECK_FALSE(PhoneSelection{.refusals = {Reason::kMicChanged}}.check());
}

}  // namespace
}  // namespace capf::test
