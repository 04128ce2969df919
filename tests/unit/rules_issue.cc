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
