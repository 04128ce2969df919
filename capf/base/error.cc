#include "capf/base/error.h"

#include <array>
#include <cstdlib>
#include <utility>

#include "capf/base/log.h"

namespace capf {
namespace {

struct ReasonEntry {
  std::string_view spelling;
  Code code;
  std::string_view words;
};

constexpr std::array kReasons{
#define CAPF_REASON_ENTRY(name, spelling, code, words) ReasonEntry{spelling, Code::code, words},
    CAPF_REASONS(CAPF_REASON_ENTRY)
#undef CAPF_REASON_ENTRY
};

const ReasonEntry& entry(Reason reason) { return kReasons.at(static_cast<std::size_t>(reason)); }

}  // namespace

std::string_view to_string(Reason reason) { return entry(reason).spelling; }
std::string_view words(Reason reason) { return entry(reason).words; }
Code code_of(Reason reason) { return entry(reason).code; }

std::string_view to_string(Code code) {
  switch (code) {
    case Code::kInvalidArgument: return "invalid argument";
    case Code::kUnauthenticated: return "unauthenticated";
    case Code::kPermissionDenied: return "permission denied";
    case Code::kNotFound: return "not found";
    case Code::kAlreadyExists: return "already exists";
    case Code::kFailedPrecondition: return "failed precondition";
    case Code::kConflict: return "conflict";
    case Code::kUnavailable: return "unavailable";
    case Code::kOutcomeUnknown: return "outcome unknown";
    case Code::kInternal: return "internal";
  }
  CAPF_INVARIANT(false);
}

Reason parse_reason(std::string_view spelling) {
  for (std::size_t i = 0; i < kReasons.size(); ++i) {
    if (kReasons[i].spelling == spelling) return static_cast<Reason>(i);
  }
  return Reason::kInternal;
}

tl::unexpected<Error> fail(Reason reason) { return fail(reason, std::string(words(reason))); }

tl::unexpected<Error> fail(Reason reason, std::string message, std::string cause) {
  return fail(Error{reason, std::move(message), std::move(cause), std::nullopt});
}

tl::unexpected<Error> fail(Error error) { return tl::unexpected<Error>(std::move(error)); }

tl::unexpected<Error> fail_internal(std::string cause) {
  return fail(Reason::kInternal, std::string(words(Reason::kInternal)), std::move(cause));
}

void broken_invariant(const char* condition, const char* file, int line) {
  say_error(std::string("capf: broken invariant: ") + condition + " at " + file + ':' + std::to_string(line));
  flush_log(std::chrono::milliseconds{200});
  std::abort();
}

}  // namespace capf
