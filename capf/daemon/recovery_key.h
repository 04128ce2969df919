#pragma once

#include <filesystem>
#include <string>

#include <botan/rng.h>

#include "capf/ca/key.h"

namespace capf::daemon {

/// Where the key of the recovery signer is written, once: it is taken away from the machine.
struct RecoveryKeyPlace {
  std::filesystem::path file;
  std::string passphrase;  ///< its source, for read_secret(); empty: a new one, in generated_passphrase()

  std::filesystem::path generated_passphrase() const { return file.string() + ".passphrase"; }
};

/// Writes the key, encrypted under a passphrase of its own: where it fails, it leaves no passphrase either. Errors:
/// SITE_EXISTS where there is a file already, those of read_secret() and of encrypting.
Status write_recovery_key(const ca::SigningKey& key, const RecoveryKeyPlace& place,
                          Botan::RandomNumberGenerator& random);
/// Takes back what write_recovery_key() has written, for a key that is not used.
void remove_recovery_key(const RecoveryKeyPlace& place);
/// Moves the key, and its passphrase where that was generated, to new files, which may be on another file system: both
/// or none, and they are gone here only once they are on disk there. @param to an absolute path. Errors: SITE_EXISTS
/// where there is a file already, those of reading and writing.
Status move_recovery_key(const RecoveryKeyPlace& from, const RecoveryKeyPlace& to);
/// Words for people who are to take it away.
std::string words_of(const RecoveryKeyPlace& place);

}  // namespace capf::daemon
