#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "capf/base/error.h"
#include "capf/service/withdrawn.h"

namespace capf::service {

/// The last things that this site has signed, kept beside its keys and apart from the database. Threads: any.
class Marks {
 public:
  virtual ~Marks() = default;
  /// Errors: INVALID_CONFIGURATION.
  virtual Result<std::optional<std::string>> find(const std::string& name) = 0;
  /// Synced to disk when it returns. @param value one line
  virtual Status set(const std::string& name, const std::string& value) = 0;
};

/// The one place that knows whether the database is as far as the marks. One that is behind them was restored, or is a
/// standby too far back: it has forgotten revocations and used strings, so this server authenticates no phone and
/// issues nothing until `capfctl site recover`. Also holds the withdrawals, which count even where the database has
/// forgotten them. Threads: any.
class HighWater {
 public:
  /// Counts the recoveries. Take it before you read what you report.
  std::uint64_t epoch() const;
  /// A report of before a recovery does nothing. @param mark its name; @param behind what the database lacks, in words;
  /// absent where it is as far as the mark.
  void report(std::uint64_t epoch, const std::string& mark, std::optional<std::string> behind);
  /// After a recovery, when marks and database agree: the database lacks nothing.
  void begin_anew();
  /// Errors: DATABASE_BEHIND, with what is missing.
  Status check() const;
  Withdrawn& withdrawn() { return withdrawn_; }
  const Withdrawn& withdrawn() const { return withdrawn_; }

 private:
  mutable std::mutex mutex_;
  std::uint64_t epoch_ = 0;
  std::map<std::string, std::string> behind_;
  Withdrawn withdrawn_;
};

}  // namespace capf::service
