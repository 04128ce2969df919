#pragma once

#include <string>
#include <vector>

#include "capf/domain/mode.h"

// effective_mode() in SQL: the facts that it is given, and the phones for which it gives some modes. This is the only
// place of the rule in SQL; tests/storage/profiles.cc compares the two over all facts.

namespace capf::storage {

/// The site's mode.
std::string site_mode();
/// The word of a phone's LSC, of a row of phone_lscs that may be absent. Its last moment is the first in which it has
/// expired, as tell_ended_lscs() of the database tells it.
std::string lsc_status(const std::string& lsc);
/// Whether the MIC that the phone is remembered by is in time, which its last moment is not, and not blocked.
/// @param phone a row of phones with id and mic_sha256
std::string mic_is_good(const std::string& phone);
/// Whether the MIC in the row `m` of phone_mics, or its key, is blocked or compromised.
std::string mic_is_blocked();
/// Whether the profile, a row of profiles, allows a MIC in place of an LSC.
std::string allows_mic(const std::string& profile);

/// Whether the mode in effect is one of these, for a phone on record d (id, profile_id, blocked_at, mic_sha256) with
/// its LSC l (lsc, not_after).
std::string has_effective_mode(const std::vector<DeviceMode>& modes);

/// The ids of the profiles of these modes, as an array.
std::string profiles_of(const std::vector<DeviceMode>& modes);

}  // namespace capf::storage
