#include "capf/cli/secret_file.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "capf/base/file.h"

namespace capf::cli {
namespace {

Status check_place(const std::string& path, bool replace) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) return {};
    return fail_errno(Reason::kInvalidRequest, path);
  }
  if (!S_ISREG(status.st_mode)) return fail(Reason::kInvalidRequest, path + " is no file, and secrets are not shown");
  if (!replace) return fail(Reason::kInvalidRequest, path + " is there already; --replace puts a new one in its place");
  return {};
}

}  // namespace

Status sync_folder(const std::string& path) { return capf::sync_folder(folder_of(path), Reason::kInvalidRequest); }

Result<SecretFile> SecretFile::begin(const std::string& path, bool replace) {
  CAPF_TRY(check_place(path, replace));
  std::string unfinished = path + ".XXXXXX";
  Descriptor file(::mkostemp(unfinished.data(), O_CLOEXEC));  // for its owner alone
  if (file.get() < 0) return fail_errno(Reason::kInvalidRequest, path);
  return SecretFile(path, replace, std::move(unfinished), std::move(file));
}

SecretFile::SecretFile(SecretFile&& other) noexcept
    : path_(std::move(other.path_)),
      replace_(other.replace_),
      unfinished_(std::exchange(other.unfinished_, {})),
      file_(std::move(other.file_)) {}

SecretFile::~SecretFile() {
  if (!unfinished_.empty()) ::unlink(unfinished_.c_str());
}

Status SecretFile::write(std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::write(file_.get(), text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(Reason::kInvalidRequest, path_);
    text.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

/// A new name is linked, because a rename would replace what somebody has put there meanwhile.
Status SecretFile::finish() {
  if (::fsync(file_.get()) != 0) return fail_errno(Reason::kInvalidRequest, path_);
  if (!replace_) {
    if (::link(unfinished_.c_str(), path_.c_str()) != 0) return fail_errno(Reason::kInvalidRequest, path_);
    return sync_folder(path_);
  }
  if (::rename(unfinished_.c_str(), path_.c_str()) != 0) return fail_errno(Reason::kInvalidRequest, path_);
  unfinished_.clear();
  return sync_folder(path_);
}

}  // namespace capf::cli
