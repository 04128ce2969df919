#include <functional>

#include <catch2/catch.hpp>

#include "tests/support/rules.h"

using namespace capf;
using namespace capf::test;

namespace {

rules::ToSign planned() {
  const ca::LscRequest request{rules_device(),     "CP-8861",   "PID:CP-8861 SN:FCH1",
                               octets_of("key"),   rules_now(), std::chrono::hours{24},
                               SubjectForm::kCisco};
  return {3, request, {}, {}, {}, {}};
}

}  // namespace

TEST_CASE("an LSC that was signed will do for a later plan that differs in time alone, and not for long") {
  const rules::ToSign first = planned();
  const rules::SignedLsc made{first.issuer_id, first.request, {}};
  rules::ToSign later = planned();
  CHECK(rules::will_do(made, later));
  later.request.now = rules_now() + kLongestDecision;
  CHECK(rules::will_do(made, later));
  later.request.now += Duration{1};
  CHECK_FALSE(rules::will_do(made, later));
  later.request.now = rules_now() - Duration{1};  // the clock was set back
  CHECK_FALSE(rules::will_do(made, later));
}

TEST_CASE("an LSC that was signed will not do for a plan of another certificate") {
  const rules::ToSign first = planned();
  const rules::SignedLsc made{first.issuer_id, first.request, {}};
  const std::function<void(rules::ToSign&)> changes[]{
      [](rules::ToSign& plan) { plan.issuer_id = 4; },
      [](rules::ToSign& plan) { plan.request.device = DeviceName::parse("SEP001122334456").value(); },
      [](rules::ToSign& plan) { plan.request.model = "CP-7841"; },
      [](rules::ToSign& plan) { plan.request.serial_number.clear(); },
      [](rules::ToSign& plan) { plan.request.public_key = octets_of("another key"); },
      [](rules::ToSign& plan) { plan.request.validity += std::chrono::hours{1}; },
      [](rules::ToSign& plan) { plan.request.form = SubjectForm::kPlain; },
  };
  for (const auto& change : changes) {
    rules::ToSign plan = planned();
    change(plan);
    CHECK_FALSE(rules::will_do(made, plan));
  }
}

TEST_CASE("an LSC has the life and the subject of its operation, whatever the settings say by now") {
  const auto request_of = [](const std::optional<LscTerms>& terms) {
    Case subject = idle_phone();
    open(subject, OperationKind::kInstall, AuthMode::kString);
    subject.dossier.open->lsc = terms;
    subject.caller.string = rules::SaidString{.matches = true};
    subject.policy.lsc_validity = std::chrono::hours{48};
    subject.dossier.profile = {{"lsc_validity_days", "1"}};
    const rules::Facts facts{subject.caller, subject.dossier, subject.policy, false};
    const rules::Judgement who = rules::identify(facts, rules::Need::kOperation);
    REQUIRE(who);
    const auto planned = rules::plan(facts, *who, subject.offer);
    return std::get<rules::ToSign>(planned).request;
  };
  const ca::LscRequest by_terms = request_of(LscTerms{std::chrono::hours{24 * 400}, SubjectForm::kCisco});
  CHECK(by_terms.validity == std::chrono::hours{24 * 400});
  CHECK(by_terms.form == SubjectForm::kCisco);
  const ca::LscRequest of_before = request_of(std::nullopt);
  CHECK(of_before.validity == std::chrono::hours{48});
  CHECK(of_before.form == SubjectForm::kPlain);
}

TEST_CASE("a phone renews by itself on the terms that are in effect of it, from the share of the life that they say") {
  Case subject = idle_phone();
  subject.ask = Ask::kPending;
  subject.policy.lsc_subject = SubjectForm::kCisco;
  subject.dossier.profile = {{"lsc_validity_days", "90"}, {"completes_within", "2h"}, {"renewal_from_percent", "90"}};
  subject.dossier.own = {{"key_order", "ec"}};
  Certificate lsc = lsc_record(21);
  lsc.not_before = rules_now() - std::chrono::hours{24 * 100};
  lsc.not_after = rules_now() + std::chrono::hours{24 * 10};
  put_on_record(subject, lsc);
  subject.caller.shown = shown_lsc("lsc-21");
  const rules::Facts facts{subject.caller, subject.dossier, subject.policy, false};
  const rules::Judgement who = rules::identify(facts, rules::Need::kDevice);
  REQUIRE(who);
  const auto answer = rules::pending(facts, *who).answer.value();
  REQUIRE(answer.operation);
  CHECK(answer.operation->lsc == LscTerms{std::chrono::hours{24 * 90}, SubjectForm::kCisco});
  CHECK(answer.operation->key.order == KeyOrder::kEc);
  CHECK(answer.operation->completes_by == rules_now() + std::chrono::hours{2});
  REQUIRE(answer.operation->owners);
  CHECK(to_letters(*answer.operation->owners) == "fpssrrs");
}
