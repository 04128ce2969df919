#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "capf/base/error.h"
#include "capf/base/time.h"

namespace capf {

/// Of the port that speaks the CAPF protocol.
struct WireNumbers {
  std::int64_t connections = 0;
  std::int64_t strangers = 0;  ///< of those, not yet authenticated
  std::int64_t handshakes = 0;
  std::int64_t accepted = 0;  ///< all that follow since the start
  std::int64_t over_limit = 0;
  std::int64_t handshake_failures = 0;
  std::int64_t sessions = 0;
  std::int64_t legacy_sessions = 0;
};

/// Of a CRL.
struct CrlNumbers {
  std::int64_t number = 0;
  std::int64_t entries = 0;
  std::int64_t size = 0;  ///< octets
  TimePoint this_update;
  TimePoint next_update;
};

/// Of the administrators of one role.
struct AdministratorNumbers {
  std::int64_t usable = 0;  ///< neither disabled nor expired
  /// The first and the last end of the certificates of those not disabled; both absent where all are disabled.
  std::optional<TimePoint> first;
  std::optional<TimePoint> last;
};

/// The metrics that Prometheus reads of this server. Every label has a bounded set of values that the program itself
/// chose: no device, no address, no name of a person. Counters and calls are this server's; numbers from the database
/// are the same on every server of a site. Threads: any.
class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  /// One call has ended. @param method as the server's tables spell it: "PhoneService/Install", "http/metrics"
  /// @param refused absent where the call was answered.
  void count_request(std::string_view method, std::optional<Reason> refused, Duration took);
  /// A caller was refused before authentication; the true reason.
  void count_refusal(Reason reason);
  /// A phone asked the Trust Verification Service. @param question "verify", "query"; "none" where it was none
  /// @param outcome "valid", "unknown", "expired", "not_yet_valid", "withdrawn", "unavailable", "malformed",
  /// "unfinished"
  void count_trust_question(std::string_view question, std::string_view outcome);
  /// Somebody asked for a file of phones. @param kind "trust_list", "configuration", "default", "static"; "none" for a
  /// name that no file has @param outcome "sent", "unchanged", "not_found", "failed"
  void count_file_fetch(std::string_view kind, std::string_view outcome);
  /// Phones whose last trust list, an ITL, is older than the present one; of many, as many as are counted.
  void set_phones_behind_list(std::int64_t count);
  /// A SIP server saw a certificate that is not the device's own and good.
  void count_observed_certificate(Reason fault);
  /// An LSC was signed and is not on record, so it never left.
  void count_unwritten_lsc();
  /// Why this server does not serve; nothing where it does.
  void set_not_ready(std::optional<Reason> reason);
  /// A call begins (1) or ends (-1).
  void add_call_in_flight(int change);

  /// Whether the database answered when it was last asked.
  void set_database_up(bool up);
  /// Whether the database is a standby, which cannot be written.
  void set_database_read_only(bool read_only);
  /// @param waiting calls that wait for a connection
  void set_pool(std::int64_t size, std::int64_t in_use, std::int64_t waiting);
  /// Of the connections for rounds. @param waiting questions of phones that wait for a round
  void set_rounds(std::int64_t in_use, std::int64_t waiting);

  /// @param state as it is spelled: "in_progress". Open ones, and ended ones of the last 24 hours.
  void set_operations(std::string_view state, std::int64_t count);
  void set_overdue(std::int64_t count);
  /// Zero where nothing is pending.
  void set_oldest_pending_age(std::chrono::seconds age);
  void set_phones(std::int64_t count);
  /// @param mode as it is spelled: "encrypted"
  void set_phones_of_mode(std::string_view mode, std::int64_t by_profile, std::int64_t in_effect);
  /// @param reason why the profile's mode is not in effect, as it is spelled
  void set_modes_not_in_effect(std::string_view reason, std::int64_t count);
  void set_digest_without_user(std::int64_t phones);
  void set_lscs_unconfirmed(std::int64_t count);
  void set_renewals_late(std::int64_t phones);
  /// Live LSCs that expire within 30, 7 and 1 day; each includes the next.
  void set_lscs_expiring(int days, std::int64_t count);
  void set_lscs_expired(std::int64_t count);
  /// Lines that have encrypted devices and others. @param by "profile" or "effect": whose modes they are
  void set_lines_mixed(std::string_view by, std::int64_t count);
  /// @param which as to_string(ExpiryKind) has it
  void set_certificate_not_after(std::string_view which, TimePoint not_after);
  /// @param kind "itl", "ctl"
  void set_trust_list_generation(std::string_view kind, std::int64_t generation);
  /// @param role "admin", "operator", "auditor", "monitor"
  void set_administrators(std::string_view role, const AdministratorNumbers& numbers);
  /// The CRL of a shard that this server serves.
  void set_crl(std::int64_t issuer, int shard, const CrlNumbers& numbers);
  /// The reason why the next CRL of a shard is not published; nothing where it is.
  void set_crl_failing(std::int64_t issuer, int shard, std::optional<Reason> reason);
  /// Whether this server does the site's maintenance.
  void set_lease_held(bool held);
  /// The time that the last round of campaigns took.
  void set_campaign_round(std::chrono::duration<double> took);
  /// The last seal of the record.
  void set_seal(std::int64_t number, TimePoint sealed_at);
  /// Whether the database is behind the high-water marks: then this server issues nothing.
  void set_database_behind(bool behind);
  /// How many faults the last check of issued certificates found.
  void set_findings(std::int64_t count);
  /// Whether TLS 1.0 is spoken on the phones' port.
  void set_legacy_phones(bool allowed);
  /// The numbers of the phones' port.
  void set_wire(const WireNumbers& numbers);
  /// The numbers above were read from the database at that time.
  void set_summary_read(TimePoint at);

  /// The text format, version 0.0.4.
  std::string text() const;

 private:
  struct Series;
  std::unique_ptr<Series> series_;
};

}  // namespace capf
