#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "capf/service/phone_file.h"

namespace capf::service {

/// A file that was made for a phone, with the source that it was made from.
struct MadeFile {
  PhoneFile file;
  std::pair<std::int64_t, std::int64_t> source;  ///< id and revision
};

/// Files that were made lately, in memory alone, by their names; the one not asked for longest makes room. Threads:
/// any.
class MadeFiles {
 public:
  struct Limits {
    std::size_t files = 20'000;
    std::size_t octets = std::size_t{64} * 1024 * 1024;
  };
  explicit MadeFiles(const Limits& limits) : limits_(limits) {}

  std::optional<MadeFile> find(const std::string& name);
  /// In the place of the former file of that name. One that is larger than all together may be is not kept.
  void put(const std::string& name, MadeFile made);

 private:
  struct Place {
    std::string name;
    MadeFile made;
  };
  void remove(std::list<Place>::iterator place);

  const Limits limits_;
  std::mutex mutex_;
  std::list<Place> places_;  ///< the one asked for last in front
  std::map<std::string, std::list<Place>::iterator, std::less<>> by_name_;
  std::size_t octets_ = 0;
};

}  // namespace capf::service
