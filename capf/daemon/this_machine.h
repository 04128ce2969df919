#pragma once

#include "capf/daemon/setup.h"

namespace capf::daemon {

/// The machine that this process runs on.
class ThisMachine final : public Surroundings {
 public:
  bool is_root() const override;
  bool has_user(const std::string& name) const override;
  bool exists(const std::filesystem::path& path) const override;
  bool has_systemd() const override;
  std::string own_program() const override;
  Result<Secret> read_secret(const std::filesystem::path& path) const override;
  Status make_folder(const std::filesystem::path& path, const std::string& owner) override;
  Status write_secret(const std::filesystem::path& path, const Secret& secret) override;
  Status with_credential(const std::string& owner, const std::string& name, const Secret& secret,
                         const std::function<Status(const std::filesystem::path& folder)>& action) override;
  Result<std::string> run(const Program& program) override;
};

}  // namespace capf::daemon
