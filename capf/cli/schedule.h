#pragma once

#include <optional>
#include <string>
#include <vector>

#include <botan/rng.h>

#include "capf/base/error.h"
#include "capf/cli/bulk.h"
#include "capf/cli/output.h"
#include "capf/cli/strings_file.h"

namespace capf::cli {

inline constexpr std::size_t kMostShown = 20;  ///< strings on a terminal

/// The authentication strings of a bulk, which capfctl makes: in the file of --strings, or of a few phones for the
/// terminal.
class BulkStrings {
 public:
  explicit BulkStrings(Botan::RandomNumberGenerator& random) : random_(random) {}

  /// Opens the file, or makes it. Errors: those of StringsFile::open().
  capf::Status open(const std::string& path, const std::string& command);
  const StringsFile* file() const { return file_ ? &*file_ : nullptr; }
  /// The run's id: 16 octets.
  std::string run();
  /// When the run's operations end, where the file says so already.
  std::optional<TimePoint> deadline() const;

  /// Adds a string to `strings` for each of these devices that takes one, which is on disk then, where there is a file.
  /// @param found has their descriptions and deadlines. Errors: those of StringsFile::add().
  capf::Status add(const BulkFound& found, const google::protobuf::RepeatedPtrField<std::string>& devices,
                   google::protobuf::RepeatedPtrField<v1::DeviceString>& strings);
  /// The string of a device that add() has had, or the file; null where it has none.
  const Secret* find(const std::string& device) const;
  /// Writes the sheet for these phones, each of which has a string in the file. Errors: INVALID_CONFIGURATION.
  capf::Status write_sheet(const std::string& path, const BulkFound& found) const;
  /// Notes that the run is done.
  capf::Status finish();

 private:
  Botan::RandomNumberGenerator& random_;
  std::optional<StringsFile> file_;
  std::string run_;                                   ///< without a file, drawn when it is asked for
  std::map<std::string, Secret, std::less<>> shown_;  ///< without a file
};

/// The columns of operations with their strings.
std::vector<Column> scheduled_columns();

/// The operation and how its phones are chosen: a command with a strings file that says the same is the same command.
std::string command_of(const Arguments& arguments);

/// `operation schedule`.
Result<int> schedule_operations(const Arguments& arguments, Connection& server);
/// `operation cancel`.
Result<int> cancel_operations(const Arguments& arguments, Connection& server);

}  // namespace capf::cli
