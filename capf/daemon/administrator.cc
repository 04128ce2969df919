#include "capf/daemon/administrator.h"

#include <cerrno>
#include <cstring>

#include <sys/stat.h>
#include <unistd.h>

#include "capf/base/version.h"
#include "capf/ca/audit.h"
#include "capf/client/administrator.h"
#include "capf/daemon/rekey.h"
#include "capf/daemon/site.h"
#include "capf/service/administrators.h"
#include "capf/service/siteclock.h"
#include "storage/database.h"
#include "storage/migrate.h"

namespace capf::daemon {
namespace {

const char* const kCommand = "capfd administrator add";

/// Whoever else may read the keys, root for one, would leave files that the server cannot read.
Status check_owner(const SiteFiles& files) {
  struct stat status {};
  if (::stat(files.keys().c_str(), &status) != 0) {
    if (errno == ENOENT) {
      return fail(Reason::kNoSite, "there is no site in " + files.root.string() + "; 'capfd init' makes one");
    }
    return fail(Reason::kInvalidConfiguration,
                files.keys().string() + ": " + std::strerror(errno));  // NOLINT(concurrency-mt-unsafe): glibc's is
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

Result<std::string> add_administrator(const Configuration& configuration, const AdministratorOptions& options,
                                      const Clock& clock, Botan::RandomNumberGenerator& random) {
  const SiteFiles files{configuration.state_directory};
  CAPF_TRY(check_owner(files));
  CAPF_TRY(check_administrator_name(options.name));
  CAPF_LET(const FolderLock lock, FolderLock::take(files.keys()));
  CAPF_TRY(finish_rekeying(files, configuration.passphrase));
  CAPF_LET(const Secret passphrase, read_secret(options.passphrase.value_or(configuration.passphrase)));
  CAPF_LET(const Identity site_ca, open_identity(files, "site-ca", passphrase));

  storage::DatabaseSettings settings;
  settings.conninfo = configuration.database.server;
  settings.connections = 1;
  CAPF_LET(const auto database, storage::PostgresDatabase::open(settings));
  CAPF_TRY(check_database(*database, settings.conninfo, site_ca));

  service::SiteClock site_clock(clock, built_at());
  const service::HighWater level;
  const Status looked = database->read([&](Transaction& tx) -> Status {
    CAPF_LET(const auto key, tx.seals().key());
    CAPF_LET(const auto seal, tx.seals().last());
    if (seal && key && ca::is_good(*key, *seal)) site_clock.set("the last seal", seal->sealed_at);
    return {};
  });
  CAPF_TRY(looked);
  service::Administrators administrators(*database, *site_ca.key, site_ca.chain.front(), site_clock, level, random);
  service::NewAdministrator made;
  const auto certify = [&](BytesView request) -> Result<std::vector<Bytes>> {
    const Actor actor{ActorKind::kSystem, kCommand, ""};
    CAPF_LET(made, administrators.add(actor, options.name, options.role, request, "on " + full_host_name()));
    std::vector<Bytes> certificates{made.certificate};
    certificates.insert(certificates.end(), made.chain.begin(), made.chain.end());
    return certificates;
  };
  const auto folder = options.out.empty() ? files.administrators() : options.out;
  CAPF_LET(const auto written, client::make_administrator(folder, options.name, certify));

  const Administrator& administrator = made.administrator;
  std::string use = "capfctl --state " + files.root.string() + " --administrator " + administrator.name;
  if (!options.out.empty()) {
    use = "capfctl --state " + files.root.string() + " --certificate " + written.certificate.string() + " --key " +
          written.key.string();
  }
  return "The administrator " + administrator.name + " is on record, with the role " +
         std::string(to_string(administrator.role)) + ", until " + to_rfc3339(administrator.certificate_not_after) +
         ".\n  certificate  " + written.certificate.string() + "\n  key          " + written.key.string() +
         "\nIt works from now on, on every server of the site: " + use +
         " administrator list\nThen disable each administrator whose key is lost or whose certificate has ended: " +
         use + " administrator disable NAME\n";
}

}  // namespace capf::daemon
