#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "capf/base/secret.h"
#include "capf/daemon/configuration.h"
#include "capf/daemon/site.h"

namespace capf::daemon {

/// One passphrase in place of another one.
struct Rekeying {
  const Secret& from;
  const Secret& to;
  /// Which holds the former one, and is to hold the next one; absent where the passphrase comes from somewhere else.
  std::optional<std::filesystem::path> file;
};

/// Writes every encrypted key of the site aside, encrypted anew, each read back. Nothing is changed yet.
/// @return the names of the files that are to be replaced. Errors: WRONG_PASSPHRASE, INVALID_CONFIGURATION.
Result<std::vector<std::string>> prepare_rekeying(const SiteFiles& files, const Rekeying& rekeying);
/// From here on it is decided: what is written aside counts.
Status decide_rekeying(const SiteFiles& files);
/// Puts what is decided in its place, and clears away what is not. To be called before keys are opened, with the
/// folder of the keys locked. @param passphrase where the configuration says that it is
Status finish_rekeying(const SiteFiles& files, const std::string& passphrase);

/// Encrypts every key of the state directory under another passphrase; all of them, or none. A server that runs goes
/// on. @param from,to where the passphrases are, as read_secret() takes it; `from` is the configuration's where it is
/// absent. @return words for people. Errors: WRONG_PASSPHRASE, INVALID_CONFIGURATION, NO_SITE.
Result<std::string> rekey_passphrase(const Configuration& configuration, const std::optional<std::string>& from,
                                     const std::string& to);

}  // namespace capf::daemon
