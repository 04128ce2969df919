#pragma once

#include <string_view>

#include "capf/base/error.h"

namespace capf::files {

inline constexpr std::size_t kLargestXml = 1 << 20;
inline constexpr int kDeepestXml = 64;
inline constexpr int kMostElements = 20'000;

/// Looks through a text before the XML library sees it, which takes much that XML is not, and changes some of it: text
/// beside the one root, two roots, DOCTYPE, entities that nobody has declared, control characters, broken UTF-8.
/// @param text without a byte order mark. Errors: PHONE_CONFIGURATION_MALFORMED.
Status scan_xml(std::string_view text);
/// Whether XML 1.0 can have the text as it is: UTF-8, no control character but tab and line feed.
bool is_xml_text(std::string_view text);

}  // namespace capf::files
