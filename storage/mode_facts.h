#pragma once

#include <string>

#include "capf/domain/mode.h"
#include "storage/columns.h"
#include "storage/modes.h"

namespace capf::storage {

/// The facts of the mode in effect of a phone p with the profile f, as columns: "s.mode, f.mode, …". They are never
/// null.
inline const std::string kModeFacts =
    site_mode() +
    " as site_mode, f.mode as profile_mode, p.removed_at is not null as removed, p.blocked_at is not null as blocked, "
    "coalesce((select " +
    lsc_status("l") + " from phone_lscs l where l.phone_id = p.id), 'none') as lsc, " + allows_mic("f") + " and " +
    mic_is_good("p") + " as good_mic";

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
