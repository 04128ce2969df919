#pragma once

#include <cstddef>
#include <ostream>
#include <span>
#include <string>
#include <vector>

#include "capf/base/secret.h"
#include "capf/base/time.h"

namespace capf::cli {

/// A phone on the sheet of somebody who walks from one to the next.
struct HandoutPhone {
  std::string device;
  Secret digits;
  TimePoint completes_by;
  std::string description;
  std::vector<std::string> tags;
};

inline constexpr std::size_t kPhonesOnPage = 25;

/// Writes the sheet of --sheet as one HTML file without scripts or links: pages of A4 with up to kPhonesOnPage phones
/// each, in the order of tags, description and device, and beside them what is pressed on a phone. Text of others
/// appears as text: markup is escaped, and characters that a terminal would act on, marks of direction among them, are
/// spelled out.
void write_handout(std::ostream& out, std::vector<HandoutPhone> phones);

}  // namespace capf::cli
