#include "capf/domain/authentication.h"

#include <array>

namespace capf {
namespace {

enum class Verdict : std::uint8_t {
  kYes,
  kMissing,          // nothing was presented
  kStringMissing,    // something else than the string that is asked for
  kOtherMode,        // a credential that this mode does not take
  kWithoutLsc,       // a MIC, while no valid LSC is on record
  kWithoutMic,       // an LSC, from a phone that never authenticated with a MIC
  kFirst,            // a foreign LSC: one install, until one of our LSCs was confirmed
  kFirstWithoutMic,  // both of the above
};
using enum Verdict;

// Columns: none, string, own LSC, foreign LSC, MIC.
using Row = std::array<Verdict, kCredentialKinds.size()>;
// Rows: string, null, lsc, mic.
using Table = std::array<Row, kAuthModes.size()>;

constexpr Table kInstall{{
    /* string */ {kStringMissing, kYes, kStringMissing, kStringMissing, kStringMissing},
    /* null   */ {kYes, kYes, kYes, kYes, kYes},
    /* lsc    */ {kMissing, kOtherMode, kYes, kFirst, kWithoutLsc},
    /* mic    */ {kMissing, kOtherMode, kWithoutMic, kFirstWithoutMic, kYes},
}};
// Delete and troubleshoot: as install, but another site's LSC serves for neither.
constexpr Table kOther{{
    /* string */ {kStringMissing, kYes, kStringMissing, kStringMissing, kStringMissing},
    /* null   */ {kYes, kYes, kYes, kYes, kYes},
    /* lsc    */ {kMissing, kOtherMode, kYes, kOtherMode, kWithoutLsc},
    /* mic    */ {kMissing, kOtherMode, kWithoutMic, kOtherMode, kYes},
}};

Verdict look_up(OperationKind kind, AuthMode mode, CredentialKind credential) {
  const auto row = static_cast<std::size_t>(mode);
  const auto column = static_cast<std::size_t>(credential);
  switch (kind) {
    case OperationKind::kInstall: return kInstall[row][column];
    case OperationKind::kDelete:
    case OperationKind::kTroubleshoot: return kOther[row][column];
  }
  CAPF_INVARIANT(false);
}

}  // namespace

Status admits(OperationKind kind, AuthMode mode, CredentialKind credential, const PhoneFacts& facts) {
  switch (look_up(kind, mode, credential)) {
    case kYes: return {};
    case kMissing: return fail(Reason::kCredentialMissing);
    case kStringMissing: return fail(Reason::kAuthStringMissing);
    case kOtherMode: return fail(Reason::kCredentialMode);
    case kWithoutLsc:
      if (facts.valid_lsc_on_record) return fail(Reason::kMicNotTaken);
      return {};
    case kWithoutMic:
      if (facts.had_mic) return fail(Reason::kLscNotTaken);
      return {};
    case kFirstWithoutMic:
      if (facts.had_mic) return fail(Reason::kLscNotTaken);
      [[fallthrough]];
    case kFirst:
      if (facts.had_own_lsc)
        return fail(Reason::kCredentialMode, "another site's LSC counts until an LSC of ours is confirmed");
      return {};
  }
  CAPF_INVARIANT(false);
}

}  // namespace capf
