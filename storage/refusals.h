#pragma once

#include <span>

#include "capf/domain/rounds.h"
#include "storage/session.h"

namespace capf::storage {

/// Writes refusals down: counts them, keeps the last attempt of each device, and counts the issuers that are unknown.
/// @param session in a transaction that may write. It locks no phone.
Status record(Session& session, std::span<const RefusalRecord* const> refusals);

}  // namespace capf::storage
