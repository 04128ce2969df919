#pragma once

#include <string>

#include "capf/domain/mode.h"
#include "storage/columns.h"

namespace capf::storage {

/// The facts of the mode in effect of a phone p with the profile f, as columns: "s.mode, f.mode, …". They are never
/// null.
inline const std::string kModeFacts =
    "(select mode from site_security where only_one) as site_mode, f.mode as profile_mode, p.removed_at is not null as "
    "removed, "
    "p.blocked_at is not null as blocked, coalesce((select case when lsc = 'valid' and not_after < now() then "
    "'expired' else lsc end from phone_lscs where phone_id = p.id), 'none') as lsc, f.settings @> '{\"allow_mic\": "
    "\"on\"}' and exists (select from phone_mics where phone_id = p.id and sha256 = p.mic_sha256 and now() between "
    "not_before and not_after) as good_mic";

inline ModeFacts read_mode_facts(Columns& columns) {
  ModeFacts facts;
  facts.site = columns.word(parse_site_mode);
  facts.profile = columns.word(parse_device_mode);
  facts.removed = columns.boolean();
  facts.blocked = columns.boolean();
  facts.lsc = columns.word(parse_lsc_status);
  facts.good_mic = columns.boolean();
  return facts;
}

}  // namespace capf::storage
