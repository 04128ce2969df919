#include "capf/domain/selection.h"

#include <array>

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

TEST_CASE("phones are found by each of their properties, an option given twice is or, and different ones are and") {
  const FreshDatabase fresh;
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
    CHECK(first.next == device("SEP110000"));
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
