#include "capf/base/secret.h"

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "capf/base/descriptor.h"
#include "capf/base/file.h"

namespace capf {
namespace {

constexpr std::size_t kLargestSecret = 4096;

Status check_private(int fd, const std::string& name) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return fail_errno(Reason::kInvalidConfiguration, name);
  if (status.st_uid != ::geteuid() && status.st_uid != 0) {
    return fail(Reason::kSecretExposed, name + " belongs to somebody else");
  }
  if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    return fail(Reason::kSecretExposed,
                name + " is open to its group or to everybody; 'chmod go= " + name + "' mends it");
  }
  return {};
}

Status check_trusted(const struct stat& status, const std::string& name) {
  if (status.st_uid != ::geteuid() && status.st_uid != 0) {
    return fail(Reason::kInvalidConfiguration,
                name + " belongs to somebody else, who could say with it what this program does");
  }
  // In a folder with the sticky bit every user may add files, but not touch those of others.
  const bool sticky = S_ISDIR(status.st_mode) && (status.st_mode & S_ISVTX) != 0;
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0 && !sticky) {
    return fail(Reason::kInvalidConfiguration,
                name +
                    " may be written by its group or by everybody, who could say with it "
                    "what this program does; 'chmod go-w " +
                    name + "' mends it");
  }
  return {};
}

Status check_trusted(int fd, const std::string& name) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return fail_errno(Reason::kInvalidConfiguration, name);
  return check_trusted(status, name);
}

Status check_unreadable(const struct stat& status, const std::string& name) {
  if ((status.st_mode & (S_IRGRP | S_IWGRP | S_IROTH | S_IWOTH)) == 0) return {};
  return fail(Reason::kSecretExposed,
              name + " may be read or written by its group or by everybody; 'chmod go-rw " + name + "' mends it");
}

Result<Secret> read_all(int fd, const std::string& name, std::size_t limit) {
  Botan::secure_vector<std::uint8_t> data(limit + 1);
  std::size_t filled = 0;
  while (filled < data.size()) {
    const ssize_t count = ::read(fd, data.data() + filled, data.size() - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(Reason::kInvalidConfiguration, name);
    if (count == 0) break;
    filled += static_cast<std::size_t>(count);
  }
  if (filled > limit)
    return fail(Reason::kInvalidConfiguration, name + " is larger than " + std::to_string(limit) + " octets");
  data.resize(filled);
  return Secret(std::move(data));
}

Result<Secret> trimmed(const Secret& secret, const std::string& source) {
  BytesView data = secret.view();
  if (!data.empty() && data.back() == '\n') data = data.first(data.size() - 1);
  if (data.empty()) return fail(Reason::kInvalidConfiguration, source + " holds no secret");
  return Secret(data);
}

/// Writes all of it to disk. @return whether that worked; else errno says why
bool fill(int fd, BytesView data, mode_t mode) {
  while (!data.empty()) {
    const ssize_t count = ::write(fd, data.data(), data.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    data = data.subspan(static_cast<std::size_t>(count));
  }
  return ::fchmod(fd, mode) == 0 && ::fsync(fd) == 0;
}

/// A part of a file would be taken for the whole one, so it does not stay.
Status write_new(const std::filesystem::path& path, BytesView data, mode_t mode) {
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode));
  if (file.get() < 0) {
    if (errno == EEXIST) return fail(Reason::kSiteExists, path.string() + " exists already; nothing is overwritten");
    return fail_errno(Reason::kInvalidConfiguration, path);
  }
  if (fill(file.get(), data, mode)) return {};
  tl::unexpected<Error> why = fail_errno(Reason::kInvalidConfiguration, path);
  ::unlink(path.c_str());
  return why;
}

Status rewrite(const std::filesystem::path& path, BytesView data, mode_t mode) {
  const std::filesystem::path fresh = path.string() + ".new";
  std::error_code error;
  std::filesystem::remove(fresh, error);  // of a try that was cut off
  CAPF_TRY(write_new(fresh, data, mode));
  if (const Status replaced = replace_file(fresh, path); !replaced) {
    return fail(Reason::kInvalidConfiguration, replaced.error().cause);
  }
  return {};
}

}  // namespace

Result<Secret> read_secret_file(const std::filesystem::path& path, std::size_t limit) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return fail_errno(Reason::kInvalidConfiguration, path);
  CAPF_TRY(check_private(file.get(), path.string()));
  return read_all(file.get(), path.string(), limit);
}

Status check_private(const std::filesystem::path& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return fail_errno(Reason::kInvalidConfiguration, path);
  return check_private(file.get(), path.string());
}

Status check_trusted(const std::filesystem::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return fail_errno(Reason::kInvalidConfiguration, path);
  return check_trusted(status, path.string());
}

Result<std::filesystem::path> find_trusted_library(const std::filesystem::path& path) {
  std::error_code error;
  auto real = std::filesystem::canonical(path, error);
  if (error) return fail(Reason::kInvalidConfiguration, path.string() + ": " + error.message());
  CAPF_TRY(check_trusted(real));
  for (auto folder = real.parent_path();; folder = folder.parent_path()) {
    CAPF_TRY(check_trusted(folder));
    if (folder == folder.parent_path()) return real;
  }
}

Result<Bytes> read_trusted_file(const std::filesystem::path& path, std::size_t limit) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return fail_errno(Reason::kInvalidConfiguration, path);
  CAPF_TRY(check_trusted(file.get(), path.string()));
  CAPF_LET(const Secret data, read_all(file.get(), path.string(), limit));
  return Bytes(data.view().begin(), data.view().end());
}

Status check_own_folder(const std::filesystem::path& folder) {
  const Descriptor opened(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (opened.get() < 0 && errno == ENOENT) return {};
  struct stat status {};
  if (opened.get() < 0 || ::fstat(opened.get(), &status) != 0) {
    return fail_errno(Reason::kInvalidConfiguration, folder);
  }
  if (status.st_uid != ::geteuid()) {
    return fail(Reason::kInvalidConfiguration, folder.string() + " belongs to somebody else: run this as its owner");
  }
  CAPF_TRY(check_unreadable(status, folder.string()));
  if ((status.st_mode & (S_IXGRP | S_IXOTH)) == 0) return {};  // other users cannot reach its files
  std::error_code error;
  for (std::filesystem::directory_iterator each(folder, error), end; !error && each != end; each.increment(error)) {
    // A file that was removed meanwhile is no danger.
    if (::lstat(each->path().c_str(), &status) != 0 || S_ISLNK(status.st_mode)) continue;
    CAPF_TRY(check_unreadable(status, each->path().string()));
  }
  if (error) return fail(Reason::kInvalidConfiguration, folder.string() + ": " + error.message());
  return {};
}

Result<Secret> read_secret(const std::string& source) {
  const auto colon = source.find(':');
  const std::string kind = source.substr(0, colon);
  const std::string place = colon == std::string::npos ? "" : source.substr(colon + 1);
  if (place.empty()) {
    return fail(Reason::kInvalidConfiguration, "a secret is named as file:PATH, fd:N, env:NAME or credential:NAME");
  }
  if (kind == "file") {
    CAPF_LET(const Secret secret, read_secret_file(place, kLargestSecret));
    return trimmed(secret, source);
  }
  if (kind == "credential") {
    const char* folder = std::getenv("CREDENTIALS_DIRECTORY");  // NOLINT(concurrency-mt-unsafe): read at start
    if (folder == nullptr)
      return fail(Reason::kInvalidConfiguration, "credential:" + place + ": CREDENTIALS_DIRECTORY is not set");
    if (place.find('/') != std::string::npos)
      return fail(Reason::kInvalidConfiguration, "a credential's name has no slash");
    // systemd owns that folder and lets only the service read it; its files may be 0440.
    const Descriptor file(::open((std::filesystem::path(folder) / place).c_str(), O_RDONLY | O_CLOEXEC));
    if (file.get() < 0) return fail_errno(Reason::kInvalidConfiguration, source);
    CAPF_LET(const Secret secret, read_all(file.get(), source, kLargestSecret));
    return trimmed(secret, source);
  }
  if (kind == "fd") {
    int number = -1;
    const auto parsed = std::from_chars(place.data(), place.data() + place.size(), number);
    if (parsed.ec != std::errc{} || parsed.ptr != place.data() + place.size() || number < 0) {
      return fail(Reason::kInvalidConfiguration, source + " is no file descriptor");
    }
    const Descriptor file(number);
    CAPF_LET(const Secret secret, read_all(file.get(), source, kLargestSecret));
    return trimmed(secret, source);
  }
  if (kind == "env") {
    char* value = std::getenv(place.c_str());  // NOLINT(concurrency-mt-unsafe): read at start
    if (value == nullptr) return fail(Reason::kInvalidConfiguration, source + " is not set");
    const Secret secret{std::string_view(value)};
    std::memset(value, 0, std::strlen(value));
    ::unsetenv(place.c_str());  // NOLINT(concurrency-mt-unsafe): at start
    return trimmed(secret, source);
  }
  return fail(Reason::kInvalidConfiguration, "a secret is named as file:PATH, fd:N, env:NAME or credential:NAME");
}

Status write_new_secret_file(const std::filesystem::path& path, BytesView data) { return write_new(path, data, 0600); }

Status write_new_file(const std::filesystem::path& path, BytesView data) { return write_new(path, data, 0644); }

Status rewrite_file(const std::filesystem::path& path, BytesView data) { return rewrite(path, data, 0644); }

Status rewrite_secret_file(const std::filesystem::path& path, BytesView data) { return rewrite(path, data, 0600); }

void forbid_core_dumps() {
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

}  // namespace capf
