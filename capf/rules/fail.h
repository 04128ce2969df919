#pragma once

#include <cstdint>
#include <string>

#include "capf/rules/decision.h"
#include "capf/rules/identify.h"

namespace capf::rules {

/// The step that failed on the phone, as it reports.
enum class PhoneFailure : std::uint8_t { kKeyGeneration, kStore, kDelete, kFetch, kNoEc };

/// The phone could not do the operation, which fails; a key that cannot be generated fails it the third time.
/// Errors after authentication: NO_PENDING_OPERATION.
/// @param identity for Need::kOperation. @param detail further facts, in this server's words; may be empty
Decision<void> report_failure(const Facts& facts, const Identity& identity, PhoneFailure failure,
                              const std::string& detail);

}  // namespace capf::rules
