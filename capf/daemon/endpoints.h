#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "capf/base/error.h"

namespace capf::daemon {

/// "192.0.2.1:3805", "[2001:db8::1]:3805"
std::string with_port(const std::string& address, int port);
std::vector<std::string> with_port(const std::vector<std::string>& addresses, int port);

/// Where somebody on this machine reaches a listener: its first address, loopback for one that means every address.
/// @param listening as the servers name them: "0.0.0.0:3805"
std::string dial_address(const std::vector<std::string>& listening);

/// Where the services of a running server are; absent ones do not listen.
struct Endpoints {
  std::optional<std::string> wire;
  std::optional<std::string> phone;
  std::optional<std::string> admin;
  std::optional<std::string> status;
  std::optional<std::string> metrics;

  /// "capfd ready wire=… phone=… admin=… status=… metrics=…"
  std::string ready_line() const;
  /// {"pid":123,"phone":"127.0.0.1:3805", …}
  std::string json(int pid) const;
};

/// endpoints.json as long as it lives. Written beside and renamed, so that a reader finds all of it or nothing.
class EndpointsFile {
 public:
  static Result<EndpointsFile> write(const std::filesystem::path& path, const Endpoints& endpoints);
  EndpointsFile(EndpointsFile&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  EndpointsFile& operator=(EndpointsFile&&) = delete;
  ~EndpointsFile();

 private:
  explicit EndpointsFile(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

}  // namespace capf::daemon
