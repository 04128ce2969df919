#include "capf/daemon/publishing.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include <botan/system_rng.h>

#include "capf/base/log.h"
#include "capf/daemon/host.h"

namespace capf::daemon {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kAwaitedPeriod{1000};

using Generations = std::vector<std::shared_ptr<const ca::Issuer>>;

/// @param generations must outlive the result.
std::vector<service::PublishingIssuer> publishing_issuers(const Generations& generations) {
  std::vector<service::PublishingIssuer> issuers;
  for (const auto& issuer : generations) issuers.push_back({issuer->record(), issuer->key()});
  return issuers;
}

service::ResponderSettings responder_settings(const StatusSettings& settings) {
  service::ResponderSettings responder;
  responder.cache = settings.ocsp_cache;
  responder.validity = settings.ocsp_validity;
  return responder;
}

}  // namespace

Result<std::unique_ptr<Publishing>> Publishing::open(const Uses& uses, const Configuration& configuration,
                                                     const SiteFiles& files, const std::string& holder) {
  CAPF_LET(auto crls, service::PublishedCrls::open(files.crls()));
  const StatusSettings& settings = configuration.status;
  std::unique_ptr<Publishing> publishing(
      new Publishing(uses, std::move(crls), settings,
                     {holder, status_url(configuration), settings.crl_interval, settings.crl_validity}));
  publishing->hold_against_crls();
  return publishing;
}

Publishing::Publishing(const Uses& uses, std::unique_ptr<service::PublishedCrls> crls, const StatusSettings& settings,
                       const service::PublisherSettings& publisher)
    : uses_(uses),
      period_(service::Publisher::period(settings.crl_interval)),
      crls_(std::move(crls)),
      publisher_(uses.reserved, *crls_, uses.clock, Botan::system_rng(), publisher),
      responder_(uses.database, *crls_, uses.high_water, uses.clock, Botan::system_rng(),
                 responder_settings(settings)) {}

milliseconds Publishing::run() {
  hold_against_crls();
  if (database_is_behind()) return period_;
  const Generations generations = uses_.issuers.all();
  const auto issuers = publishing_issuers(generations);
  ocsp_complaint_.report(responder_.keep(issuers));
  uses_.own.set(ExpiryKind::kOcsp, responder_.expiries());
  bool awaited = false;
  for (const service::ShardState& state : publisher_.run(issuers)) {
    awaited = awaited || state.awaited;
    report(state);
  }
  return awaited ? std::min(period_, kAwaitedPeriod) : period_;
}

void Publishing::leave() {
  const Generations generations = uses_.issuers.all();
  publisher_.leave(publishing_issuers(generations));
}

/// A database without a CRL that this server serves was set back: reported as a mark, so that no caller is let in.
void Publishing::hold_against_crls() {
  TimePoint newest;
  for (const auto& crl : crls_->all()) newest = std::max(newest, crl->terms.this_update);
  uses_.clock.set("the last CRL", newest);
  const std::uint64_t epoch = uses_.high_water.epoch();
  const Status level = uses_.reserved.read([this](Transaction& tx) { return crls_->check(tx); });
  if (level) return uses_.high_water.report(epoch, "crls", std::nullopt);
  if (level.error().reason != Reason::kDatabaseBehind) return log_warning("crls.unread", level.error());
  uses_.high_water.report(epoch, "crls", "it does not have the newest CRL that this server serves");
}

/// The server signs nothing while the database is behind what it has signed before.
bool Publishing::database_is_behind() {
  const Status level = uses_.high_water.check();
  if (!level && !behind_) log_error("database.behind", level.error());
  behind_ = !level;
  return behind_;
}

void Publishing::report(const service::ShardState& state) {
  const auto& [issuer, shard] = state.shard;
  uses_.state.report(state);
  if (const auto& newest = state.newest) {
    uses_.metrics.set_crl(issuer, shard,
                          {newest->number, newest->entries, newest->size, newest->this_update, newest->next_update});
  }
  uses_.metrics.set_crl_failing(issuer, shard, state.error ? std::optional(state.error->reason) : std::nullopt);
  log_failure(state);
}

void Publishing::log_failure(const service::ShardState& state) {
  if (!state.error) {
    failing_.erase(state.shard);
    return;
  }
  const auto [last, added] = failing_.emplace(state.shard, state.error->reason);
  if (added || last->second != state.error->reason) {
    last->second = state.error->reason;
    log_error("crl.not_published", *state.error, {{"issuer", state.shard.issuer_id}, {"shard", state.shard.shard}});
  }
}

}  // namespace capf::daemon
