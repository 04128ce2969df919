#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "capf/base/error.h"
#include "capf/service/withdrawn.h"

namespace capf::service {

/// What this site has signed last, kept beside its keys and apart from the database. Threads: any.
class Marks {
 public:
  virtual ~Marks() = default;
  /// Errors: INVALID_CONFIGURATION.
  virtual Result<std::optional<std::string>> find(const std::string& name) = 0;
  /// On disk when it returns. @param value one line
  virtual Status set(const std::string& name, const std::string& value) = 0;
};

/// Whether the database is as far as the marks. One that is behind them was restored, or is a standby too far back: it
/// has forgotten revocations and used strings, so nobody authenticates and nothing is issued until
/// `capfctl site recover`. The one place that says so. With what was withdrawn, which counts also where the database
/// has forgotten it. Threads: any.
class HighWater {
 public:
  /// @param mark its name; @param behind what is missing, in words; nothing where the database is as far as it.
  void report(const std::string& mark, std::optional<std::string> behind);
  /// Errors: DATABASE_BEHIND, with what is missing.
  Status check() const;
  Withdrawn& withdrawn() { return withdrawn_; }
  const Withdrawn& withdrawn() const { return withdrawn_; }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::string> behind_;
  Withdrawn withdrawn_;
};

}  // namespace capf::service
