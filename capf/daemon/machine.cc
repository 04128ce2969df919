#include "capf/daemon/machine.h"

#include <cerrno>
#include <utility>

#include <sys/stat.h>
#include <unistd.h>

#include "capf/base/file.h"
#include "capf/base/version.h"
#include "capf/ca/audit.h"
#include "capf/daemon/rekey.h"
#include "capf/domain/key_store.h"
#include "capf/domain/seal_store.h"
#include "storage/database.h"
#include "storage/migrate.h"

namespace capf::daemon {
namespace {

/// Another user who may read the keys, root for one, would leave files that the server cannot read.
Status check_owner(const SiteFiles& files) {
  struct stat status {};
  if (::stat(files.keys().c_str(), &status) != 0) {
    if (errno == ENOENT) {
      return fail(Reason::kNoSite, "there is no site in " + files.root.string() + "; 'capfd init' makes one");
    }
    return fail_errno(Reason::kInvalidConfiguration, files.keys());
  }
  if (status.st_uid == ::geteuid()) return {};
  return fail(Reason::kInvalidConfiguration, "run this as the owner of " + files.keys().string() +
                                                 ", the user number " + std::to_string(status.st_uid));
}

/// Whether it is this site's database, as far as it must be to be written: the schema, the site CA, the numbering of
/// its transactions.
Status check_database(Database& database, const std::string& conninfo, const Identity& site_ca) {
  CAPF_TRY(storage::check_schema(conninfo));
  return database.write([&](Transaction& tx) -> Status {
    CAPF_LET(const auto known, tx.keys().find(sha256(site_ca.key->public_key())));
    if (!known || known->owner != KeyOwner::kSite) {
      return fail(Reason::kInvalidConfiguration, "the database does not know this site's CA: it is another site's");
    }
    CAPF_TRY(tx.seals().adopt_cluster());
    return {};
  });
}

}  // namespace

Result<Machine> Machine::open(const Configuration& configuration, const std::optional<std::string>& passphrase,
                              const Clock& clock) {
  const SiteFiles files{configuration.state_directory};
  CAPF_TRY(check_owner(files));
  CAPF_LET(FolderLock lock, FolderLock::take(files.keys()));
  CAPF_TRY(finish_rekeying(files, configuration.passphrase));
  CAPF_LET(Secret opened, read_secret(passphrase.value_or(configuration.passphrase)));
  CAPF_LET(Identity site_ca, open_identity(files, "site-ca", opened));

  storage::DatabaseSettings settings;
  settings.conninfo = configuration.database.server;
  settings.connections = 1;
  CAPF_LET(auto database, storage::PostgresDatabase::open(settings));
  CAPF_TRY(check_database(*database, settings.conninfo, site_ca));
  auto bounded = std::make_unique<service::SiteClock>(clock, built_at());
  const Status looked = database->read([&](Transaction& tx) -> Status {
    CAPF_LET(const auto key, tx.seals().key());
    CAPF_LET(const auto seal, tx.seals().last());
    if (seal && key && ca::is_good(*key, *seal)) bounded->set("the last seal", seal->sealed_at);
    return {};
  });
  CAPF_TRY(looked);
  return Machine{
      files, std::move(lock), std::move(opened), std::move(site_ca), std::move(database), std::move(bounded)};
}

}  // namespace capf::daemon
