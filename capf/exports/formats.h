#pragma once

#include "capf/exports/export.h"
#include "capf/exports/text.h"

namespace capf::exports {

/// How one format is written. `write` may leave a part of the user behind where it fails.
struct Dialect {
  std::string_view name;
  std::string_view begin;
  Status (*write)(const User& user, Text& out) = nullptr;
  std::string_view end{};
};

Dialect asterisk_pjsip();
Dialect asterisk_pjsip_digests();
Dialect asterisk_chan_sip();
Dialect freeswitch();
Dialect kamailio_sql();
Dialect kamailio_csv();
Dialect kamailio_htable_csv();
Dialect opensips_sql();
Dialect opensips_csv();
Dialect opensips_preferences_csv();
Dialect json();

inline constexpr std::string_view kName = "its name";
inline constexpr std::string_view kRealm = "its realm";

}  // namespace capf::exports
