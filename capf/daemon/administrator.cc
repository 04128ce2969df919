#include "capf/daemon/administrator.h"

#include "capf/client/administrator.h"
#include "capf/daemon/host.h"
#include "capf/daemon/machine.h"
#include "capf/service/administrators.h"

namespace capf::daemon {
namespace {

const char* const kCommand = "capfd administrator add";

}  // namespace

Result<std::string> add_administrator(const Configuration& configuration, const AdministratorOptions& options,
                                      const Clock& clock, Botan::RandomNumberGenerator& random) {
  CAPF_TRY(check_administrator_name(options.name));
  CAPF_LET(const Machine machine, Machine::open(configuration, options.passphrase, clock));
  const SiteFiles& files = machine.files;
  const Identity& site_ca = machine.site_ca;

  const service::HighWater level;
  const ca::Blacklist blacklist;  // the key is made here
  service::Administrators administrators(*machine.database, *site_ca.key, site_ca.chain.front(), *machine.clock, level,
                                         blacklist, random);
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
