#pragma once

#include <span>
#include <vector>

#include "capf/domain/dossier.h"
#include "storage/session.h"

namespace capf::storage {

inline constexpr std::size_t kMostEnquiries = 64;  ///< of one look

/// All that is on record of these devices and of what was shown in their names: one statement, so one round trip and
/// one snapshot of the database. The session's plans are to be kept and to look rows up by their indexes, as those of
/// rounds do: otherwise the statement is planned again at each call, which takes longer than its work.
/// @param session single(Access::kRead), or in a transaction
/// @param enquiries 1 to kMostEnquiries
/// @return one for each, in their order
Result<std::vector<Dossier>> look(Session& session, std::span<const Enquiry* const> enquiries);

}  // namespace capf::storage
