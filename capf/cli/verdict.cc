#include "capf/cli/verdict.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "capf/client/text.h"

namespace capf::cli {
namespace {

std::string text_of(const std::optional<Range>& range) { return range ? range->text() : ""; }

constexpr std::int64_t kLargestBound = 1'000'000'000'000;

/// The whole text as a bound of a range.
std::optional<std::int64_t> bound(std::string_view text) {
  std::int64_t value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = !text.empty() && parsed.ec == std::errc() && parsed.ptr == text.data() + text.size();
  if (!whole || value > kLargestBound || value < -kLargestBound) return std::nullopt;
  return value;
}

constexpr std::size_t kMostFindings = 5;

std::int64_t days_until(const google::protobuf::Timestamp& time, TimePoint now) {
  return std::chrono::floor<std::chrono::days>(TimePoint(std::chrono::seconds(time.seconds())) - now).count();
}

std::string expires_in(std::int64_t days) {
  if (days < 0) return "has expired";
  return "expires in " + std::to_string(days) + (days == 1 ? " day" : " days");
}

struct KindWords {
  std::string_view kind;
  std::string_view words;
};
constexpr KindWords kKinds[]{{"issuer", "the inactive issuer"},
                             {"administrator", "administrator"},
                             {"site_ca", "the site CA's certificate"},
                             {"server", "the server's certificate"},
                             {"wire", "the certificate on the phones' port"},
                             {"wire-ec", "the EC certificate on the phones' port"},
                             {"tvs", "the certificate of the Trust Verification Service"},
                             {"list-signer", "the certificate that signs trust lists"},
                             {"recovery-signer", "the certificate that recovers trust lists"},
                             {"file-signer", "the certificate that signs phones' files"},
                             {"file-server", "the certificate of the file service over HTTPS"},
                             {"ocsp", "the certificate of the OCSP responder for"},
                             {"trust-list", "a certificate of the trust lists,"}};

bool is_known(const std::string& kind) {
  return std::any_of(std::begin(kKinds), std::end(kKinds), [&](const KindWords& each) { return each.kind == kind; });
}

/// "administrator olga (admin), the last of this role,"
std::string description(const v1::Expiry& expiry) {
  std::string words = "the certificate";
  for (const KindWords& each : kKinds) {
    if (each.kind == expiry.kind()) words = each.words;
  }
  if (!expiry.name().empty()) words += " " + expiry.name();
  if (!expiry.role().empty()) words += " (" + expiry.role() + (expiry.spare() ? ")" : "), the last of this role,");
  return words;
}

/// The server's words must not end the line or begin the perfdata.
std::string one_line(const std::string& words) {
  std::string line = client::printable(words);
  std::replace(line.begin(), line.end(), '|', '/');
  return line;
}

}  // namespace

std::string Verdict::line() const {
  constexpr const char* kLevels[] = {"OK", "WARNING", "CRITICAL", "UNKNOWN"};
  std::string text = "CAPF " + check + " " + kLevels[static_cast<int>(level)] + " - " + one_line(words);
  if (!perfdata.empty()) text += " | " + perfdata;
  return text;
}

Result<Range> Range::parse(std::string_view text) {
  const auto wrong = [] {
    return fail(Reason::kInvalidRequest, "a range is written as 10, 10:, ~:10, 10:20 or @10:20, in whole numbers");
  };
  Range range;
  if (text.starts_with('@')) {
    range.inside_ = true;
    text.remove_prefix(1);
  }
  const std::size_t colon = text.find(':');
  const std::string_view low = colon == std::string_view::npos ? "0" : text.substr(0, colon);
  const std::string_view high = colon == std::string_view::npos ? text : text.substr(colon + 1);
  if (low != "~") {
    range.low_ = bound(low);
    if (!range.low_) return wrong();
  }
  if (!high.empty()) {
    range.high_ = bound(high);
    if (!range.high_) return wrong();
  } else if (colon == std::string_view::npos) {
    return wrong();
  }
  if (range.low_ && range.high_ && *range.low_ > *range.high_) return wrong();
  return range;
}

bool Range::alerts(std::int64_t value) const {
  const bool within_range = (!low_ || value >= *low_) && (!high_ || value <= *high_);
  return within_range == inside_;
}

std::string Range::text() const {
  std::string text = inside_ ? "@" : "";
  if (low_ != std::optional<std::int64_t>(0) || !high_) text += (low_ ? std::to_string(*low_) : "~") + ":";
  return text + (high_ ? std::to_string(*high_) : "");
}

std::optional<std::int64_t> Range::within() const {
  const bool up_to = high_ && *high_ >= 0 && (low_ == std::optional<std::int64_t>(0) || (inside_ && !low_));
  if (up_to) return high_;
  if (!inside_ && !high_ && low_ && *low_ >= 0) return low_;
  return std::nullopt;
}

Verdict judge_pending(std::int64_t pending, std::int64_t overdue, const Ranges& limits, const Range& overdue_limit) {
  Verdict verdict;
  verdict.check = "PENDING";
  if (limits.critical && limits.critical->alerts(pending)) {
    verdict.level = Level::kCritical;
  } else if ((limits.warning && limits.warning->alerts(pending)) || overdue_limit.alerts(overdue)) {
    verdict.level = Level::kWarning;
  } else {
    verdict.level = Level::kOk;
  }
  verdict.words = std::to_string(pending) + " pending, " + std::to_string(overdue) + " overdue";
  verdict.perfdata = "pending=" + std::to_string(pending) + ";" + text_of(limits.warning) + ";" +
                     text_of(limits.critical) + ";0 overdue=" + std::to_string(overdue) + ";" + overdue_limit.text() +
                     ";;0";
  return verdict;
}

Thresholds expiry_days(Thresholds asked) {
  constexpr std::int64_t kWarning = 30;
  constexpr std::int64_t kCritical = 7;
  const std::int64_t warning = asked.warning.value_or(std::max(kWarning, asked.critical.value_or(0)));
  return {warning, asked.critical.value_or(std::min(kCritical, warning))};
}

Verdict judge_expiry(const v1::GetSummaryResponse& summary, TimePoint now, Thresholds limits, bool verbose) {
  const std::int64_t warning = *limits.warning;
  const std::int64_t critical = *limits.critical;
  const auto& within = summary.lscs_expiring();
  const auto lscs = [&within](std::int64_t days) {
    const auto found = within.find(static_cast<std::int32_t>(days));
    return found == within.end() ? std::optional<std::int64_t>() : found->second;
  };
  Verdict verdict;
  verdict.check = "EXPIRY";
  verdict.level = Level::kOk;
  const auto consider = [&](std::int64_t days, bool spare = false) {
    const bool near = days <= std::max(warning, critical);
    const Level level = days <= critical && !spare ? Level::kCritical : near ? Level::kWarning : Level::kOk;
    verdict.level = std::max(verdict.level, level);
    return level != Level::kOk;
  };
  std::string issuer = "no issuer";
  if (summary.has_issuer_not_after()) {
    const auto days = days_until(summary.issuer_not_after(), now);
    consider(days);
    issuer = "the issuer " + expires_in(days);
    verdict.perfdata =
        "issuer_days=" + std::to_string(days) + ";" + std::to_string(warning) + ":;" + std::to_string(critical) + ": ";
  }
  std::vector<std::string> findings;
  std::map<std::string, std::int64_t> first;  // by its name in the perfdata
  for (const v1::Expiry& expiry : summary.expiries()) {
    if (expiry.kind() == "issuer" && !expiry.spare()) continue;  // the active issuer: counted above
    const auto days = days_until(expiry.not_after(), now);
    const bool last_admin = expiry.role() == "admin" && !expiry.spare();
    if (is_known(expiry.kind()) && (!expiry.spare() || expiry.kind() == "administrator")) {
      const auto [at, added] = first.emplace(last_admin ? "last_admin" : expiry.kind(), days);
      if (!added) at->second = std::min(at->second, days);
    }
    if (expiry.has_renews_at()) continue;
    if (consider(days, expiry.spare())) findings.push_back(description(expiry) + " " + expires_in(days));
  }
  if (lscs(warning).value_or(0) > 0) verdict.level = std::max(verdict.level, Level::kWarning);
  if (lscs(critical).value_or(0) > 0 || summary.lscs_expired() > 0) verdict.level = Level::kCritical;
  if (!summary.has_issuer_not_after() || !lscs(warning) || !lscs(critical)) verdict.level = Level::kUnknown;

  const std::size_t shown = verbose ? findings.size() : std::min(findings.size(), kMostFindings);
  for (std::size_t i = 0; i < shown; ++i) verdict.words += findings[i] + "; ";
  if (findings.size() > shown) {
    verdict.words += std::to_string(findings.size() - shown) + " more, see 'capfctl summary'; ";
  }
  if (summary.lscs_expired() > 0) {
    const bool one = summary.lscs_expired() == 1;
    verdict.words +=
        std::to_string(summary.lscs_expired()) + (one ? " LSC has" : " LSCs have") + " expired without a successor; ";
  }
  verdict.words += issuer + "; ";
  if (!lscs(warning) || !lscs(critical))
    verdict.words += "the server is older than this program and does not tell of all; ";
  std::string days_words;
  std::string count_words;
  std::string figures;
  for (const auto& [days, count] : std::map<std::int32_t, std::int64_t>(within.begin(), within.end())) {
    days_words += (days_words.empty() ? "" : ", ") + std::to_string(days);
    count_words += (count_words.empty() ? "" : ", ") + std::to_string(count);
    figures += "lscs_" + std::to_string(days) + (days == 1 ? "_day=" : "_days=") + std::to_string(count) + ";;;0 ";
  }
  verdict.words += "LSCs expiring within " + days_words + " days: " + count_words;
  for (const auto& [name, days] : first) verdict.perfdata += name + "_days=" + std::to_string(days) + " ";
  verdict.perfdata += figures + "lscs_expired=" + std::to_string(summary.lscs_expired()) + ";;0;0";
  return verdict;
}

namespace {

Verdict judge_one(const Health& health) {
  if (!health.status) return judge_error("HEALTH", health.status.error());
  Verdict verdict;
  verdict.words = "the server says " + *health.status;
  if (!health.why.empty()) verdict.words += ", " + health.why;
  if (*health.status == "SERVING") verdict.level = Level::kOk;
  if (*health.status == "NOT_SERVING") verdict.level = Level::kCritical;
  return verdict;
}

}  // namespace

Verdict judge_health(const std::vector<Health>& servers, bool verbose) {
  Verdict verdict;
  verdict.check = "HEALTH";
  std::int64_t serving = 0;
  Level worst = Level::kOk;
  std::vector<std::string> said;
  std::set<std::string> silent;
  std::set<std::string> warnings;
  for (const Health& each : servers) {
    silent.insert(each.silent.begin(), each.silent.end());
    warnings.insert(each.warnings.begin(), each.warnings.end());
    const bool serves = each.status && *each.status == "SERVING";
    if (serves) ++serving;
    const Verdict said_by = judge_one(each);
    const bool critical = worst == Level::kCritical || said_by.level == Level::kCritical;
    worst = critical ? Level::kCritical : std::max(worst, said_by.level);
    if (serves && servers.size() > 1 && !verbose) continue;
    said.push_back(servers.size() > 1 || verbose ? each.address + ": " + said_by.words : said_by.words);
  }
  for (const std::string& each : silent) said.push_back("no more heard of the server " + each);
  said.insert(said.end(), warnings.begin(), warnings.end());
  const bool well = worst == Level::kOk && silent.empty() && warnings.empty();
  verdict.level = well ? Level::kOk : serving > 0 ? Level::kWarning : worst;
  if (servers.size() > 1) {
    verdict.words = std::to_string(serving) + " of " + std::to_string(servers.size()) + " servers serve";
  }
  for (const std::string& words : said) verdict.words += (verdict.words.empty() ? "" : "; ") + words;
  verdict.perfdata = "serving=" + std::to_string(serving) + ";;;0;" + std::to_string(servers.size());
  return verdict;
}

Verdict judge_error(const std::string& check, const Error& error) {
  Verdict verdict;
  verdict.check = check;
  verdict.level = error.code() == Code::kUnavailable ? Level::kCritical : Level::kUnknown;
  verdict.words = std::string(to_string(error.reason)) + ": " + error.message;
  return verdict;
}

}  // namespace capf::cli
