#include "capf/domain/campaign.h"

#include <algorithm>
#include <charconv>

namespace capf {
namespace {

constexpr int kMostInRate = 100'000;
constexpr std::chrono::hours kLongestSpread{24 * 90};
constexpr std::chrono::minutes kShortestPatience{1};
constexpr std::size_t kLongestName = 50;  // an operation says who made it in 64
constexpr std::size_t kReasonsTold = 5;

struct RateTime {
  std::string_view word;
  std::chrono::seconds time;
};
constexpr std::array kRateTimes{RateTime{"min", std::chrono::minutes{1}}, RateTime{"h", std::chrono::hours{1}},
                                RateTime{"d", std::chrono::hours{24}}};

std::uint64_t mixed(std::uint64_t value) {
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9U;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebU;
  return value ^ (value >> 31);
}

/// The share of a time that a place stands for.
Duration share(Duration time, std::int64_t place) {
  return Duration(static_cast<std::int64_t>(static_cast<double>(time.count()) * static_cast<double>(place) /
                                            static_cast<double>(kPlaces)));
}

bool is_failure(CampaignPhoneState state) {
  return state == CampaignPhoneState::kFailed || state == CampaignPhoneState::kLate;
}

}  // namespace

std::string_view to_string(CampaignState state) {
  switch (state) {
    case CampaignState::kNew: return "new";
    case CampaignState::kRunning: return "running";
    case CampaignState::kPaused: return "paused";
    case CampaignState::kStopped: return "stopped";
    case CampaignState::kCancelled: return "cancelled";
    case CampaignState::kFinished: return "finished";
  }
  CAPF_INVARIANT(false);
}

std::optional<CampaignState> parse_campaign_state(std::string_view text) {
  for (const CampaignState state : kCampaignStates) {
    if (to_string(state) == text) return state;
  }
  return std::nullopt;
}

std::string_view to_string(CampaignPhoneState state) {
  switch (state) {
    case CampaignPhoneState::kWaiting: return "waiting";
    case CampaignPhoneState::kReleased: return "released";
    case CampaignPhoneState::kLate: return "late";
    case CampaignPhoneState::kSucceeded: return "succeeded";
    case CampaignPhoneState::kFailed: return "failed";
    case CampaignPhoneState::kCancelled: return "cancelled";
    case CampaignPhoneState::kSkipped: return "skipped";
  }
  CAPF_INVARIANT(false);
}

std::optional<CampaignPhoneState> parse_campaign_phone_state(std::string_view text) {
  for (const CampaignPhoneState state : kCampaignPhoneStates) {
    if (to_string(state) == text) return state;
  }
  return std::nullopt;
}

Result<Rate> Rate::parse(std::string_view text) {
  const std::size_t slash = std::min(text.find('/'), text.size());
  Rate rate;
  const auto [end, error] = std::from_chars(text.data(), text.data() + slash, rate.phones);
  const auto* const found = std::find_if(kRateTimes.begin(), kRateTimes.end(), [&](const RateTime& each) {
    return slash < text.size() && each.word == text.substr(slash + 1);
  });
  const bool good = error == std::errc() && end == text.data() + slash && rate.phones >= 1 &&
                    rate.phones <= kMostInRate && found != kRateTimes.end();
  if (!good) return fail(Reason::kInvalidRequest, "a rate is 1 to 100,000 phones in a time: 10/min, 500/h or 2000/d");
  rate.time = found->time;
  return rate;
}

std::string Rate::text() const {
  const auto* const found =
      std::find_if(kRateTimes.begin(), kRateTimes.end(), [&](const RateTime& each) { return each.time == time; });
  CAPF_INVARIANT(found != kRateTimes.end());
  return std::to_string(phones) + '/' + std::string(found->word);
}

Status CampaignTerms::check() {
  if (auth != AuthMode::kLsc && auth != AuthMode::kMic) {
    return fail(Reason::kInvalidRequest,
                "the phones of a campaign prove themselves by LSC or MIC: nobody walks to them with strings");
  }
  if (rate && spread) return fail(Reason::kInvalidRequest, "a campaign has either a rate or a time to spread over");
  if (spread && (*spread < std::chrono::minutes{1} || *spread > kLongestSpread)) {
    return fail(Reason::kInvalidRequest, "a campaign is spread over 1 minute to 90 days");
  }
  if (stop_at_percent < 0 || stop_at_percent > 100) {
    return fail(Reason::kInvalidRequest, "a campaign stops at 1 to 100 percent of failures");
  }
  if (patience && (*patience < kShortestPatience || *patience > kLongestSpread)) {
    return fail(Reason::kInvalidRequest, "a campaign's patience is 1 minute to 90 days");
  }
  if (!window) return {};
  CAPF_LET(const Window parsed, Window::parse(window->text, window->zone));
  window = Hours{parsed.text(), parsed.zone()};
  return {};
}

Status check_campaign_name(std::string_view name) {
  const auto plain = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  };
  if (name.empty() || name.size() > kLongestName || name.front() == '-' ||
      !std::all_of(name.begin(), name.end(), plain)) {
    return fail(Reason::kInvalidRequest,
                "a campaign's name has 1 to 50 letters, digits, '.', '_' or '-', and does not begin with '-'");
  }
  if (name == kRenewalName) return fail(Reason::kInvalidRequest, "the campaign renewal is always there");
  return {};
}

bool is_over(CampaignState state) { return state == CampaignState::kCancelled || state == CampaignState::kFinished; }

// FNV-1a, whose last octets are then mixed into all bits.
std::int64_t place_of(const DeviceName& device, std::string_view salt) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  const auto take = [&](std::string_view text) {
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  };
  take(salt);
  take("\n");
  take(device.text());
  return static_cast<std::int64_t>(mixed(hash) % static_cast<std::uint64_t>(kPlaces));
}

std::chrono::seconds time_between(const std::optional<TimePoint>& last, TimePoint now) {
  if (!last || now <= *last) return std::chrono::seconds{0};
  return std::min(std::chrono::floor<std::chrono::seconds>(now - *last), kLongestRound);
}

Release due(const Campaign& campaign) {
  Release release{.phones = INT64_MAX, .through = kPlaces};
  const std::int64_t ran = campaign.ran.count();
  if (campaign.terms.rate) {
    const Rate& rate = *campaign.terms.rate;
    release.phones = std::max<std::int64_t>(0, ran * rate.phones / rate.time.count() - campaign.released);
  }
  if (campaign.terms.spread) {
    const std::int64_t spread = campaign.terms.spread->count();
    release.through = ran >= spread
                          ? kPlaces
                          : static_cast<std::int64_t>(static_cast<double>(ran) / static_cast<double>(spread) * kPlaces);
  }
  return release;
}

std::optional<std::string> reason_to_stop(int stop_at_percent, std::span<const CampaignFigure> figures) {
  std::int64_t judged = 0;
  std::int64_t failed = 0;
  std::vector<std::pair<std::int64_t, std::string>> reasons;
  for (const CampaignFigure& figure : figures) {
    if (!is_failure(figure.state) && figure.state != CampaignPhoneState::kSucceeded) continue;
    judged += figure.phones;
    if (!is_failure(figure.state) || figure.phones == 0) continue;
    failed += figure.phones;
    const std::string reason = figure.reason.empty() ? "not come" : figure.reason;
    const bool late = figure.state == CampaignPhoneState::kLate && !figure.reason.empty();
    reasons.emplace_back(figure.phones, reason + (late ? " and not come again" : ""));
  }
  if (stop_at_percent == 0 || judged < kFewestJudged || failed * 100 <= judged * stop_at_percent) return std::nullopt;
  std::sort(reasons.rbegin(), reasons.rend());
  std::string words = std::to_string(failed) + " of " + std::to_string(judged) + " phones failed, more than " +
                      std::to_string(stop_at_percent) + " %: ";
  for (std::size_t i = 0; i < std::min(reasons.size(), kReasonsTold); ++i) {
    words += (i == 0 ? "" : ", ") + reasons[i].second + ' ' + std::to_string(reasons[i].first);
  }
  if (reasons.size() > kReasonsTold) words += " and others";
  return words;
}

TimePoint renewal_begin(TimePoint not_before, TimePoint not_after, int percent) {
  return not_before + (not_after - not_before) / 100 * percent;
}

RenewalTimes renewal_times(const DeviceName& device, TimePoint from, TimePoint not_after) {
  const Duration half = std::max(not_after - from, Duration{0}) / 2;
  return {from + share(half, place_of(device, kRenewalName)), from + half};
}

RenewalTimes spread_again(const DeviceName& device, const RenewalTimes& times, TimePoint now, TimePoint not_after) {
  if (times.anew || now <= times.due + kRenewalMissed) return times;
  const TimePoint end = now < times.late ? times.late : now + std::max(not_after - now, Duration{0}) / 2;
  return {.due = now + share(end - now, place_of(device, kRenewalName)), .late = times.late, .anew = true};
}

RenewalStep next_step(const RenewalView& phone, TimePoint now) {
  using Kind = RenewalStep::Kind;
  using State = CampaignPhoneState;
  if (phone.not_after <= now) return {.kind = Kind::kExpired};
  const TimePoint again =
      now + std::clamp<Duration>((phone.not_after - now) / 10, kRenewalLookSoonest, kRenewalLookAgain);
  if (!phone.scheduled) return {.kind = Kind::kLeave, .look_at = again};
  const TimePoint begin = renewal_begin(phone.not_before, phone.not_after, phone.percent);
  if (now < begin) return {.kind = Kind::kLeave, .look_at = begin};
  if (phone.state == State::kReleased) return {.look_at = again};
  // Times of an earlier LSC lie before the begin, or it was renewed long before they came.
  const bool of_this = phone.times && phone.state != State::kSucceeded && phone.times->late > begin &&
                       phone.times->late < phone.not_after;
  if (!of_this) {
    const RenewalTimes times = renewal_times(phone.device, now, phone.not_after);
    return {.kind = Kind::kPlan, .times = times, .look_at = times.due};
  }
  // Phones that came due while renewal was off are spread, as after a time without a server.
  const bool waits = phone.state == State::kWaiting || phone.state == State::kCancelled;
  const RenewalTimes times =
      waits ? spread_again(phone.device, *phone.times, now, phone.not_after) : RenewalTimes{now, phone.times->late};
  if (now < times.due) {
    const bool planned = phone.state == State::kWaiting && times == *phone.times;
    return {.kind = planned ? Kind::kWait : Kind::kPlan, .times = times, .look_at = times.due};
  }
  if (!phone.busy) return {.kind = Kind::kRelease, .times = times, .look_at = again};
  if (phone.blocked) return {.kind = Kind::kLeave, .look_at = again};
  return {.kind = now < times.late ? Kind::kWait : Kind::kLate, .times = times, .look_at = again};
}

}  // namespace capf
