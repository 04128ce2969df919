#include "capf/base/metrics.h"

#include <map>
#include <mutex>
#include <utility>

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include "capf/base/log.h"
#include "capf/base/version.h"

namespace capf {
namespace {

using prometheus::Counter;
using prometheus::Family;
using prometheus::Gauge;
using prometheus::Histogram;
using prometheus::Registry;

Family<Gauge>& gauges(Registry& registry, const char* name, const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry);
}
Gauge& gauge(Registry& registry, const char* name, const char* help) { return gauges(registry, name, help).Add({}); }
Family<Counter>& counters(Registry& registry, const char* name, const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
}

double seconds_of(TimePoint time) { return std::chrono::duration<double>(time.time_since_epoch()).count(); }

// Issuing takes a few milliseconds; a call that waits for a lock or a connection takes seconds.
const Histogram::BucketBoundaries kSeconds{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30};

}  // namespace

struct Metrics::Series {
  Registry registry;
  Family<Counter>& requests =
      counters(registry, "capf_requests_total", "Calls that have ended, by method and outcome.");
  Family<Histogram>& durations = prometheus::BuildHistogram()
                                     .Name("capf_request_duration_seconds")
                                     .Help("How long calls took, by method.")
                                     .Register(registry);
  Family<Counter>& refusals = counters(registry, "capf_refusals_total",
                                       "Callers refused before they had proven who they are, by the true reason.");
  Family<Counter>& trust_questions =
      counters(registry, "capf_tvs_questions_total",
               "Questions to the Trust Verification Service, by question and outcome; \"none\" where it was none.");
  Family<Counter>& file_fetches =
      counters(registry, "capf_file_fetches_total",
               "Requests for phones' files, by kind and outcome; \"none\" for names that no file has.");
  Gauge& behind_list = gauge(registry, "capf_phones_behind_trust_list",
                             "Phones that fetched an earlier trust list than the present one last; 100000 at most.");
  Family<Counter>& observed =
      counters(registry, "capf_observed_certificates_refused_total",
               "Certificates of devices that SIP servers saw and that do not count, by reason.");
  Counter& unwritten = counters(registry, "capf_lscs_unwritten_total",
                                "LSCs that were signed and could not be stored: no phone has got them.")
                           .Add({});
  Gauge& calls = gauge(registry, "capf_calls_in_flight", "Calls that are being answered.");
  Family<Gauge>& not_ready =
      gauges(registry, "capf_not_ready", "1 while this server does not serve, by the reason of that.");
  std::mutex not_ready_mutex;
  std::optional<Reason> not_ready_reason;  ///< the last one reported
  Gauge& database_up = gauge(registry, "capf_database_up", "1 while the database answers.");
  Gauge& read_only = gauge(registry, "capf_database_read_only",
                           "1 while the database is a standby: what can be read is answered, and nothing is changed.");
  Gauge& pool_size = gauge(registry, "capf_database_pool_size", "Connections that this server may have.");
  Gauge& pool_in_use = gauge(registry, "capf_database_pool_in_use", "Connections that are in use.");
  Gauge& pool_waiting = gauge(registry, "capf_database_pool_waiting", "Calls that wait for a connection.");
  Gauge& rounds_in_use = gauge(registry, "capf_database_rounds_in_use", "Connections of rounds that are in use.");
  Gauge& rounds_waiting = gauge(registry, "capf_database_rounds_waiting", "Questions of phones that wait for a round.");
  Family<Gauge>& operations =
      gauges(registry, "capf_operations", "Operations by state: open ones, and ended ones of the last 24 hours.");
  Gauge& overdue = gauge(registry, "capf_operations_overdue", "Open operations whose deadline has passed.");
  Gauge& oldest_pending =
      gauge(registry, "capf_oldest_pending_age_seconds", "Age of the oldest pending operation; 0 without one.");
  Gauge& phones = gauge(registry, "capf_phones", "Phones on record.");
  Family<Gauge>& profile_modes =
      gauges(registry, "capf_phones_by_profile_mode", "Phones by the mode that their profile asks for.");
  Family<Gauge>& effective_modes =
      gauges(registry, "capf_phones_by_effective_mode", "Phones by the mode that is in effect.");
  Family<Gauge>& not_in_effect = gauges(registry, "capf_secure_phones_not_in_effect",
                                        "Phones with a secure profile that are not secure, by the reason of that.");
  Gauge& digest_without_user = gauge(registry, "capf_digest_phones_without_user",
                                     "Phones whose profile, or own setting, asks for digest, without a digest user.");
  Gauge& renewals_late = gauge(registry, "capf_renewals_late",
                               "Phones whose LSC the server should have renewed by now, and that have not come.");
  Gauge& unconfirmed = gauge(registry, "capf_lscs_unconfirmed",
                             "LSCs whose operation ended before the phone confirmed that it has them.");
  Family<Gauge>& expiring = gauges(registry, "capf_lscs_expiring", "Live LSCs that expire within so many days.");
  Gauge& expired =
      gauge(registry, "capf_lscs_expired", "LSCs that expired and have no successor, of phones on record.");
  Family<Gauge>& lines_mixed =
      gauges(registry, "capf_lines_mixed",
             "Lines that have encrypted devices and others, by the modes of profiles or by those in effect.");
  Family<Gauge>& trust_lists =
      gauges(registry, "capf_trust_list_generation", "The number of the newest trust list of phones, by its kind.");
  Family<Gauge>& not_after = gauges(registry, "capf_certificate_not_after_seconds",
                                    "When the server's own certificates expire, in seconds since 1970.");
  Family<Gauge>& administrators =
      gauges(registry, "capf_administrators", "Administrators, by role, who are neither disabled nor expired.");
  Family<Gauge>& administrator_not_after =
      gauges(registry, "capf_administrator_not_after_seconds",
             "When the first and the last certificate of the administrators who are not disabled expires, by role, in "
             "seconds since 1970.");
  Family<Gauge>& crl_number = gauges(registry, "capf_crl_number", "CRL number, by issuer and shard.");
  Family<Gauge>& crl_entries = gauges(registry, "capf_crl_entries", "Entries of the CRL, by issuer and shard.");
  Family<Gauge>& crl_size = gauges(registry, "capf_crl_bytes", "Size of the CRL, by issuer and shard.");
  Family<Gauge>& crl_this_update =
      gauges(registry, "capf_crl_this_update_seconds", "The CRL's thisUpdate, in seconds since 1970.");
  Family<Gauge>& crl_next_update =
      gauges(registry, "capf_crl_next_update_seconds", "Until when the CRL counts, in seconds since 1970.");
  Family<Gauge>& crl_failing =
      gauges(registry, "capf_crl_failing", "1 while the next CRL of a shard is not published, by the reason of that.");
  Gauge& lease = gauge(registry, "capf_maintenance_lease_held", "1 on the server that does the site's maintenance.");
  Gauge& campaign_round =
      gauge(registry, "capf_campaign_round_seconds",
            "How long this server's last round of campaigns and renewal took; one begins each minute.");
  Gauge& seal_number = gauge(registry, "capf_audit_seal_number", "Number of the record's last seal.");
  Gauge& sealed_at =
      gauge(registry, "capf_audit_sealed_seconds", "When the record was last sealed, in seconds since 1970.");
  Gauge& behind = gauge(registry, "capf_database_behind",
                        "1 while the database is behind what this site has signed: then nothing is issued.");
  Gauge& findings =
      gauge(registry, "capf_certificate_findings", "What the last check of issued certificates found wrong.");
  Gauge& legacy = gauge(registry, "capf_wire_legacy_phones", "1 where TLS 1.0 is spoken on the phones' port.");
  Family<Gauge>& wire_now =
      gauges(registry, "capf_wire_connections", "Connections of the phones' port: all, strangers, handshakes.");
  Family<Counter>& wire_total = counters(registry, "capf_wire_connections_total",
                                         "What became of connections of the phones' port since the start.");
  std::mutex log_mutex;
  Counter& log_dropped = counters(registry, "capf_log_lines_dropped_total",
                                  "Lines of the log that were dropped because nobody read standard error.")
                             .Add({});
  std::mutex failing_mutex;
  std::map<std::pair<std::int64_t, int>, std::optional<Reason>> failing;  ///< the last reason reported of each shard
  Gauge& summary_read = gauge(registry, "capf_figures_read_seconds",
                              "When the numbers from the database were last read, in seconds since 1970.");
};

Metrics::Metrics() : series_(std::make_unique<Series>()) {
  gauges(series_->registry, "capf_build_info", "1, with the version of the program.")
      .Add({{"version", std::string(version())}})
      .Set(1);
}
Metrics::~Metrics() = default;

void Metrics::count_request(std::string_view method, std::optional<Reason> refused, Duration took) {
  const std::string name(method);
  series_->requests.Add({{"method", name}, {"outcome", refused ? std::string(to_string(*refused)) : "OK"}}).Increment();
  series_->durations.Add({{"method", name}}, kSeconds).Observe(std::chrono::duration<double>(took).count());
}
void Metrics::count_refusal(Reason reason) {
  series_->refusals.Add({{"reason", std::string(to_string(reason))}}).Increment();
}
void Metrics::count_trust_question(std::string_view question, std::string_view outcome) {
  series_->trust_questions.Add({{"question", std::string(question)}, {"outcome", std::string(outcome)}}).Increment();
}
void Metrics::count_file_fetch(std::string_view kind, std::string_view outcome) {
  series_->file_fetches.Add({{"kind", std::string(kind)}, {"outcome", std::string(outcome)}}).Increment();
}
void Metrics::set_phones_behind_list(std::int64_t count) { series_->behind_list.Set(static_cast<double>(count)); }
void Metrics::count_observed_certificate(Reason fault) {
  series_->observed.Add({{"reason", std::string(to_string(fault))}}).Increment();
}
void Metrics::count_unwritten_lsc() { series_->unwritten.Increment(); }
void Metrics::add_call_in_flight(int change) { series_->calls.Increment(change); }
void Metrics::set_not_ready(std::optional<Reason> reason) {
  const auto gauge_of = [this](Reason which) -> Gauge& {
    return series_->not_ready.Add({{"reason", std::string(to_string(which))}});
  };
  const std::lock_guard lock(series_->not_ready_mutex);
  auto& last = series_->not_ready_reason;
  if (last && last != reason) gauge_of(*last).Set(0);
  if (reason) gauge_of(*reason).Set(1);
  last = reason;
}
void Metrics::set_database_up(bool up) { series_->database_up.Set(up ? 1 : 0); }
void Metrics::set_database_read_only(bool read_only) { series_->read_only.Set(read_only ? 1 : 0); }
void Metrics::set_pool(std::int64_t size, std::int64_t in_use, std::int64_t waiting) {
  series_->pool_size.Set(static_cast<double>(size));
  series_->pool_in_use.Set(static_cast<double>(in_use));
  series_->pool_waiting.Set(static_cast<double>(waiting));
}
void Metrics::set_rounds(std::int64_t in_use, std::int64_t waiting) {
  series_->rounds_in_use.Set(static_cast<double>(in_use));
  series_->rounds_waiting.Set(static_cast<double>(waiting));
}
void Metrics::set_operations(std::string_view state, std::int64_t count) {
  series_->operations.Add({{"state", std::string(state)}}).Set(static_cast<double>(count));
}
void Metrics::set_overdue(std::int64_t count) { series_->overdue.Set(static_cast<double>(count)); }
void Metrics::set_oldest_pending_age(std::chrono::seconds age) {
  series_->oldest_pending.Set(static_cast<double>(age.count()));
}
void Metrics::set_phones(std::int64_t count) { series_->phones.Set(static_cast<double>(count)); }
void Metrics::set_phones_of_mode(std::string_view mode, std::int64_t by_profile, std::int64_t in_effect) {
  series_->profile_modes.Add({{"mode", std::string(mode)}}).Set(static_cast<double>(by_profile));
  series_->effective_modes.Add({{"mode", std::string(mode)}}).Set(static_cast<double>(in_effect));
}
void Metrics::set_modes_not_in_effect(std::string_view reason, std::int64_t count) {
  series_->not_in_effect.Add({{"reason", std::string(reason)}}).Set(static_cast<double>(count));
}
void Metrics::set_digest_without_user(std::int64_t phones) {
  series_->digest_without_user.Set(static_cast<double>(phones));
}
void Metrics::set_renewals_late(std::int64_t phones) { series_->renewals_late.Set(static_cast<double>(phones)); }
void Metrics::set_lscs_unconfirmed(std::int64_t count) { series_->unconfirmed.Set(static_cast<double>(count)); }
void Metrics::set_lscs_expiring(int days, std::int64_t count) {
  series_->expiring.Add({{"days", std::to_string(days)}}).Set(static_cast<double>(count));
}
void Metrics::set_lscs_expired(std::int64_t count) { series_->expired.Set(static_cast<double>(count)); }
void Metrics::set_lines_mixed(std::string_view by, std::int64_t count) {
  series_->lines_mixed.Add({{"by", std::string(by)}}).Set(static_cast<double>(count));
}
void Metrics::set_trust_list_generation(std::string_view kind, std::int64_t generation) {
  series_->trust_lists.Add({{"kind", std::string(kind)}}).Set(static_cast<double>(generation));
}
void Metrics::set_certificate_not_after(std::string_view which, TimePoint not_after) {
  series_->not_after.Add({{"certificate", std::string(which)}}).Set(seconds_of(not_after));
}
void Metrics::set_administrators(std::string_view role, const AdministratorNumbers& numbers) {
  series_->administrators.Add({{"role", std::string(role)}}).Set(static_cast<double>(numbers.usable));
  const auto set_end = [&](const char* which, std::optional<TimePoint> end) {
    Gauge& gauge = series_->administrator_not_after.Add({{"role", std::string(role)}, {"which", which}});
    if (end) {
      gauge.Set(seconds_of(*end));
    } else {
      series_->administrator_not_after.Remove(&gauge);
    }
  };
  set_end("first", numbers.first);
  set_end("last", numbers.last);
}
void Metrics::set_crl(std::int64_t issuer, int shard, const CrlNumbers& numbers) {
  const prometheus::Labels labels{{"issuer", std::to_string(issuer)}, {"shard", std::to_string(shard)}};
  series_->crl_number.Add(labels).Set(static_cast<double>(numbers.number));
  series_->crl_entries.Add(labels).Set(static_cast<double>(numbers.entries));
  series_->crl_size.Add(labels).Set(static_cast<double>(numbers.size));
  series_->crl_this_update.Add(labels).Set(seconds_of(numbers.this_update));
  series_->crl_next_update.Add(labels).Set(seconds_of(numbers.next_update));
}
void Metrics::set_crl_failing(std::int64_t issuer, int shard, std::optional<Reason> reason) {
  const prometheus::Labels shard_labels{{"issuer", std::to_string(issuer)}, {"shard", std::to_string(shard)}};
  const auto labels = [&](Reason which) {
    prometheus::Labels all = shard_labels;
    all.emplace("reason", std::string(to_string(which)));
    return all;
  };
  const std::lock_guard lock(series_->failing_mutex);
  auto& last = series_->failing[{issuer, shard}];
  if (last == reason) return;
  if (last) series_->crl_failing.Add(labels(*last)).Set(0);
  if (reason) series_->crl_failing.Add(labels(*reason)).Set(1);
  last = reason;
}
void Metrics::set_lease_held(bool held) { series_->lease.Set(held ? 1 : 0); }
void Metrics::set_campaign_round(std::chrono::duration<double> took) { series_->campaign_round.Set(took.count()); }
void Metrics::set_seal(std::int64_t number, TimePoint sealed_at) {
  series_->seal_number.Set(static_cast<double>(number));
  series_->sealed_at.Set(seconds_of(sealed_at));
}

void Metrics::set_database_behind(bool behind) { series_->behind.Set(behind ? 1 : 0); }

void Metrics::set_findings(std::int64_t count) { series_->findings.Set(static_cast<double>(count)); }

void Metrics::set_legacy_phones(bool allowed) { series_->legacy.Set(allowed ? 1 : 0); }
void Metrics::set_wire(const WireNumbers& numbers) {
  const auto now = [&](const char* which, std::int64_t count) {
    series_->wire_now.Add({{"which", which}}).Set(static_cast<double>(count));
  };
  now("all", numbers.connections);
  now("strangers", numbers.strangers);
  now("handshakes", numbers.handshakes);
  const auto total = [&](const char* outcome, std::int64_t count) {
    Counter& counter = series_->wire_total.Add({{"outcome", outcome}});
    counter.Increment(static_cast<double>(count) - counter.Value());
  };
  total("accepted", numbers.accepted);
  total("over_limit", numbers.over_limit);
  total("handshake_failed", numbers.handshake_failures);
  total("session", numbers.sessions);
  total("legacy_session", numbers.legacy_sessions);
}
void Metrics::set_summary_read(TimePoint at) { series_->summary_read.Set(seconds_of(at)); }

std::string Metrics::text() const {
  {
    const std::lock_guard lock(series_->log_mutex);
    series_->log_dropped.Increment(static_cast<double>(log_lines_dropped()) - series_->log_dropped.Value());
  }
  return prometheus::TextSerializer().Serialize(series_->registry.Collect());
}

}  // namespace capf
