#include "capf/base/tree.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <sstream>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "capf/base/file.h"

namespace capf {
namespace {

constexpr const char* kUnfinished = ".capf-new";
constexpr const char* kNoGeneration = "-";  // of a file that may not be whole
constexpr mode_t kFileMode = 0640;
constexpr mode_t kFolderMode = 0750;

std::string file_of(std::string_view name) {
  return std::string(name.substr(name.rfind('/') + 1));  // npos + 1 is 0
}

/// Whether no part of the name climbs, is hidden or empty.
bool is_name(std::string_view name) {
  while (true) {
    const std::size_t slash = name.find('/');
    const std::string_view part = name.substr(0, slash);
    if (part.empty() || part.front() == '.') return false;
    if (slash == std::string_view::npos) return true;
    name.remove_prefix(slash + 1);
  }
}

/// Gives the permissions that the umask has taken. Others are left: a service may not set the set-group-ID bit, and
/// would clear it.
bool allow(int fd, mode_t mode) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return false;
  return (status.st_mode & mode) == mode || ::fchmod(fd, (status.st_mode & S_ISGID) | mode) == 0;
}

bool write_all(int fd, BytesView data) {
  while (!data.empty()) {
    const ssize_t count = ::write(fd, data.data(), data.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    data = data.subspan(static_cast<std::size_t>(count));
  }
  return true;
}

}  // namespace

Result<Tree> Tree::open(const std::filesystem::path& folder, const std::string& manifest) {
  Descriptor root(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (root.get() < 0) return fail_errno(Reason::kInvalidRequest, folder.string());
  if (::flock(root.get(), LOCK_EX | LOCK_NB) != 0) {
    return fail(Reason::kInvalidRequest, folder.string() + ": another program writes there");
  }
  Tree tree(folder, manifest, std::move(root));
  CAPF_TRY(tree.read_manifest());
  return tree;
}

tl::unexpected<Error> Tree::failed(std::string_view name) const {
  return fail_errno(Reason::kInvalidRequest, (folder_ / name).string());
}

Status Tree::read_manifest() {
  claims_.emplace(::openat(root_.get(), manifest_.c_str(), O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (claims_->get() < 0) return failed(manifest_);
  std::string text;
  std::array<char, 65536> part;
  for (ssize_t count = 1; count != 0;) {
    count = ::read(claims_->get(), part.data(), part.size());
    if (count < 0) return failed(manifest_);
    text.append(part.data(), static_cast<std::size_t>(count));
  }
  // Somebody else may have written it, and a full disk may have cut off a line, on which the next one then begins.
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t blank = line.find(' ');
    if (blank == std::string::npos || line.find(' ', blank + 1) != std::string::npos) continue;
    const std::string name = line.substr(blank + 1);
    if (is_name(name)) files_[name].generation = line.substr(0, blank);
  }
  return {};
}

/// The folder of a file. Folders that are missing are made.
Result<Descriptor> Tree::folder_of(std::string_view name, int beneath) const {
  const std::size_t slash = name.find('/');
  if (slash == std::string_view::npos) {
    Descriptor folder(::fcntl(beneath, F_DUPFD_CLOEXEC, 0));
    if (folder.get() < 0) return failed(name);
    return folder;
  }
  const std::string part(name.substr(0, slash));
  const bool made = ::mkdirat(beneath, part.c_str(), kFolderMode) == 0;
  if (!made && errno != EEXIST) return failed(part);
  const Descriptor next(::openat(beneath, part.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (next.get() < 0 || (made && !allow(next.get(), kFolderMode))) return failed(part);
  return folder_of(name.substr(slash + 1), next.get());
}

bool Tree::has(const std::string& name, const std::string& generation) const {
  const auto found = files_.find(name);
  struct stat status {};
  return found != files_.end() && found->second.generation == generation &&
         ::fstatat(root_.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode);
}

bool Tree::holds(const Descriptor& folder, const std::string& file, BytesView octets) const {
  const Descriptor there(::openat(folder.get(), file.c_str(), O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC));
  struct stat status {};
  if (there.get() < 0 || ::fstat(there.get(), &status) != 0 || !S_ISREG(status.st_mode)) return false;
  if (static_cast<std::size_t>(status.st_size) != octets.size()) return false;
  Bytes present(octets.size());
  std::size_t filled = 0;
  while (filled < present.size()) {
    const ssize_t count = ::read(there.get(), present.data() + filled, present.size() - filled);
    if (count <= 0) return false;
    filled += static_cast<std::size_t>(count);
  }
  return std::equal(present.begin(), present.end(), octets.begin());
}

/// So that a file of an export that was interrupted is known as ours.
Status Tree::claim(const std::string& name) {
  if (files_.contains(name)) return {};
  if (!write_all(claims_->get(), as_bytes(std::string(kNoGeneration) + ' ' + name + '\n'))) return failed(manifest_);
  files_[name].generation = kNoGeneration;
  return {};
}

Status Tree::begin(const Descriptor& folder, const std::string& name) {
  CAPF_TRY(claim(name));
  ::unlinkat(folder.get(), kUnfinished, 0);  // of a program that was killed
  unfinished_.emplace(
      ::openat(folder.get(), kUnfinished, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, kFileMode));
  if (unfinished_->get() < 0 || !allow(unfinished_->get(), kFileMode)) return failed(name);
  return {};
}

Status Tree::put(const std::string& name, const std::string& generation, BytesView part, bool last) {
  if (!is_name(name)) return fail(Reason::kInvalidRequest, "a file cannot have this name");
  CAPF_LET(const Descriptor folder, folder_of(name));
  const std::string file = file_of(name);
  if (!unfinished_) {
    if (last && holds(folder, file, part)) {
      CAPF_TRY(claim(name));
      note(name, generation);
      return {};
    }
    CAPF_TRY(begin(folder, name));
  }
  const bool written = write_all(unfinished_->get(), part);
  if (written && !last) return {};
  const bool placed = written && ::renameat(folder.get(), kUnfinished, folder.get(), file.c_str()) == 0;
  const int error = errno;
  unfinished_.reset();
  if (!placed) {
    ::unlinkat(folder.get(), kUnfinished, 0);
    errno = error;
    return failed(name);
  }
  note(name, generation);
  ++written_;
  return {};
}

Status Tree::write_manifest() {
  std::string text;
  for (const auto& [name, entry] : files_) text += entry.generation + ' ' + name + '\n';
  ::unlinkat(root_.get(), kUnfinished, 0);
  const Descriptor file(::openat(root_.get(), kUnfinished, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (file.get() < 0 || !write_all(file.get(), as_bytes(text)) || ::fsync(file.get()) != 0 ||
      ::renameat(root_.get(), kUnfinished, root_.get(), manifest_.c_str()) != 0) {
    return failed(manifest_);
  }
  return {};
}

Result<int> Tree::finish(const std::function<bool(const std::string& name)>& covered) {
  int removed = 0;
  for (auto each = files_.begin(); each != files_.end();) {
    const auto& [name, entry] = *each;
    if (entry.wanted || !covered(name)) {
      ++each;
      continue;
    }
    CAPF_LET(const Descriptor folder, folder_of(name));
    const bool gone = ::unlinkat(folder.get(), file_of(name).c_str(), 0) == 0;
    if (!gone && errno != ENOENT) return failed(name);
    removed += gone ? 1 : 0;
    each = files_.erase(each);
  }
  if (::syncfs(root_.get()) != 0) return failed("");
  CAPF_TRY(write_manifest());
  return removed;
}

}  // namespace capf
