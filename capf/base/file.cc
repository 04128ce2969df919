#include "capf/base/file.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace capf {
namespace {

tl::unexpected<Error> failed_at(const std::filesystem::path& path) {
  return fail_internal(path.string() + ": " + errno_words(errno));
}

/// Whether a file that a stranger asks for is not there: it, or its folder, is missing, a link, or of another kind.
bool is_absent(int error) {
  return error == ENOENT || error == ENOTDIR || error == ELOOP || error == ENAMETOOLONG || error == ENXIO;
}

}  // namespace

Result<File> File::open(const std::filesystem::path& path) {
  File file(path, ::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.fd_ < 0) return failed_at(path);
  return file;
}

Result<std::optional<File>> File::open_beneath(const std::filesystem::path& folder, std::string_view relative) {
  File at(folder, ::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (at.fd_ < 0) return failed_at(folder);
  while (true) {
    const std::size_t slash = relative.find('/');
    const std::string part(relative.substr(0, slash));
    const bool last = slash == std::string_view::npos;
    if (part.empty() || part == "." || part == ".." || part.find('\0') != std::string::npos) return std::nullopt;
    // O_NONBLOCK: a pipe without a writer would wait for one.
    const int kind = last ? O_RDONLY | O_NONBLOCK : O_PATH | O_DIRECTORY;
    File next(at.path_ / part, ::openat(at.fd_, part.c_str(), kind | O_NOFOLLOW | O_CLOEXEC));
    if (next.fd_ < 0) {
      if (is_absent(errno)) return std::nullopt;
      return next.failed();
    }
    if (last) {
      struct stat status {};
      if (::fstat(next.fd_, &status) != 0) return next.failed();
      return S_ISREG(status.st_mode) ? std::optional(std::move(next)) : std::nullopt;
    }
    at = std::move(next);
    relative.remove_prefix(slash + 1);
  }
}

Result<File> File::create(const std::filesystem::path& path) {
  File file(path, ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (file.fd_ < 0) return failed_at(path);
  return file;
}

Result<File> File::open_to_append(const std::filesystem::path& path) {
  File file(path, ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (file.fd_ < 0) return failed_at(path);
  return file;
}

File& File::operator=(File&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(fd_, other.fd_);
  return *this;
}

File::~File() {
  if (fd_ >= 0) ::close(fd_);
}

tl::unexpected<Error> File::failed() const { return failed_at(path_); }

Result<std::uint64_t> File::size() const {
  struct stat status {};
  if (::fstat(fd_, &status) != 0) return failed();
  return static_cast<std::uint64_t>(status.st_size);
}

Result<std::int64_t> File::changed_at() const {
  struct stat status {};
  if (::fstat(fd_, &status) != 0) return failed();
  return std::int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec;
}

Status File::write(BytesView data) {
  while (!data.empty()) {
    const ssize_t count = ::write(fd_, data.data(), data.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failed();
    data = data.subspan(static_cast<std::size_t>(count));
  }
  return {};
}

Result<std::size_t> File::read(std::uint64_t offset, std::span<std::uint8_t> into) const {
  std::size_t filled = 0;
  while (filled < into.size()) {
    const ssize_t count = ::pread(fd_, into.data() + filled, into.size() - filled, static_cast<off_t>(offset + filled));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failed();
    if (count == 0) break;
    filled += static_cast<std::size_t>(count);
  }
  return filled;
}

Status File::sync() const {
  if (::fsync(fd_) != 0) return failed();
  return {};
}

std::string errno_words(int error) { return std::strerror(error); }  // NOLINT(concurrency-mt-unsafe): glibc's is

tl::unexpected<Error> fail_errno(Reason reason, const std::string& what) {
  return fail(reason, what + ": " + errno_words(errno));
}

Status check_room(const std::filesystem::path& folder) {
  constexpr off_t kRoom = 65536;
  // The file has no name where the file system can do that, and loses it at once where it cannot.
  int fd = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
    std::string path = (folder / ".room.XXXXXX").string();
    fd = ::mkostemp(path.data(), O_CLOEXEC);
    if (fd >= 0) ::unlink(path.c_str());
  }
  const int error = fd < 0 ? errno : ::posix_fallocate(fd, 0, kRoom);
  if (fd >= 0) ::close(fd);
  if (error == 0) return {};
  return fail(Reason::kStateNotWritable, folder.string() + ": " + errno_words(error));
}

std::filesystem::path folder_of(const std::filesystem::path& file) {
  return file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
}

Status sync_folder(const std::filesystem::path& folder, Reason reason) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const int error = fd < 0 || ::fsync(fd) != 0 ? errno : 0;
  if (fd >= 0) ::close(fd);
  if (fd >= 0 && (error == 0 || error == EINVAL)) return {};  // some file systems cannot
  return fail(reason, folder.string() + ": " + errno_words(error));
}

Status replace_file(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return failed_at(from);
  return sync_folder(folder_of(to), Reason::kInternal);
}

}  // namespace capf
