#include <catch2/catch.hpp>

#include "capf/cli/verdict.h"

using namespace capf;
using namespace capf::cli;

namespace {

const TimePoint kNow{std::chrono::sys_days{std::chrono::year{2030} / 1 / 31}};

void set(google::protobuf::Timestamp& time, int days) {
  time.set_seconds(std::chrono::duration_cast<std::chrono::seconds>(kNow.time_since_epoch()).count() + 86400L * days);
}

capf::v1::GetSummaryResponse in_days(int issuer, std::map<int, int> lscs = {{1, 0}, {7, 0}, {30, 0}}) {
  capf::v1::GetSummaryResponse summary;
  set(*summary.mutable_issuer_not_after(), issuer);
  summary.mutable_lscs_expiring()->insert(lscs.begin(), lscs.end());
  return summary;
}

const Thresholds kUsual = expiry_days({});

capf::v1::Expiry& add(capf::v1::GetSummaryResponse& summary, const std::string& kind, int days) {
  capf::v1::Expiry& expiry = *summary.add_expiries();
  expiry.set_kind(kind);
  set(*expiry.mutable_not_after(), days);
  return expiry;
}

capf::v1::Expiry& add_administrator(capf::v1::GetSummaryResponse& summary, const std::string& name,
                                    const std::string& role, int days, bool spare = false) {
  capf::v1::Expiry& expiry = add(summary, "administrator", days);
  expiry.set_name(name);
  expiry.set_role(role);
  expiry.set_spare(spare);
  return expiry;
}

/// The summary of a site without any end in sight.
capf::v1::GetSummaryResponse good_site() {
  auto summary = in_days(2000);
  add(summary, "issuer", 2000);
  add_administrator(summary, "admin", "admin", 400);
  for (const char* kind : {"site_ca", "server", "wire"}) add(summary, kind, 1825);
  set(*add(summary, "ocsp", 8).mutable_renews_at(), 1);
  return summary;
}

}  // namespace

TEST_CASE("pending operations alert above their thresholds, overdue ones above theirs") {
  CHECK(judge_pending(5, 0, {}, 0).level == Level::kOk);
  CHECK(judge_pending(5, 0, {5, 10}, 0).level == Level::kOk);
  CHECK(judge_pending(6, 0, {5, 10}, 0).level == Level::kWarning);
  CHECK(judge_pending(11, 0, {5, 10}, 0).level == Level::kCritical);
  CHECK(judge_pending(5, 1, {}, 0).level == Level::kWarning);
  CHECK(judge_pending(5, 1, {}, 1).level == Level::kOk);
  CHECK(judge_pending(1, 0, {0, std::nullopt}, 0).level == Level::kWarning);
}

TEST_CASE("a plugin's line has the status, the words and the performance data") {
  CHECK(judge_pending(3, 1, {5, 10}, 0).line() ==
        "CAPF PENDING WARNING - 3 pending, 1 overdue | pending=3;5;10;0 overdue=1;0;;0");
  CHECK(judge_health({{"a:1", "NOT_SERVING", {}}}, false).line() ==
        "CAPF HEALTH CRITICAL - the server says NOT_SERVING | serving=0;;;0;1");
  CHECK(judge_health({{"a:1", "NOT_SERVING", "STATE_NOT_WRITABLE: /var/lib/capf/keys: full"}}, false).line() ==
        "CAPF HEALTH CRITICAL - the server says NOT_SERVING, STATE_NOT_WRITABLE: /var/lib/capf/keys: full | "
        "serving=0;;;0;1");
  CHECK(judge_health({{"a:1", "SERVING", {}}}, false).line() ==
        "CAPF HEALTH OK - the server says SERVING | serving=1;;;0;1");
}

TEST_CASE("ranges are those of the monitoring plugins' guidelines") {
  struct Case {
    const char* text;
    std::vector<std::int64_t> alerts;
    std::vector<std::int64_t> silent;
  };
  const Case cases[]{{"10", {-1, 11}, {0, 10}},    {"10:", {9, -5}, {10, 1000000}}, {"~:10", {11}, {-1000, 10}},
                     {"10:20", {9, 21}, {10, 20}}, {"@10:20", {10, 20}, {9, 21}},   {"0", {-1, 1}, {0}},
                     {"@5", {0, 5}, {-1, 6}},      {"-5:5", {-6, 6}, {-5, 0, 5}},   {"~:", {}, {-9, 9}},
                     {"@~:0", {-3, 0}, {1}}};
  for (const Case& each : cases) {
    CAPTURE(each.text);
    const auto range = Range::parse(each.text);
    REQUIRE(range);
    for (const auto value : each.alerts) CHECK(range->alerts(value));
    for (const auto value : each.silent) CHECK_FALSE(range->alerts(value));
    CHECK(range->text() == each.text);
  }
  for (const char* text : {"", "@", "x", "10:x", "20:10", ":", "~", "1.5", "10::", "10:20:30", "@@1", "--1", " 1",
                           "99999999999999999999"}) {
    CAPTURE(text);
    CHECK_FALSE(Range::parse(text));
  }
  CHECK(Range::parse("30")->within() == 30);
  CHECK(Range::parse("30:")->within() == 30);
  CHECK(Range::parse("@30")->within() == 30);
  CHECK(Range::parse("@~:30")->within() == 30);
  for (const char* text : {"10:20", "~:30", "@10:20", "@30:", "-5:"}) CHECK_FALSE(Range::parse(text)->within());
}

TEST_CASE("open operations may be judged by any range") {
  CHECK(judge_pending(0, 0, {*Range::parse("1:"), {}}, 0).level == Level::kWarning);
  CHECK(judge_pending(15, 0, {*Range::parse("20"), *Range::parse("@10:20")}, 0).level == Level::kCritical);
  CHECK(judge_pending(15, 7, {}, *Range::parse("~:7")).line() ==
        "CAPF PENDING OK - 15 pending, 7 overdue | pending=15;;;0 overdue=7;~:7;;0");
}

TEST_CASE("one server of two that does not serve is a warning, and none that serves is critical") {
  const auto away = [] { return fail(Error{Reason::kServerNotReached, "nobody there", {}}); };
  Verdict verdict = judge_health({{"a:1", "SERVING", {}}, {"b:2", away(), {}}}, false);
  CHECK(verdict.line() ==
        "CAPF HEALTH WARNING - 1 of 2 servers serve; b:2: SERVER_NOT_REACHED: nobody there | serving=1;;;0;2");
  CHECK(judge_health({{"a:1", "SERVING", {}}, {"b:2", "NOT_SERVING", {}}}, false).level == Level::kWarning);
  CHECK(judge_health({{"a:1", away(), {}}, {"b:2", away(), {}}}, false).level == Level::kCritical);
  CHECK(judge_health({{"a:1", away(), {}}}, false).level == Level::kCritical);
  const auto stranger = [] { return fail(Error{Reason::kAuthenticationFailed, "no", {}}); };
  CHECK(judge_health({{"a:1", stranger(), {}}}, false).level == Level::kUnknown);
  CHECK(judge_health({{"a:1", stranger(), {}}, {"b:2", away(), {}}}, false).level == Level::kCritical);
  CHECK(judge_health({{"a:1", "SERVING", {}}, {"b:2", "SERVING", {}}}, true).words ==
        "2 of 2 servers serve; a:1: the server says SERVING; b:2: the server says SERVING");
}

TEST_CASE("a server that another one misses is a warning, told once") {
  const std::vector<std::string> silent{"b.example:812:0a1b2c3d since 2030-01-01T00:00:00Z"};
  CHECK(judge_health({{"a:1", "SERVING", {}, silent}}, false).line() ==
        "CAPF HEALTH WARNING - the server says SERVING; no more heard of the server b.example:812:0a1b2c3d since "
        "2030-01-01T00:00:00Z | serving=1;;;0;1");
  CHECK(judge_health({{"a:1", "SERVING", {}, silent}, {"c:3", "SERVING", {}, silent}}, false).line() ==
        "CAPF HEALTH WARNING - 2 of 2 servers serve; no more heard of the server b.example:812:0a1b2c3d since "
        "2030-01-01T00:00:00Z | serving=2;;;0;2");
}

TEST_CASE("what a server warns of is a warning, told once") {
  const std::vector<std::string> warnings{"1 phone asks for digest and has no digest user"};
  CHECK(judge_health({{.address = "a:1", .status = "SERVING", .why = {}, .warnings = warnings},
                      {.address = "b:2", .status = "SERVING", .why = {}, .warnings = warnings}},
                     false)
            .line() ==
        "CAPF HEALTH WARNING - 2 of 2 servers serve; 1 phone asks for digest and has no digest user | serving=2;;;0;2");
}

TEST_CASE("what expires next decides") {
  CHECK(judge_expiry(in_days(400), kNow, kUsual).level == Level::kOk);
  CHECK(judge_expiry(in_days(30), kNow, kUsual).level == Level::kWarning);
  CHECK(judge_expiry(in_days(7), kNow, kUsual).level == Level::kCritical);
  CHECK(judge_expiry(in_days(-1), kNow, kUsual).level == Level::kCritical);
  CHECK(judge_expiry(in_days(400, {{7, 0}, {30, 2}}), kNow, kUsual).level == Level::kWarning);
  CHECK(judge_expiry(in_days(400, {{7, 2}, {30, 2}}), kNow, kUsual).level == Level::kCritical);
  CHECK(judge_expiry({}, kNow, kUsual).level == Level::kUnknown);
}

TEST_CASE("thresholds of LSCs are exact, and what the server does not tell is unknown") {
  const auto ten_days = in_days(400, {{1, 0}, {7, 0}, {10, 3}, {14, 3}, {30, 3}});
  CHECK(judge_expiry(ten_days, kNow, {14, 7}).level == Level::kWarning);
  CHECK(judge_expiry(ten_days, kNow, {30, 10}).level == Level::kCritical);
  CHECK(judge_expiry(ten_days, kNow, {60, 10}).level == Level::kUnknown);
}

TEST_CASE("an LSC that expired without a successor is critical whatever the thresholds") {
  auto summary = in_days(400, {{0, 0}});
  summary.set_lscs_expired(16);
  const Verdict verdict = judge_expiry(summary, kNow, {0, 0});
  CHECK(verdict.level == Level::kCritical);
  CHECK(verdict.words.find("16 LSCs have expired without a successor") != std::string::npos);
}

TEST_CASE("a certificate that a server renews by itself is its own affair until it has not") {
  const Verdict verdict = judge_expiry(good_site(), kNow, kUsual);
  CHECK(verdict.line() ==
        "CAPF EXPIRY OK - the issuer expires in 2000 days; LSCs expiring within 1, 7, 30 days: 0, 0, 0 | "
        "issuer_days=2000;30:;7: last_admin_days=400 ocsp_days=8 server_days=1825 site_ca_days=1825 wire_days=1825 "
        "lscs_1_day=0;;;0 lscs_7_days=0;;;0 lscs_30_days=0;;;0 lscs_expired=0;;0;0");
  auto late = good_site();
  late.mutable_expiries()->rbegin()->clear_renews_at();
  CHECK(judge_expiry(late, kNow, kUsual).level == Level::kWarning);
}

TEST_CASE("whatever the site lives by is named when it ends") {
  const auto [kind, words] =
      GENERATE(table<std::string, std::string>({{"site_ca", "the site CA's certificate"},
                                                {"server", "the server's certificate"},
                                                {"wire", "the certificate on the phones' port"},
                                                {"wire-ec", "the EC certificate on the phones' port"},
                                                {"tvs", "the certificate of the Trust Verification Service"},
                                                {"list-signer", "the certificate that signs trust lists"},
                                                {"recovery-signer", "the certificate that recovers trust lists"},
                                                {"file-signer", "the certificate that signs phones' files"},
                                                {"file-server", "the certificate of the file service over HTTPS"},
                                                {"ocsp", "the certificate of the OCSP responder for"},
                                                {"trust-list", "a certificate of the trust lists,"},
                                                {"something that comes later | x", "the certificate"}}));
  CAPTURE(kind);
  for (const auto& [days, level, when] : {std::tuple{31, Level::kOk, ""},
                                          {30, Level::kWarning, " expires in 30 days; "},
                                          {8, Level::kWarning, " expires in 8 days; "},
                                          {7, Level::kCritical, " expires in 7 days; "},
                                          {-1, Level::kCritical, " has expired; "}}) {
    auto summary = good_site();
    add(summary, kind, days);
    const Verdict verdict = judge_expiry(summary, kNow, kUsual);
    CHECK(verdict.level == level);
    CHECK(verdict.words.starts_with(level == Level::kOk ? "the issuer expires in 2000 days" : words + when));
    CHECK(std::count(verdict.perfdata.begin(), verdict.perfdata.end(), '|') == 0);
  }
}

TEST_CASE("the last administrator of a role is told apart from one who is not") {
  auto summary = good_site();
  add_administrator(summary, "nagios", "monitor", 6);
  Verdict verdict = judge_expiry(summary, kNow, kUsual);
  CHECK(verdict.level == Level::kCritical);
  CHECK(verdict.words.starts_with("administrator nagios (monitor), the last of this role, expires in 6 days; "));
  summary = good_site();
  add_administrator(summary, "olga", "admin", -200, true);
  verdict = judge_expiry(summary, kNow, kUsual);
  CHECK(verdict.level == Level::kWarning);
  CHECK(verdict.words.starts_with("administrator olga (admin) has expired; the issuer"));
  CHECK(verdict.perfdata.find("last_admin_days=400 ") != std::string::npos);
  CHECK(verdict.perfdata.find("administrator_days=-200 ") != std::string::npos);
}

TEST_CASE("an issuer that is not the active one is a warning at most") {
  auto summary = good_site();
  capf::v1::Expiry& former = add(summary, "issuer", 1);
  former.set_name("CN=CAPF-2020");
  former.set_spare(true);
  const Verdict verdict = judge_expiry(summary, kNow, kUsual);
  CHECK(verdict.level == Level::kWarning);
  CHECK(verdict.words.starts_with("the inactive issuer CN=CAPF-2020 expires in 1 day; the issuer"));
}

TEST_CASE("a check's line names five certificates, and how many more there are") {
  auto summary = good_site();
  for (int i = 0; i < 1000; ++i) add_administrator(summary, "a" + std::to_string(i), "auditor", 20, i > 0);
  const Verdict verdict = judge_expiry(summary, kNow, kUsual);
  CHECK(verdict.words.find("administrator a4 (auditor) expires in 20 days; 995 more, see 'capfctl summary'; ") !=
        std::string::npos);
  CHECK(verdict.words.size() < 1000);
}

TEST_CASE("a check that could not be made is unknown, and critical where nobody answers or can") {
  CHECK(judge_error("HEALTH", Error{Reason::kServerNotReached, "refused", {}}).level == Level::kCritical);
  CHECK(judge_error("HEALTH", Error{Reason::kDatabaseUnavailable, "away", {}}).level == Level::kCritical);
  const Verdict denied = judge_error("PENDING", Error{Reason::kRoleDenied, "no\n| forged=1", {}});
  CHECK(denied.level == Level::kUnknown);
  CHECK(denied.line() == "CAPF PENDING UNKNOWN - ROLE_DENIED: no\\x0a/ forged=1");
}

TEST_CASE("one threshold of the expiry is enough: critical is never more than warning") {
  const auto days = [](std::optional<std::int64_t> warning, std::optional<std::int64_t> critical) {
    const Thresholds both = expiry_days({warning, critical});
    return std::pair(*both.warning, *both.critical);
  };
  CHECK(days({}, {}) == std::pair<std::int64_t, std::int64_t>(30, 7));
  CHECK(days(5, {}) == std::pair<std::int64_t, std::int64_t>(5, 5));
  CHECK(days(60, {}) == std::pair<std::int64_t, std::int64_t>(60, 7));
  CHECK(days({}, 40) == std::pair<std::int64_t, std::int64_t>(40, 40));
  CHECK(days(5, 7) == std::pair<std::int64_t, std::int64_t>(5, 7));  // which is refused
}
