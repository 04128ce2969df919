#include "capf/daemon/recovery_key.h"

#include <system_error>
#include <utility>
#include <vector>

#include "capf/base/file.h"
#include "capf/base/secret.h"
#include "capf/daemon/site.h"

namespace capf::daemon {
namespace {

constexpr std::size_t kPassphraseOctets = 16;

Result<Secret> passphrase_of(const RecoveryKeyPlace& place, Botan::RandomNumberGenerator& random) {
  if (!place.passphrase.empty()) return read_secret(place.passphrase);
  Secret made(std::string_view(to_hex(random.random_vec(kPassphraseOctets))));
  CAPF_TRY(write_new_secret_file(place.generated_passphrase(), made.view()));
  return made;
}

}  // namespace

Status write_recovery_key(const ca::SigningKey& key, const RecoveryKeyPlace& place,
                          Botan::RandomNumberGenerator& random) {
  std::error_code error;
  if (std::filesystem::exists(place.file, error)) {
    return fail(Reason::kSiteExists,
                place.file.string() +
                    " exists: the recovery signer's key overwrites nothing. If it is of a try that "
                    "was cut off, remove it and its passphrase");
  }
  CAPF_LET(const Secret passphrase, passphrase_of(place, random));
  const auto write = [&]() -> Status {
    CAPF_LET(const Bytes encrypted, ca::encrypt_key(key, passphrase));
    return write_new_secret_file(place.file, encrypted);
  };
  const Status written = write();
  if (!written && place.passphrase.empty()) std::filesystem::remove(place.generated_passphrase(), error);
  return written;
}

void remove_recovery_key(const RecoveryKeyPlace& place) {
  std::error_code error;
  std::filesystem::remove(place.file, error);
  if (place.passphrase.empty()) std::filesystem::remove(place.generated_passphrase(), error);
}

Status move_recovery_key(const RecoveryKeyPlace& from, const RecoveryKeyPlace& to) {
  std::vector<std::pair<std::filesystem::path, std::filesystem::path>> moves{{from.file, to.file}};
  if (to.passphrase.empty()) moves.emplace_back(from.generated_passphrase(), to.generated_passphrase());
  std::vector<std::filesystem::path> made;
  const auto copy = [&]() -> Status {
    for (const auto& [here, there] : moves) {
      CAPF_LET(const Secret contents, read_secret_file(here));
      const Status written = write_new_secret_file(there, contents.view());
      if (written || written.error().reason != Reason::kSiteExists) made.push_back(there);
      CAPF_TRY(written);
    }
    return sync_folder(folder_of(to.file));
  };
  std::error_code error;
  if (const Status copied = copy(); !copied) {
    for (const auto& path : made) std::filesystem::remove(path, error);
    return copied;
  }
  for (const auto& [here, there] : moves) {
    std::filesystem::remove(here, error);
    if (error) return fail(Reason::kInvalidConfiguration, here.string() + ": " + error.message());
  }
  return {};
}

std::string words_of(const RecoveryKeyPlace& place) {
  std::string words =
      "The recovery signer's key is in " + place.file.string() + ": take it away, and keep it offline.\n";
  if (place.passphrase.empty()) {
    words +=
        "Its passphrase is in " + place.generated_passphrase().string() + ": take that away too, to another place.\n";
  }
  return words + "No server needs them. They bring the phones back where the list signer is lost.\n";
}

}  // namespace capf::daemon
