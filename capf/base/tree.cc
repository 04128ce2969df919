#include "capf/base/tree.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
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
constexpr const char* kRenewed = ".new";    // behind the manifest's name
constexpr std::size_t kBlock = 65536;       // of a manifest that is read or written
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

std::uint64_t digest_of(std::string_view text) {
  const Sha256 digest = sha256(as_bytes(text));
  std::uint64_t number = 0;
  std::memcpy(&number, digest.data(), sizeof number);
  return number;
}

std::uint64_t generation_digest(std::string_view generation) { return digest_of(generation) >> 2U; }

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

bool TreeEntries::Entry::is_of(std::string_view its_generation) const {
  return generation == generation_digest(its_generation);
}

TreeEntries::Entry* TreeEntries::find(std::string_view name) {
  const std::uint64_t digest = digest_of(name);
  auto& part = parts_[digest % kParts];
  const auto found = std::ranges::lower_bound(part, digest, {}, &Entry::name);
  return found != part.end() && found->name == digest ? &*found : nullptr;
}

TreeEntries::Entry& TreeEntries::set(std::string_view name, std::string_view generation) {
  const std::uint64_t digest = digest_of(name);
  auto& part = parts_[digest % kParts];
  auto place = std::ranges::lower_bound(part, digest, {}, &Entry::name);
  if (place == part.end() || place->name != digest) {
    const auto index = place - part.begin();
    if (part.size() == part.capacity()) part.reserve(part.size() + part.size() / 4 + 4);
    place = part.insert(part.begin() + index, Entry{.name = digest, .generation = 0, .wanted = 0, .listed = 0});
  }
  place->generation = generation_digest(generation);
  return *place;
}

Result<Tree> Tree::open(const std::filesystem::path& folder, const std::string& manifest) {
  Descriptor root(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (root.get() < 0) return fail_errno(Reason::kInvalidRequest, folder.string());
  if (::flock(root.get(), LOCK_EX | LOCK_NB) != 0) {
    return fail(Reason::kInvalidRequest, folder.string() + ": another program writes there");
  }
  Tree tree(folder, manifest, std::move(root));
  tree.claims_.emplace(
      ::openat(tree.root_.get(), manifest.c_str(), O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (tree.claims_->get() < 0) return tree.failed(manifest);
  const std::string renewed = manifest + kRenewed;
  ::unlinkat(tree.root_.get(), renewed.c_str(), 0);  // of a program that was killed
  tree.renewed_.emplace(
      ::openat(tree.root_.get(), renewed.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (tree.renewed_->get() < 0) return tree.failed(renewed);
  CAPF_TRY(tree.read_manifest([&](const std::string& name, const std::string& generation) -> Status {
    tree.files_.set(name, generation);
    return {};
  }));
  return tree;
}

tl::unexpected<Error> Tree::failed(std::string_view name) const {
  return fail_errno(Reason::kInvalidRequest, (folder_ / name).string());
}

/// Somebody else may have written it, and a full disk may have cut off a line, on which the next one then begins.
Status Tree::read_manifest(const EachLine& each) const {
  std::string text;
  std::vector<char> block(kBlock);
  for (off_t offset = 0;;) {
    const ssize_t count = ::pread(claims_->get(), block.data(), block.size(), offset);
    if (count < 0) return failed(manifest_);
    if (count == 0) break;
    offset += count;
    text.append(block.data(), static_cast<std::size_t>(count));
    std::size_t begin = 0;
    for (std::size_t end = 0; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
      const std::string_view line = std::string_view(text).substr(begin, end - begin);
      const std::size_t blank = line.find(' ');
      if (blank == std::string::npos || line.find(' ', blank + 1) != std::string::npos) continue;
      const std::string name(line.substr(blank + 1));
      if (is_name(name)) CAPF_TRY(each(name, std::string(line.substr(0, blank))));
    }
    text.erase(0, begin);
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

bool Tree::has(const std::string& name, const std::string& generation) {
  const auto* const found = files_.find(name);
  struct stat status {};
  return found != nullptr && found->is_of(generation) &&
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
  if (files_.find(name) != nullptr) return {};
  if (!write_all(claims_->get(), as_bytes(std::string(kNoGeneration) + ' ' + name + '\n'))) return failed(manifest_);
  files_.set(name, kNoGeneration);
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
      return note(name, generation);
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
  ++written_;
  return note(name, generation);
}

Status Tree::note(const std::string& name, const std::string& generation) {
  auto& entry = files_.set(name, generation);
  entry.wanted = 1;
  entry.listed = 1;
  return list(name, generation);
}

Status Tree::list(const std::string& name, const std::string& generation) {
  listed_ += generation + ' ' + name + '\n';
  return listed_.size() < kBlock ? Status() : write_listed();
}

Status Tree::write_listed() {
  if (!write_all(renewed_->get(), as_bytes(listed_))) return failed(manifest_);
  listed_.clear();
  return {};
}

/// @return whether it was there
Result<bool> Tree::remove(const std::string& name) const {
  CAPF_LET(const Descriptor folder, folder_of(name));
  const bool gone = ::unlinkat(folder.get(), file_of(name).c_str(), 0) == 0;
  if (!gone && errno != ENOENT) return failed(name);
  return gone;
}

Result<int> Tree::finish(const std::function<bool(const std::string& name)>& covered) {
  int removed = 0;
  CAPF_TRY(read_manifest([&](const std::string& name, const std::string& generation) -> Status {
    auto* const entry = files_.find(name);
    if (entry == nullptr || entry->listed != 0 || !entry->is_of(generation)) return {};  // a later line has it
    entry->listed = 1;
    if (entry->wanted != 0 || !covered(name)) return list(name, generation);
    CAPF_LET(const bool was_there, remove(name));
    removed += was_there ? 1 : 0;
    return {};
  }));
  CAPF_TRY(write_listed());
  if (::syncfs(root_.get()) != 0) return failed("");
  if (::fsync(renewed_->get()) != 0 ||
      ::renameat(root_.get(), (manifest_ + kRenewed).c_str(), root_.get(), manifest_.c_str()) != 0) {
    return failed(manifest_);
  }
  return removed;
}

}  // namespace capf
