#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <utility>

#include "capf/base/bytes.h"
#include "capf/base/error.h"

namespace capf {

/// An open file that is too large to be held in memory. Reading is for any thread, writing for one.
/// What fails is INTERNAL, with the path and the system's words as its cause.
class File {
 public:
  static Result<File> open(const std::filesystem::path& path);
  /// Empty, with mode 0600, in place of what stood there. It can be read too.
  static Result<File> create(const std::filesystem::path& path);
  /// Writes go behind what is there; made with mode 0600 where it is not. It cannot be read.
  static Result<File> open_to_append(const std::filesystem::path& path);
  File(File&& other) noexcept : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)) {}
  File& operator=(File&& other) noexcept;
  ~File();

  Result<std::uint64_t> size() const;
  /// Writes behind what was written before.
  Status write(BytesView data);
  /// @return how many octets there were: less than asked for at the end of the file only.
  Result<std::size_t> read(std::uint64_t offset, std::span<std::uint8_t> into) const;
  /// To disk.
  Status sync() const;

 private:
  File(std::filesystem::path path, int fd) : path_(std::move(path)), fd_(fd) {}
  tl::unexpected<Error> failed() const;

  std::filesystem::path path_;
  int fd_;
};

/// Puts a file that is synced in the place of another one, and writes that to disk.
Status replace_file(const std::filesystem::path& from, const std::filesystem::path& to);

}  // namespace capf
