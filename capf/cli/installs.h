#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "capf/cli/bulk.h"
#include "capf/cli/json.h"
#include "capf/cli/schedule.h"

namespace capf::cli {

/// The operations that `profile apply --install` schedules beside, with their strings, which capfctl makes. Without
/// --install all of it does nothing.
class Installs {
 public:
  explicit Installs(const Arguments& arguments);

  /// The options that do not go together; nothing where they do.
  std::optional<std::string> misuse() const;
  /// Goes on with the run of a strings file that is there. Errors: those of BulkStrings::open().
  capf::Status resume();
  /// Says in the request, which all calls have in common, that installs are wished.
  void wish(v1::ApplyProfileRequest& request);
  /// Takes the phones of an answer of the first pass.
  void find(const v1::ApplyProfileResponse& answer);
  /// Why these phones cannot be done as the command line has it; nothing where they can.
  std::optional<std::string> refusal() const;

  /// Makes the strings file, and says its run in the request. Errors: those of BulkStrings::open().
  capf::Status begin(v1::ApplyProfileRequest& request);
  /// Adds the strings of the phones that may be in the next call, in place of those of the one before. Errors: those of
  /// BulkStrings::add().
  capf::Status prepare(v1::ApplyProfileRequest& request);
  void take(const v1::ApplyProfileResponse& answer);
  /// Notes that the run is done, and warns of phones whose strings are of no use. Errors: those of
  /// BulkStrings::finish().
  capf::Status finish();

  bool wanted() const { return wanted_; }
  std::int64_t scheduled() const { return scheduled_; }
  /// The operations whose strings are nowhere but on the terminal.
  const std::vector<Json>& shown() const { return shown_; }

 private:
  std::string command() const;

  const Arguments& arguments_;
  const bool wanted_;
  BulkStrings strings_;
  BulkFound found_;
  std::set<std::string> waiting_;  ///< phones that are yet to be scheduled by string
  std::int64_t scheduled_ = 0;
  std::vector<Json> shown_;
};

}  // namespace capf::cli
