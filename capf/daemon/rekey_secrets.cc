#include "capf/daemon/rekey_secrets.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "capf/ca/key.h"
#include "capf/daemon/machine.h"
#include "capf/daemon/secrets_files.h"
#include "capf/domain/secrets_key_store.h"
#include "capf/service/secrets.h"

namespace capf::daemon {
namespace {

using std::chrono::steady_clock;

constexpr int kLastGeneration = 255;
/// A server that runs looks for new keys, and says which it has, a few times in that time.
constexpr std::chrono::seconds kPatience{60};
constexpr std::chrono::seconds kBetweenLooks{1};

const char* const kCommand = "capfd site rekey-secrets";

/// The generation that an interrupted command has begun with, or a new one. @return it
Result<int> next_generation(const Machine& machine, Botan::RandomNumberGenerator& random) {
  CAPF_LET(const auto records, in_read(*machine.database, [](Transaction& tx) { return tx.secrets_keys().list(); }));
  if (records.empty()) {
    return fail(Reason::kInvalidConfiguration,
                "the site has no key for secrets yet: the first start of a server makes it");
  }
  const SecretsKeyRecord& last = records.back();
  // Active with former ones beside it: their secrets are not all encrypted again. Not active: it was only made.
  if (!last.active || records.size() > 1) return last.generation;
  const int generation = last.generation + 1;
  if (generation > kLastGeneration) return fail(Reason::kInvalidConfiguration, "no further generation is left");
  SecretsKeyRecord record{.generation = generation};
  std::error_code error;
  if (std::filesystem::exists(machine.files.secrets_key(generation), error)) {
    // Of a command that was cut off before the key was on record.
    CAPF_LET(const Secret pem, read_secret_file(machine.files.secrets_key(generation)));
    CAPF_LET(const Secret key, ca::decrypt_symmetric_key(pem.view(), machine.passphrase));
    CAPF_LET(record.check_value, ca::check_value_of(key));
  } else {
    CAPF_LET(record.check_value, make_secrets_key(machine.files, machine.passphrase, generation, random));
  }
  CAPF_LET(const bool added,
           in_write(*machine.database, [&](Transaction& tx) { return tx.secrets_keys().add(record); }));
  if (!added) return fail(Reason::kChangedMeanwhile, "the same command runs elsewhere");
  return generation;
}

Status wait_for_servers(service::SecretsRekeying& rekeying, int generation) {
  const auto end = steady_clock::now() + kPatience;
  while (true) {
    const Status ready = rekeying.check_servers(generation);
    if (ready || ready.error().reason != Reason::kSecretsKeyNotReady || steady_clock::now() >= end) return ready;
    std::this_thread::sleep_for(kBetweenLooks);
  }
}

}  // namespace

Result<std::string> rekey_secrets(const Configuration& configuration, const std::optional<std::string>& passphrase,
                                  const Clock& clock, Botan::RandomNumberGenerator& random) {
  CAPF_LET(Machine machine, Machine::open(configuration, passphrase, clock));
  std::optional<FolderLock> lock(std::move(machine.lock));
  CAPF_LET(const int generation, next_generation(machine, random));
  ca::Vault vault;
  SecretsFiles files(machine.files, machine.passphrase, *machine.database, vault);
  CAPF_TRY(files.open(random));
  CAPF_TRY(vault.encrypt(generation, {}, Secret(), random));  // this machine has the key itself
  lock.reset();                                               // a server may start meanwhile

  service::SecretsRekeying rekeying(*machine.database, vault, {ActorKind::kSystem, kCommand, ""}, random);
  CAPF_TRY(wait_for_servers(rekeying, generation));
  CAPF_TRY(rekeying.activate(generation));
  std::int64_t count = 0;
  while (true) {
    CAPF_LET(const int some, rekeying.encrypt_some(generation));
    if (some == 0) break;
    count += some;
  }
  CAPF_TRY(rekeying.finish(generation));
  return std::to_string(count) + " secrets are encrypted under " + machine.files.secrets_key(generation).string() +
         ", every one of the database now.\nKeys of earlier generations are needed for backups of before alone: keep "
         "them with those, and remove them here.\n";
}

}  // namespace capf::daemon
