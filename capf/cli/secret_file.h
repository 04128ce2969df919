#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "capf/base/descriptor.h"
#include "capf/base/secret.h"

namespace capf::cli {

/// Puts the file's entry in its folder on disk. Some file systems cannot, and say EINVAL. Errors: INVALID_REQUEST.
Status sync_folder(const std::string& path);

/// A file of secrets, for its owner alone. It gets its name when it is whole and on disk; until then, and where it is
/// never finished, what stands there stays, and nothing else is left.
class SecretFile {
 public:
  /// @param replace whether it takes the place of a file. Errors: INVALID_REQUEST, also for what is no file, as a
  /// terminal.
  static Result<SecretFile> begin(const std::string& path, bool replace);
  SecretFile(SecretFile&& other) noexcept;
  SecretFile& operator=(SecretFile&&) = delete;
  ~SecretFile();

  /// Errors: INVALID_REQUEST.
  Status write(std::string_view text);
  Status finish();

 private:
  SecretFile(std::string path, bool replace, std::string unfinished, Descriptor file)
      : path_(std::move(path)), replace_(replace), unfinished_(std::move(unfinished)), file_(std::move(file)) {}

  std::string path_;
  bool replace_;
  std::string unfinished_;  ///< the name under which it is written; empty: it has none any more
  Descriptor file_;
};

}  // namespace capf::cli
