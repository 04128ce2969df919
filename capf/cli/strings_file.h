#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <botan/rng.h>

#include "capf/base/descriptor.h"
#include "capf/base/error.h"
#include "capf/base/secret.h"
#include "capf/base/time.h"

namespace capf::cli {

/// An authentication string and for whom it is.
struct DeviceString {
  std::string device;
  Secret digits;
  TimePoint completes_by;
  std::string description;
};

/// One bulk command: the server does a batch that is sent twice once, because it knows the run.
struct StringsRun {
  std::string id;       ///< 32 hexadecimal digits
  std::string command;  ///< what makes the command the same one when it is given again, on one line
};

/// A strings file as text:
///
///     # capfctl run=9f2c… command=operation schedule install --auth string --file phones.csv
///     device,string,completes_by,description
///     SEP001122334455,08154711,2030-12-31T23:59:59Z,Reception
///     # finished
struct StringsText {
  StringsRun run;
  std::vector<DeviceString> strings;
  bool finished = false;
  std::size_t whole = 0;  ///< octets up to the end of the last whole line: a write that was cut off follows
};
/// Errors: INVALID_REQUEST for what is no such file, with the line.
Result<StringsText> parse_strings(std::string_view text);

/// The file of --strings, which has each string on disk before the server hears it: no crash, lost answer or second run
/// parts a phone from its string. One process has it at once. Threads: one.
class StringsFile {
 public:
  /// Makes a new file with mode 0600, or opens the one of an unfinished run of the same command. Errors:
  /// INVALID_REQUEST where the file is another one, finished, or another process has it; SECRET_EXPOSED where others
  /// may read it.
  static Result<StringsFile> open(const std::string& path, const std::string& command,
                                  Botan::RandomNumberGenerator& random);

  /// Of the server's operations: an earlier one where the file was there.
  const std::string& run() const { return run_.id; }
  bool continued() const { return continued_; }
  /// The string that the file has for the device; null where it has none.
  const DeviceString* find(std::string_view device) const;
  /// All strings, by device.
  const std::map<std::string, DeviceString, std::less<>>& strings() const { return strings_; }
  /// Appends the strings of a batch, each for a device that has none. When it returns they are on disk, and the batch
  /// may be sent. Errors: INVALID_REQUEST where the disk is full, for one: the file is as before, nothing may be sent.
  Status add(std::vector<DeviceString> batch);
  /// Notes that the run is done, so that the file is not continued. Errors: as add().
  Status finish();

 private:
  StringsFile(std::string path, Descriptor file) : path_(std::move(path)), file_(std::move(file)) {}
  static Result<StringsFile> begin(const std::string& path, const std::string& command,
                                   Botan::RandomNumberGenerator& random);
  Status write_first_lines(const std::string& command, Botan::RandomNumberGenerator& random);
  Status lock() const;
  Status resume(const std::string& command);
  Result<Secret> read() const;
  Status append(std::span<const std::uint8_t> data, const char* otherwise);
  tl::unexpected<Error> refuse(const std::string& words) const;

  std::string path_;
  Descriptor file_;
  StringsRun run_;
  bool continued_ = false;
  std::uint64_t size_ = 0;
  std::map<std::string, DeviceString, std::less<>> strings_;
};

}  // namespace capf::cli
