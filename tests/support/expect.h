#pragma once

#include <catch2/catch.hpp>

#include "tests/support/site.h"

// Frequent expectations of the use cases' tests.

namespace capf::test {

template <class T>
Reason refused(const Result<T>& result) {
  REQUIRE_FALSE(result);
  return result.error().reason;
}

/// Expects a refusal as for strangers, recorded with its true reason.
template <class T>
void check_stranger(Site& site, const DeviceName& device, const Result<T>& result, Reason truth) {
  REQUIRE_FALSE(result);
  CHECK(result.error().reason == Reason::kAuthenticationFailed);
  CHECK(result.error().message == words(Reason::kAuthenticationFailed));
  CHECK(to_string(result.error().true_reason()) == to_string(truth));
  const auto attempt = site.last_attempt(device);
  REQUIRE(attempt);
  CHECK(to_string(attempt->reason) == to_string(truth));
}

inline constexpr auto kInstall = OperationKind::kInstall;

}  // namespace capf::test
