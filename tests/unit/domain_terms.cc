#include <functional>
#include <map>
#include <string>

#include <catch2/catch.hpp>

#include "capf/domain/policy.h"
#include "capf/domain/terms.h"

using namespace capf;

namespace {

using std::chrono::days;
using std::chrono::hours;

const TimePoint kNow{std::chrono::sys_days(std::chrono::year(2026) / 5 / 1)};

const Settings kProfile{{"auth", "mic"},
                        {"key_order", "ec-rsa"},
                        {"ec_bits", "521"},
                        {"completes_within", "6h"},
                        {"lsc_validity_days", "400"},
                        {"lsc_subject", "cisco"}};

SitePolicy site() {
  SitePolicy policy;
  policy.lsc_subject = SubjectForm::kCisco;
  return policy;
}

std::string owner(const Terms& terms, Term term) { return std::string(to_string(terms.owners[term])); }

}  // namespace

TEST_CASE("an operation of which nothing is said has what is in effect of the phone, and says whose that is") {
  const Terms of_site = terms_of({}, effective_settings({}, {}, {}), kNow);
  CHECK(of_site.auth == AuthMode::kString);
  CHECK(of_site.key == KeyPolicy{});
  CHECK(of_site.completes_by == kNow + kDefaultDeadline);
  CHECK(of_site.lsc == LscTerms{days{1825}, SubjectForm::kPlain});
  for (const Term term : kTerms) CHECK(of_site.owners[term] == TermOwner::kSite);

  const Terms terms = terms_of({}, effective_settings(site(), kProfile, {{"ec_bits", "256"}, {"auth", "lsc"}}), kNow);
  CHECK(terms.auth == AuthMode::kLsc);
  CHECK(terms.key == KeyPolicy{KeyOrder::kEcRsa, 2048, 256});
  CHECK(terms.completes_by == kNow + hours{6});
  CHECK(terms.lsc == LscTerms{days{400}, SubjectForm::kCisco});
  CHECK(to_letters(terms.owners) == "prsprrr");
}

TEST_CASE("what the command says wins, each value by itself") {
  const EffectiveSettings settings = effective_settings(site(), kProfile, {});
  const std::map<Term, std::function<void(SaidTerms&)>> says{
      {Term::kAuth, [](SaidTerms& said) { said.auth = AuthMode::kString; }},
      {Term::kKeyOrder, [](SaidTerms& said) { said.key.order = KeyOrder::kRsa; }},
      {Term::kRsaBits, [](SaidTerms& said) { said.key.rsa_bits = 4096; }},
      {Term::kEcBits, [](SaidTerms& said) { said.key.ec_bits = 256; }},
      {Term::kCompletesBy, [](SaidTerms& said) { said.completes_by = kNow + days{3}; }}};
  const Terms unsaid = terms_of({}, settings, kNow);
  SaidTerms all;
  for (const auto& [said_term, say] : says) {
    SaidTerms said;
    say(said);
    say(all);
    const Terms terms = terms_of(said, settings, kNow);
    for (const Term term : kTerms) {
      INFO(to_string(said_term) << " " << to_string(term));
      CHECK(owner(terms, term) == (term == said_term ? "command" : owner(unsaid, term)));
    }
  }
  const Terms terms = terms_of(all, settings, kNow);
  CHECK(terms.auth == AuthMode::kString);
  CHECK(terms.key == KeyPolicy{KeyOrder::kRsa, 4096, 256});
  CHECK(terms.completes_by == kNow + days{3});
  CHECK(terms.lsc == unsaid.lsc);
}

TEST_CASE("null string ends within a day, whoever asks for it and whatever the deadline") {
  const EffectiveSettings null = effective_settings({}, {{"auth", "null"}}, {});
  CHECK(terms_of({}, null, kNow).completes_by == kNow + kNullStringLifetime);
  CHECK(terms_of({.completes_by = kNow + days{9}}, null, kNow).completes_by == kNow + kNullStringLifetime);
  CHECK(terms_of({.auth = AuthMode::kNull, .completes_by = kNow + hours{2}}, effective_settings({}, {}, {}), kNow)
            .completes_by == kNow + hours{2});
}

TEST_CASE("a renewal keeps the key of the LSC unless the profile or the phone decides another one") {
  const KeyPolicy before{KeyOrder::kEc, 3072, 256};
  const Terms kept = renewal_terms(before, effective_settings({}, {}, {}), kNow);
  CHECK(kept.auth == AuthMode::kLsc);
  CHECK(kept.key == before);
  CHECK(owner(kept, Term::kKeyOrder) == "former");
  CHECK(owner(kept, Term::kLscValidity) == "site");
  const Terms decided = renewal_terms(before, effective_settings(site(), kProfile, {{"rsa_bits", "4096"}}), kNow);
  CHECK(decided.key == KeyPolicy{KeyOrder::kEcRsa, 4096, 521});
  CHECK(decided.completes_by == kNow + hours{6});
  CHECK(to_letters(decided.owners) == "frprrrr");
  CHECK(renewal_terms(std::nullopt, effective_settings({}, {}, {}), kNow).key == KeyPolicy{});
}

TEST_CASE("a string where the settings menu is off cannot be typed, whoever asks for it") {
  const EffectiveSettings off = effective_settings({}, {{"settings_access", "off"}}, {});
  const auto reason = [&](const SaidTerms& said, const EffectiveSettings& settings) {
    const Status can = check_terms(OperationKind::kInstall, terms_of(said, settings, kNow), DeviceMode::kEncrypted,
                                   settings, Role::kAdmin, "SEP1");
    return can ? std::optional<Reason>() : can.error().reason;
  };
  CHECK(reason({}, off) == Reason::kStringCannotBeTyped);
  CHECK(reason({.auth = AuthMode::kString}, effective_settings({}, {{"settings_access", "off"}, {"auth", "mic"}},
                                                               {})) == Reason::kStringCannotBeTyped);
  CHECK_FALSE(reason({.auth = AuthMode::kMic}, off));
  CHECK_FALSE(reason({}, effective_settings({}, {{"settings_access", "restricted"}}, {})));
}

TEST_CASE("an EC key alone is not installed where files are encrypted, whoever decided either") {
  const auto check = [](OperationKind kind, const SaidTerms& said, const EffectiveSettings& settings) {
    return check_terms(kind, terms_of(said, settings, kNow), DeviceMode::kEncrypted, settings, Role::kAdmin, "SEP1");
  };
  const SaidTerms ec{.key = {.order = KeyOrder::kEc}};
  const EffectiveSettings encrypts = effective_settings({}, {{"encrypted_config", "on"}}, {});
  const Status said = check(OperationKind::kInstall, ec, encrypts);
  REQUIRE_FALSE(said);
  CHECK(said.error().reason == Reason::kEncryptedConfigNeedsRsa);
  CHECK(said.error().message ==
        "SEP1 has encrypted_config on (profile), which needs an RSA key, but key_order is ec (command)");
  SitePolicy site;
  site.settings = {{"key_order", "ec"}};
  const Status in_effect =
      check(OperationKind::kInstall, {}, effective_settings(site, {{"encrypted_config", "on"}}, {}));
  REQUIRE_FALSE(in_effect);
  CHECK_THAT(in_effect.error().message, Catch::EndsWith("key_order is ec (site)"));
  CHECK(check(OperationKind::kInstall, {.key = {.order = KeyOrder::kEcRsa}}, encrypts));
  CHECK(check(OperationKind::kInstall, {.key = {.order = KeyOrder::kRsa}},
              effective_settings(site, {{"encrypted_config", "on"}}, {})));
  CHECK(check(OperationKind::kInstall, ec, effective_settings({}, {}, {})));
  CHECK(check(OperationKind::kDelete, ec, encrypts));
}

TEST_CASE("an operator schedules by null string only where an admin has decided that") {
  struct Row {
    TermOwner owner;
    DeviceMode mode;
    bool operator_may;
  };
  constexpr DeviceMode kPlain = DeviceMode::kNonsecure;
  constexpr DeviceMode kSecure = DeviceMode::kEncrypted;
  for (const auto& [owner, mode, operator_may] :
       {Row{TermOwner::kSite, kPlain, true}, Row{TermOwner::kSite, kSecure, false},
        Row{TermOwner::kProfile, kPlain, true}, Row{TermOwner::kProfile, kSecure, true},
        Row{TermOwner::kPhone, kPlain, false}, Row{TermOwner::kPhone, kSecure, false},
        Row{TermOwner::kCommand, kPlain, false}, Row{TermOwner::kCommand, kSecure, false}}) {
    Terms terms;
    terms.auth = AuthMode::kNull;
    terms.owners[Term::kAuth] = owner;
    INFO(to_string(owner) << " " << to_string(mode));
    const EffectiveSettings settings = effective_settings({}, {}, {});
    CHECK(check_terms(OperationKind::kInstall, terms, mode, settings, Role::kOperator, "SEP1").has_value() ==
          operator_may);
    CHECK(check_terms(OperationKind::kInstall, terms, mode, settings, Role::kAdmin, "SEP1"));
    terms.auth = AuthMode::kMic;
    CHECK(check_terms(OperationKind::kInstall, terms, mode, settings, Role::kOperator, "SEP1"));
  }
}

TEST_CASE("a key that the command says is one that there is, and that the site allows") {
  const auto reason = [](const SaidKey& key, const SitePolicy& policy) {
    const Status good = SaidTerms{.key = key}.check(policy);
    return good ? std::optional<Reason>() : good.error().reason;
  };
  SitePolicy old;
  old.allow_rsa_1024 = true;
  CHECK_FALSE(reason({}, {}));
  CHECK_FALSE(reason({KeyOrder::kEcRsa, 4096, 521}, {}));
  CHECK(reason({.rsa_bits = 1000}, {}) == Reason::kInvalidKeyPolicy);
  CHECK(reason({.ec_bits = 255}, {}) == Reason::kInvalidKeyPolicy);
  CHECK(reason({.rsa_bits = 1024}, {}) == Reason::kInvalidKeyPolicy);
  CHECK_FALSE(reason({.rsa_bits = 1024}, old));
}

TEST_CASE("the owners of an operation's terms are read as they are written") {
  TermOwners owners;
  owners[Term::kAuth] = TermOwner::kCommand;
  owners[Term::kRsaBits] = TermOwner::kFormer;
  owners[Term::kLscSubject] = TermOwner::kProfile;
  CHECK(to_letters(owners) == "csfsssr");
  CHECK(parse_term_owners("csfsssr") == owners);
  for (const char* bad : {"", "csfsss", "csfsssrs", "csfsssx", "CSFSSSR"}) CHECK_FALSE(parse_term_owners(bad));
}
