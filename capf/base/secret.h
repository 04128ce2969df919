#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include <botan/secmem.h>

#include "capf/base/bytes.h"
#include "capf/base/error.h"

namespace capf {

/// Secret octets: locked in memory where the system allows it, and wiped on destruction. Never logged: no function
/// prints one.
class Secret {
 public:
  Secret() = default;
  explicit Secret(BytesView data) : data_(data.begin(), data.end()) {}
  explicit Secret(std::string_view text) : Secret(as_bytes(text)) {}
  explicit Secret(Botan::secure_vector<std::uint8_t> data) : data_(std::move(data)) {}

  BytesView view() const { return {data_.data(), data_.size()}; }
  /// The same octets as text. The caller must not copy them to where they outlive it.
  std::string_view text() const { return as_text(view()); }
  bool empty() const { return data_.empty(); }

 private:
  Botan::secure_vector<std::uint8_t> data_;
};

/// Reads a secret from where a setting says it is: "file:PATH", "fd:N", "env:NAME" or "credential:NAME" (a file of
/// that name in $CREDENTIALS_DIRECTORY, as systemd's LoadCredential makes it). One trailing newline is cut off.
/// At most 4096 octets, at least one. An environment variable is removed once it is read; a descriptor is closed.
/// Errors: INVALID_CONFIGURATION; SECRET_EXPOSED where group or others have access to the file.
Result<Secret> read_secret(const std::string& source);

/// Whole file, at most `limit` octets; SECRET_EXPOSED where group or others have access to it.
/// Errors: INVALID_CONFIGURATION.
Result<Secret> read_secret_file(const std::filesystem::path& path, std::size_t limit = 65536);

/// SECRET_EXPOSED where group or others may do anything with the file or folder.
Status check_private(const std::filesystem::path& path);

/// Checks a file that configures a program or is part of it: it must belong to the caller or to root, and only its
/// owner may write it. Errors: INVALID_CONFIGURATION.
Status check_trusted(const std::filesystem::path& path);
/// The same for a library, and for every folder above it, in which somebody else might put another one in its place.
/// @return where it is without links, which is what is to be loaded. Errors: INVALID_CONFIGURATION.
Result<std::filesystem::path> find_trusted_library(const std::filesystem::path& path);
/// Whole file after the same check, at most `limit` octets. Errors: INVALID_CONFIGURATION.
Result<Bytes> read_trusted_file(const std::filesystem::path& path, std::size_t limit);

/// Checks the folder of a program's own files, if it exists: it must be the caller's, and others may at most pass
/// through (0711), where they can read and write none of its files. Errors: INVALID_CONFIGURATION for another user's
/// folder; SECRET_EXPOSED.
Status check_own_folder(const std::filesystem::path& folder);

/// Makes a new file with mode 0600 that holds `data`, synced to disk, or none. Errors: SITE_EXISTS where there is one.
Status write_new_secret_file(const std::filesystem::path& path, BytesView data);
/// Makes a new file with mode 0644, synced to disk, or none. Errors: SITE_EXISTS where there is one.
Status write_new_file(const std::filesystem::path& path, BytesView data);

/// Writes a file in the place of the one that may be there, by one rename, on disk when it returns: old or new,
/// whatever happens meanwhile. The first with mode 0644, the other with 0600. Errors: INVALID_CONFIGURATION.
Status rewrite_file(const std::filesystem::path& path, BytesView data);
Status rewrite_secret_file(const std::filesystem::path& path, BytesView data);

/// No core dumps, no ptrace by others: call once at the start of a program that holds keys.
void forbid_core_dumps();

}  // namespace capf
