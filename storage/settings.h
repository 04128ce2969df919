#pragma once

#include <string>

#include "capf/domain/setting.h"
#include "storage/columns.h"

// Settings are an object of JSON on record: {"auth": "mic"}. No value has a control character.

namespace capf::storage {

/// Selects them as lines of NAME=VALUE. @param column of jsonb
std::string settings_lines(const std::string& column);
Settings read_settings(Columns& columns);
std::string json_of(const Settings& settings);

}  // namespace capf::storage
