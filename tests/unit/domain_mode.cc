#include <string>
#include <utility>

#include <catch2/catch.hpp>

#include "capf/domain/mode.h"

using namespace capf;

namespace {

/// A phone of a mixed site with a secure profile and a valid LSC: in effect is what its profile asks for.
const ModeFacts kSecure{.site = SiteMode::kMixed, .profile = DeviceMode::kEncrypted, .lsc = LscStatus::kValid};

struct Row {
  const char* words;
  void (*change)(ModeFacts&);
  DeviceMode mode;
  const char* reason;
};

const Row kRows[] = {
    {"nothing is changed", [](ModeFacts&) {}, DeviceMode::kEncrypted, "NONE"},
    {"the profile is authenticated", [](ModeFacts& f) { f.profile = DeviceMode::kAuthenticated; },
     DeviceMode::kAuthenticated, "NONE"},
    {"the profile is nonsecure", [](ModeFacts& f) { f.profile = DeviceMode::kNonsecure; }, DeviceMode::kNonsecure,
     "NONE"},
    {"the profile is nonsecure, and there is nothing else",
     [](ModeFacts& f) { f = {.removed = true, .blocked = true}; }, DeviceMode::kNonsecure, "NONE"},
    {"the site is nonsecure", [](ModeFacts& f) { f.site = SiteMode::kNonsecure; }, DeviceMode::kNonsecure,
     "SITE_NONSECURE"},
    {"the phone is removed", [](ModeFacts& f) { f.removed = true; }, DeviceMode::kNonsecure, "REMOVED"},
    {"the phone is blocked", [](ModeFacts& f) { f.blocked = true; }, DeviceMode::kNonsecure, "BLOCKED"},
    {"removed is told before blocked", [](ModeFacts& f) { f.removed = f.blocked = true; }, DeviceMode::kNonsecure,
     "REMOVED"},
    {"blocked is told before the site",
     [](ModeFacts& f) {
       f.blocked = true;
       f.site = SiteMode::kNonsecure;
     },
     DeviceMode::kNonsecure, "BLOCKED"},
    {"the site is told before the certificate",
     [](ModeFacts& f) {
       f.site = SiteMode::kNonsecure;
       f.lsc = LscStatus::kNone;
     },
     DeviceMode::kNonsecure, "SITE_NONSECURE"},
    {"no LSC", [](ModeFacts& f) { f.lsc = LscStatus::kNone; }, DeviceMode::kNonsecure, "NO_CERTIFICATE"},
    {"an expired LSC", [](ModeFacts& f) { f.lsc = LscStatus::kExpired; }, DeviceMode::kNonsecure,
     "CERTIFICATE_EXPIRED"},
    {"a revoked LSC", [](ModeFacts& f) { f.lsc = LscStatus::kRevoked; }, DeviceMode::kNonsecure, "CERTIFICATE_REVOKED"},
    {"an LSC on hold", [](ModeFacts& f) { f.lsc = LscStatus::kHeld; }, DeviceMode::kNonsecure, "CERTIFICATE_HELD"},
    {"a good MIC in place of an LSC",
     [](ModeFacts& f) {
       f.lsc = LscStatus::kNone;
       f.good_mic = true;
     },
     DeviceMode::kEncrypted, "NONE"},
    {"a good MIC does not help a blocked phone",
     [](ModeFacts& f) {
       f.blocked = true;
       f.good_mic = true;
     },
     DeviceMode::kNonsecure, "BLOCKED"},
    {"a good MIC does not help in a nonsecure site",
     [](ModeFacts& f) {
       f.site = SiteMode::kNonsecure;
       f.good_mic = true;
     },
     DeviceMode::kNonsecure, "SITE_NONSECURE"},
};

/// The rule of the specification once more, as one condition.
bool is_secure(const ModeFacts& facts) {
  return facts.site == SiteMode::kMixed && facts.profile != DeviceMode::kNonsecure && !facts.blocked &&
         !facts.removed && (facts.lsc == LscStatus::kValid || facts.good_mic);
}

template <class Check>
void for_each_combination(const Check& check) {
  for (const SiteMode site : kSiteModes) {
    for (const DeviceMode profile : kDeviceModes) {
      for (const LscStatus lsc : kLscStatuses) {
        for (unsigned bits = 0; bits < 8; ++bits) {
          check(ModeFacts{.site = site,
                          .profile = profile,
                          .removed = (bits & 1) != 0,
                          .blocked = (bits & 2) != 0,
                          .lsc = lsc,
                          .good_mic = (bits & 4) != 0});
        }
      }
    }
  }
}

}  // namespace

TEST_CASE("the mode in effect follows from the facts, and where it is lower the first reason is named") {
  for (const Row& row : kRows) {
    CAPTURE(row.words);
    ModeFacts facts = kSecure;
    row.change(facts);
    CHECK(effective_mode(facts).mode == row.mode);
    CHECK(to_string(effective_mode(facts).reason) == row.reason);
  }
}

TEST_CASE("a phone is secure in no other combination of facts than the rule's, and a lower mode has a reason") {
  for_each_combination([](const ModeFacts& facts) {
    CAPTURE(to_string(facts.site), to_string(facts.profile), to_string(facts.lsc), facts.removed, facts.blocked,
            facts.good_mic);
    const EffectiveMode effective = effective_mode(facts);
    CHECK(effective.mode == (is_secure(facts) ? facts.profile : DeviceMode::kNonsecure));
    CHECK((effective.reason == ModeReason::kNone) == (effective.mode == facts.profile));
  });
}

TEST_CASE("modes are read as they are written") {
  for (const DeviceMode mode : kDeviceModes) CHECK(parse_device_mode(to_string(mode)) == mode);
  for (const SiteMode mode : kSiteModes) CHECK(parse_site_mode(to_string(mode)) == mode);
  CHECK(to_string(DeviceMode::kAuthenticated) == "authenticated");
  CHECK(to_string(SiteMode::kMixed) == "mixed");
  for (const char* text : {"", "Encrypted", "mixed ", "secure"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_device_mode(text));
    CHECK_FALSE(parse_site_mode(text));
  }
}
