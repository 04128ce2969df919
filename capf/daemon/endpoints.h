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

/// The address at which programs on this machine reach a listener: its first one, or loopback for one that means every
/// address.
/// @param listening in the servers' form: "0.0.0.0:3805"
std::string dial_address(const std::vector<std::string>& listening);

/// The addresses of a running server's services; absent ones do not listen.
struct Endpoints {
  std::optional<std::string> wire;
  std::optional<std::string> phone;
  std::optional<std::string> admin;
  std::optional<std::string> status;
  std::optional<std::string> metrics;
  std::optional<std::string> calls;
  std::optional<std::string> tvs;
  std::optional<std::string> files;
  std::optional<std::string> files_tls;

  /// "capfd ready wire=… phone=… admin=… status=… metrics=… calls=… tvs=… files=… files_tls=…"
  std::string ready_line() const;
  /// {"pid":123,"phone":"127.0.0.1:3805", …}
  std::string json(int pid) const;
};

/// The file endpoints.json, during this object's life. Written beside and renamed, so that a reader finds a whole file
/// or none.
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
