#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "capf/base/error.h"
#include "capf/base/time.h"
#include "capf/domain/setting.h"

namespace capf {

/// A capfd that serves the site.
struct ServerRecord {
  std::string name;  ///< of one process, never used again by a later one
  std::string version;
  TimePoint started_at;
  TimePoint seen_at;
  std::vector<std::int64_t> issuers;    ///< issuers whose keys it has
  std::vector<std::int64_t> secrets{};  ///< generations of keys for secrets that it has
  std::optional<Settings> settings{};   ///< the site's, as this server has them; absent: of a version before
};

class ServerStore {
 public:
  virtual ~ServerStore() = default;
  /// Records that the server is alive, by the database's clock. Forgets those that were not seen for an hour.
  virtual Status see(const ServerRecord& server) = 0;
  virtual Status remove(const std::string& name) = 0;
  /// Those that were seen in the last 30 seconds, by name.
  virtual Result<std::vector<ServerRecord>> alive() = 0;
  /// Those that fell silent in the last hour without an end of their own, and whose machine has started none since.
  virtual Result<std::vector<ServerRecord>> silent() = 0;
};

}  // namespace capf
