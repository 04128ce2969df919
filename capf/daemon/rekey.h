#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "capf/base/secret.h"
#include "capf/daemon/configuration.h"
#include "capf/daemon/site.h"

namespace capf::daemon {

/// The change of one passphrase to another.
struct Rekeying {
  const Secret& from;
  const Secret& to;
  /// The file that holds the former one, and is to hold the next one; absent where the passphrase has another source.
  std::optional<std::filesystem::path> file;
};

/// Writes every encrypted key of the site aside, encrypted again, and reads each back. Changes no key yet.
/// @return the names of the files to be replaced. Errors: WRONG_PASSPHRASE, INVALID_CONFIGURATION.
Result<std::vector<std::string>> prepare_rekeying(const SiteFiles& files, const Rekeying& rekeying);
/// Decides: from here on the files written aside count.
Status decide_rekeying(const SiteFiles& files);
/// Moves the files of a decided change to their places, and removes those of an undecided one. To be called before keys
/// are opened, with the folder of the keys locked. @param passphrase its source in the configuration
Status finish_rekeying(const SiteFiles& files, const std::string& passphrase);

/// Encrypts every key of the state directory under another passphrase; all of them, or none. A running server
/// continues. @param from,to sources of the passphrases, for read_secret(); `from` absent: the configuration's. @return
/// words for people. Errors: WRONG_PASSPHRASE, INVALID_CONFIGURATION, NO_SITE.
Result<std::string> rekey_passphrase(const Configuration& configuration, const std::optional<std::string>& from,
                                     const std::string& to);

}  // namespace capf::daemon
