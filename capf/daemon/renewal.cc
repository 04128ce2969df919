#include "capf/daemon/renewal.h"

#include <algorithm>

#include "capf/base/endpoint.h"
#include "capf/ca/certificate.h"
#include "capf/ca/site.h"
#include "capf/daemon/host.h"
#include "capf/daemon/machine.h"
#include "capf/domain/audit_store.h"
#include "capf/service/steps.h"

namespace capf::daemon {
namespace {

using std::chrono::hours;

constexpr hours kDay{24};
constexpr std::size_t kMostSiteCas = 3;

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

/// On record before it is in use.
Status record(const Renewal& renewal, const std::string& name, BytesView certificate, const std::string& detail) {
  CAPF_LET(const auto facts, ca::read_certificate(certificate));
  return renewal.database.write([&](Transaction& tx) -> Status {
    CAPF_TRY(service::check_clock(tx, renewal.clock));
    return tx.audit().add(service::done(renewal.actor, "own_certificate.renew", name,
                                        "SHA-256 " + to_hex(facts.sha256) + ", until " + to_rfc3339(facts.not_after) +
                                            detail + ", on " + full_host_name()));
  });
}

}  // namespace

std::vector<std::string> server_hosts(const std::string& public_host) {
  std::vector<std::string> hosts{"localhost", "127.0.0.1", "::1"};
  for (const std::string& host : {full_host_name(), public_host}) {
    if (is_host(host) && std::find(hosts.begin(), hosts.end(), host) == hosts.end()) hosts.push_back(host);
  }
  return hosts;
}

std::optional<std::string> foreign_names(const Configuration& configuration) {
  const SiteFiles files{configuration.state_directory};
  const auto chain = read_chain(files, "server");
  const std::string host = public_host(configuration);
  if (!chain || ca::names_host(chain->front(), host)) return std::nullopt;
  return "the server's certificate does not name " + host +
         ", so clients that use this name refuse it: 'capfd certificate renew server' makes one that does";
}

std::optional<TimePoint> renews_at(BytesView server, BytesView site_ca) {
  const auto own = ca::read_certificate(server);
  const auto above = ca::read_certificate(site_ca);
  if (!own || !above || !ca::is_signed_by(server, site_ca)) return std::nullopt;
  if (above->not_after <= own->not_after + kDay) return std::nullopt;
  return own->not_before + (own->not_after - own->not_before) * 2 / 3;
}

Result<std::vector<Bytes>> renew_server(const Renewal& renewal, const Identity& site_ca, const ca::SigningKey& server,
                                        const std::string& public_host) {
  const auto hosts = server_hosts(public_host);
  const ca::SiteAuthority authority{*site_ca.key, site_ca.chain.front()};
  CAPF_LET(Bytes certificate, ca::make_server_certificate(authority, server.public_key(), hosts, renewal.clock.now(),
                                                          kServerValidity, renewal.random));
  CAPF_TRY(record(renewal, "server", certificate, ", for " + joined(hosts)));
  std::vector<Bytes> chain{std::move(certificate), site_ca.chain.front()};
  CAPF_TRY(rewrite_file(renewal.files.certificate("server"), chain_pem(chain)));
  return chain;
}

Result<std::vector<Bytes>> renew_site_ca(const Renewal& renewal, const Identity& site_ca) {
  const TimePoint now = renewal.clock.now();
  CAPF_LET(const auto former, ca::read_certificate(site_ca.chain.front()));
  CAPF_LET(Bytes certificate, ca::make_site_ca(*site_ca.key, {former.subject, now, kSiteCaValidity}, renewal.random));
  CAPF_TRY(record(renewal, "site-ca", certificate, ""));
  std::vector<Bytes> chain{std::move(certificate)};
  for (const Bytes& each : site_ca.chain) {
    const auto facts = ca::read_certificate(each);
    if (facts && facts->not_after > now) chain.push_back(each);
  }
  // The oldest ones stay: what they signed lies within their time, and what is between within the new one's.
  while (chain.size() > kMostSiteCas) chain.erase(chain.begin() + 1);
  CAPF_TRY(rewrite_file(renewal.files.certificate("site-ca"), chain_pem(chain)));
  return chain;
}

Result<std::string> renew_certificate(const Configuration& configuration, const std::string& what,
                                      const std::optional<std::string>& passphrase, const Clock& clock,
                                      Botan::RandomNumberGenerator& random) {
  CAPF_LET(Machine machine, Machine::open(configuration, passphrase, clock));
  CAPF_LET(const Identity server, open_identity(machine.files, "server", machine.passphrase));
  const Renewal renewal{
      machine.files, *machine.database, *machine.clock, {ActorKind::kSystem, "capfd certificate renew", ""}, random};
  std::string words;
  if (what == "site-ca") {
    CAPF_LET(machine.site_ca.chain, renew_site_ca(renewal, machine.site_ca));
    CAPF_LET(const auto facts, ca::read_certificate(machine.site_ca.chain.front()));
    words =
        "The site CA's certificate is valid until " + to_rfc3339(facts.not_after) + ": " +
        machine.files.certificate("site-ca").string() +
        "\nIts key is the same, so the former certificate stays good until it ends. Until then copy the file to where\n"
        "there is a copy of it: the site's other servers, each of which then needs 'capfd certificate renew server',\n"
        "and the machines of administrators and phones.\n";
  }
  CAPF_LET(const auto chain, renew_server(renewal, machine.site_ca, *server.key, public_host(configuration)));
  CAPF_LET(const auto facts, ca::read_certificate(chain.front()));
  return words + "The server's certificate is valid until " + to_rfc3339(facts.not_after) + ", for " +
         joined(server_hosts(public_host(configuration))) + ": " + machine.files.certificate("server").string() +
         "\nA server that runs on this machine shows it within 20 seconds.\n";
}

}  // namespace capf::daemon
