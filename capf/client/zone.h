#pragma once

#include <string>

#include "capf/base/error.h"
#include "capf/base/time.h"

namespace capf::client {

/// Checks that this machine knows a time zone of this name: "Europe/Berlin", "UTC". Errors: INVALID_TIME.
Status check_zone(const std::string& name);

/// Makes local times of this process those of the zone. Call it while the process has one thread: it changes the
/// environment.
void use_zone(const std::string& name);

/// RFC 3339 in that zone: "2030-01-31T01:00:00+01:00".
std::string to_local(TimePoint time);

}  // namespace capf::client
