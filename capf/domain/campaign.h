#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "capf/base/bytes.h"
#include "capf/base/error.h"
#include "capf/base/time.h"
#include "capf/domain/device.h"
#include "capf/domain/operation.h"
#include "capf/domain/window.h"

// A campaign schedules installs for many phones, some at a time. Its phones are written down when it is made; a round
// each minute releases those that are due.

namespace capf {

/// The campaign that is always there: LSCs that the server renews before they end, where `renewal` is scheduled.
inline constexpr std::int64_t kRenewalCampaign = 1;
inline constexpr std::string_view kRenewalName = "renewal";

enum class CampaignState : std::uint8_t {
  kNew,      ///< its phones are being written down
  kRunning,  ///< phones are released
  kPaused,   ///< by an administrator
  kStopped,  ///< by itself, because too many phones failed
  kCancelled,
  kFinished,  ///< no phone waits or is under way
};
inline constexpr std::array kCampaignStates{CampaignState::kNew,       CampaignState::kRunning,
                                            CampaignState::kPaused,    CampaignState::kStopped,
                                            CampaignState::kCancelled, CampaignState::kFinished};
/// "new", "running", "paused", "stopped", "cancelled", "finished"
std::string_view to_string(CampaignState state);
std::optional<CampaignState> parse_campaign_state(std::string_view text);

enum class CampaignPhoneState : std::uint8_t {
  kWaiting,
  kReleased,  ///< its operation is open
  kLate,      ///< the same, and the campaign's patience with it is over; it may still come
  kSucceeded,
  kFailed,
  kCancelled,  ///< its operation was
  kSkipped,    ///< nothing was scheduled for it
};
inline constexpr std::array kCampaignPhoneStates{CampaignPhoneState::kWaiting, CampaignPhoneState::kReleased,
                                                 CampaignPhoneState::kLate,    CampaignPhoneState::kSucceeded,
                                                 CampaignPhoneState::kFailed,  CampaignPhoneState::kCancelled,
                                                 CampaignPhoneState::kSkipped};
/// "waiting", "released", "late", "succeeded", "failed", "cancelled", "skipped"
std::string_view to_string(CampaignPhoneState state);
std::optional<CampaignPhoneState> parse_campaign_phone_state(std::string_view text);

/// Phones in a time: "10/min", "500/h", "2000/d".
struct Rate {
  int phones = 0;
  std::chrono::seconds time{0};  ///< a minute, an hour or a day

  /// 1 to 100,000 phones. Errors: INVALID_REQUEST.
  static Result<Rate> parse(std::string_view text);
  std::string text() const;
  bool operator==(const Rate&) const = default;
};

/// A window as it is on record: a server whose time zone database lacks the zone can still show it.
struct Hours {
  std::string text;  ///< as Window::text()
  std::string zone;

  bool operator==(const Hours&) const = default;
};

/// An administrator's wishes for a campaign.
struct CampaignTerms {
  AuthMode auth = AuthMode::kLsc;  ///< kLsc, kMic: nobody walks to phones with strings
  std::optional<Rate> rate{};
  std::optional<std::chrono::seconds> spread{};    ///< over which its phones are released; not beside `rate`
  std::optional<Hours> window{};                   ///< absent: at any time
  int stop_at_percent = 0;                         ///< 1 to 100; 0: it does not stop by itself
  std::optional<std::chrono::seconds> patience{};  ///< with a released phone; absent: up to its operation's end

  /// Brings the window into its one spelling. Errors: INVALID_REQUEST, INVALID_WINDOW.
  Status check();
};

/// The reasons why phones ended as they did, with how many; an empty one where there is none.
struct CampaignFigure {
  CampaignPhoneState state = CampaignPhoneState::kWaiting;
  std::string reason{};
  std::int64_t phones = 0;
};

struct Campaign {
  std::int64_t id = 0;
  std::string name;
  CampaignState state = CampaignState::kNew;
  CampaignTerms terms;
  Bytes run;                    ///< kRunOctets, of its operations
  int attempt = 0;              ///< counts up when it goes on after a stop: only its phones since then are judged
  std::chrono::seconds ran{0};  ///< how long it has run: released phones, within its window
  std::int64_t released = 0;    ///< phones that its pace has let go
  std::optional<TimePoint> round_at{};  ///< of the last round while it ran
  std::string why{};                    ///< it stopped, in words; empty: it did not
  std::string created_by{};
  TimePoint created_at;
  std::optional<TimePoint> ended_at{};
};

/// 1 to 50 letters, digits, '.', '_' or '-', the first one no '-'. Errors: INVALID_REQUEST, also for a name that is
/// kRenewalName.
Status check_campaign_name(std::string_view name);
/// Whether it ends by itself or by hand, and no phone of it is released any more.
bool is_over(CampaignState state);

/// Where a phone stands among the phones of a campaign, by a hash of its name: even over 0 to kPlaces - 1, and with
/// another salt elsewhere.
inline constexpr std::int64_t kPlaces = 1'000'000'000;
std::int64_t place_of(const DeviceName& device, std::string_view salt);

/// The time between two rounds that counts: after a longer one, because no server ran or the clock jumped, nothing is
/// caught up.
inline constexpr std::chrono::seconds kLongestRound{120};
/// The time that a campaign runs from its last round to this one.
std::chrono::seconds time_between(const std::optional<TimePoint>& last, TimePoint now);

/// The phones that a pace lets go.
struct Release {
  std::int64_t phones = 0;   ///< at most, by the rate
  std::int64_t through = 0;  ///< places below this one, by the spread
};
/// The release of a campaign that has run for `campaign.ran`.
Release due(const Campaign& campaign);

/// Too few phones say nothing of the others.
inline constexpr std::int64_t kFewestJudged = 20;
/// Why a campaign is to stop, in words with the reasons; nothing while it goes on.
/// @param figures of its phones in this attempt
std::optional<std::string> reason_to_stop(int stop_at_percent, std::span<const CampaignFigure> figures);

// Renewal ------------------------------------------------------------------------------------------------------------

/// When an LSC is renewed. The first half of what is left of its life is for the phones to be spread over, by hash;
/// from the second half on the phone is late.
struct RenewalTimes {
  TimePoint due;      ///< the phone is scheduled
  TimePoint late;     ///< it has not come
  bool anew = false;  ///< `due` is a second one, because the first was missed

  bool operator==(const RenewalTimes&) const = default;
};
/// The begin of the renewal of an LSC: `percent` of its life are over.
TimePoint renewal_begin(TimePoint not_before, TimePoint not_after, int percent);
/// @param from the begin, or later where the phone is seen first then
RenewalTimes renewal_times(const DeviceName& device, TimePoint from, TimePoint not_after);
/// Times that were missed by more than kRenewalMissed, because no server ran, are spread anew over what is left of the
/// first half, or else over half of the rest: what was missed does not come at once. That is done once for a phone, so
/// that none waits for ever where servers run for minutes of each day.
inline constexpr std::chrono::hours kRenewalMissed{1};
RenewalTimes spread_again(const DeviceName& device, const RenewalTimes& times, TimePoint now, TimePoint not_after);

/// A phone with an LSC as the renewal finds it.
struct RenewalView {
  DeviceName device;
  TimePoint not_before;
  TimePoint not_after;
  bool scheduled = false;  ///< `renewal` in effect of the phone
  int percent = 0;         ///< its `renewal_from_percent`
  bool blocked = false;
  bool busy = false;  ///< blocked, self-service is stopped, an operation is open, or another campaign has the phone
  std::optional<CampaignPhoneState> state{};  ///< in the renewal; absent: it never was
  std::optional<RenewalTimes> times{};        ///< on record, perhaps of an earlier LSC
};
struct RenewalStep {
  enum class Kind : std::uint8_t {
    kWait,     ///< nothing to do before `look_at`
    kPlan,     ///< it waits from now on, with `times`
    kRelease,  ///< the same, and an operation is scheduled for it
    kLate,     ///< it is late, and nothing can be scheduled for it
    kLeave,    ///< the renewal leaves it alone for now; it waits no longer
    kExpired,  ///< its LSC has ended
  };
  Kind kind = Kind::kWait;
  RenewalTimes times{};
  std::optional<TimePoint> look_at{};  ///< absent: when it has another LSC
};
/// An LSC that cannot be renewed now is looked at again then: a profile may have changed, an operation have ended.
inline constexpr std::chrono::hours kRenewalLookAgain{24};
/// Of an LSC that ends soon: after a tenth of what is left, and no sooner than this.
inline constexpr std::chrono::minutes kRenewalLookSoonest{10};
RenewalStep next_step(const RenewalView& phone, TimePoint now);

}  // namespace capf
