#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "capf/base/secret.h"
#include "capf/ca/token.h"
#include "tests/support/folder.h"

// A SoftHSM token of one test's own, behind the shim that simulates its faults.

namespace capf::test {

inline const char* const kPin = "193746";

/// The library with the token is CAPF_SOFTHSM, the shim is CAPF_SHIM.
class SoftToken {
 public:
  SoftToken() {
    std::filesystem::create_directory(folder_.path() / "tokens");
    std::ofstream(folder_.path() / "softhsm2.conf")
        << "directories.tokendir = " << (folder_.path() / "tokens").string() << "\nlog.level = ERROR\n";
    set("SOFTHSM2_CONF", (folder_.path() / "softhsm2.conf").string());
    set("CAPF_SHIM_LIBRARY", CAPF_SOFTHSM);
    set("CAPF_SHIM_FOLDER", folder_.path().string());
    initialize("capf");
  }

  /// Another token in the same library.
  void initialize(const std::string& label) const {
    const std::string command =
        "softhsm2-util --init-token --free --label " + label + " --so-pin 00000000 --pin " + kPin + " >/dev/null 2>&1";
    if (std::system(command.c_str()) != 0) throw std::runtime_error("softhsm2-util --init-token");  // NOLINT
  }

  /// With the right PIN, unless `pin` says otherwise.
  ca::TokenAccess access(std::function<Result<Secret>()> pin = {}) const {
    ca::TokenAccess access;
    access.module = CAPF_SHIM;
    access.pin = pin ? std::move(pin) : [] { return Secret(std::string_view(kPin)); };
    access.sessions = 4;
    access.pause = std::chrono::milliseconds{0};
    return access;
  }
  static std::string uri(const std::string& object) { return "pkcs11:token=capf;object=" + object; }

  /// Sets a fault of the shim: "removed", "sign-3", "final-try", "hang-C_Sign".
  void say(const std::string& what) const { std::ofstream(folder_.path() / what).flush(); }
  void take_back(const std::string& what) const { std::filesystem::remove(folder_.path() / what); }
  /// The outcomes of the PINs that the token was given: "taken", "refused".
  std::vector<std::string> logins() const {
    std::vector<std::string> lines;
    std::ifstream file(folder_.path() / "logins");
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    return lines;
  }
  /// How many calls have hung until now.
  std::size_t hung() const {
    std::size_t lines = 0;
    std::ifstream file(folder_.path() / "hung");
    for (std::string line; std::getline(file, line);) ++lines;
    return lines;
  }
  int most_sessions() const {
    int most = 0;
    std::ifstream(folder_.path() / "most-sessions") >> most;
    return most;
  }

 private:
  static void set(const char* name, const std::string& value) {
    ::setenv(name, value.c_str(), 1);  // NOLINT(concurrency-mt-unsafe)
  }

  Folder folder_;
};

}  // namespace capf::test
