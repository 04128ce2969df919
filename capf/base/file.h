#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "capf/base/bytes.h"
#include "capf/base/error.h"

namespace capf {

/// An open file that is too large to be held in memory. Reading is for any thread, writing for one. Errors: INTERNAL,
/// with the path and the system's words as its cause.
class File {
 public:
  static Result<File> open(const std::filesystem::path& path);
  /// Opens a file below a folder that a stranger names: no part of its path may be a link, "..", "." or empty, so that
  /// nothing outside is ever opened, and no device, pipe or folder either. The folder itself may be a link.
  /// @return nothing where there is no such file.
  static Result<std::optional<File>> open_beneath(const std::filesystem::path& folder, std::string_view relative);
  /// Makes an empty file with mode 0600, in place of any other at `path`, for writing and reading.
  static Result<File> create(const std::filesystem::path& path);
  /// Opens a file for appending only, or makes it with mode 0600.
  static Result<File> open_to_append(const std::filesystem::path& path);
  File(File&& other) noexcept : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)) {}
  File& operator=(File&& other) noexcept;
  ~File();

  Result<std::uint64_t> size() const;
  /// When its content was changed last, in nanoseconds since 1970.
  Result<std::int64_t> changed_at() const;
  /// Appends to what was written before.
  Status write(BytesView data);
  /// @return how many octets were read: fewer than asked for at the end of the file only.
  Result<std::size_t> read(std::uint64_t offset, std::span<std::uint8_t> into) const;
  /// Syncs the file to disk.
  Status sync() const;

 private:
  File(std::filesystem::path path, int fd) : path_(std::move(path)), fd_(fd) {}
  tl::unexpected<Error> failed() const;

  std::filesystem::path path_;
  int fd_;
};

/// The system's words for `error`, which is an errno.
std::string errno_words(int error);
/// An error with `what`, mostly a path, and the system's words for errno.
tl::unexpected<Error> fail_errno(Reason reason, const std::string& what);

/// Tries whether 64 KiB can be written into the folder now, and leaves nothing there.
/// Errors: STATE_NOT_WRITABLE, with the folder and the system's words.
Status check_room(const std::filesystem::path& folder);

/// The folder in which a file is: "." for a name alone.
std::filesystem::path folder_of(const std::filesystem::path& file);

/// Makes what was renamed, made or removed in the folder outlive a power cut. Errors: `reason`, with the folder and the
/// system's words.
Status sync_folder(const std::filesystem::path& folder, Reason reason);

/// Renames a synced file over another one, and syncs the folder. Errors: INTERNAL.
Status replace_file(const std::filesystem::path& from, const std::filesystem::path& to);

}  // namespace capf
