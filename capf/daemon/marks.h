#pragma once

#include <filesystem>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include <botan/rng.h>

#include "capf/base/secret.h"
#include "capf/service/highwater.h"
#include "capf/service/journal.h"

namespace capf::daemon {

/// The high-water marks in a file beside the keys, "<name> <value>" on each line; replaced as a whole.
class MarksFile final : public service::Marks {
 public:
  /// @param path in a folder of this server's own
  explicit MarksFile(std::filesystem::path path) : path_(std::move(path)) {}

  Result<std::optional<std::string>> find(const std::string& name) override;
  Status set(const std::string& name, const std::string& value) override;

 private:
  Result<std::map<std::string, std::string>> read() const;

  std::filesystem::path path_;
  std::mutex mutex_;
};

/// The journal of withdrawals in a file beside the keys. A line that a crash has cut off is removed.
class JournalFile final : public service::Lines {
 public:
  /// @param path in a folder of this server's own
  explicit JournalFile(std::filesystem::path path) : path_(std::move(path)) {}

  Result<std::vector<std::string>> read() override;
  Status append(std::span<const std::string> lines) override;
  Status replace(std::span<const std::string> lines) override;

 private:
  std::filesystem::path path_;
};

/// Draws the word and writes it to its file, in place of that of an earlier start. Errors: INVALID_CONFIGURATION.
Result<Secret> make_recovery_word(const std::filesystem::path& path, Botan::RandomNumberGenerator& random);

}  // namespace capf::daemon
