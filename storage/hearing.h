#pragma once

#include <optional>
#include <span>
#include <vector>

#include "capf/domain/strings.h"
#include "storage/session.h"

namespace capf::storage {

/// Counts the wrong ones among the strings, and looks at the limits of all, in the order in which they came: one
/// statement, over all servers as if each string came alone. A string of an address or device waits for those that
/// other servers hear of the same.
/// @param session single(Access::kWrite): once this returns, what was counted is on disk
/// @return the limit that refuses each one, or nothing
Result<std::vector<std::optional<Reason>>> hear(Session& session, std::span<const HeardString* const> heard);

}  // namespace capf::storage
