#pragma once

#include <filesystem>
#include <mutex>

#include "capf/service/highwater.h"

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

}  // namespace capf::daemon
