#include <fstream>
#include <iterator>
#include <regex>

#include <catch2/catch.hpp>

#include "capf/base/metrics.h"

namespace {

using capf::TimePoint;
using Catch::Contains;
using namespace std::chrono_literals;

TEST_CASE("metrics are the numbers that were told, in the text format of Prometheus") {
  capf::Metrics metrics;
  metrics.count_request("PhoneService/Install", std::nullopt, 3ms);
  metrics.count_request("PhoneService/Install", std::nullopt, 40s);
  metrics.count_request("PhoneService/Install", capf::Reason::kAuthenticationFailed, 1ms);
  metrics.count_refusal(capf::Reason::kAuthStringMismatch);
  metrics.count_unwritten_lsc();
  metrics.set_operations("in_progress", 7);
  metrics.set_pool(16, 5, 2);
  metrics.set_rounds(3, 40);
  metrics.set_lscs_expiring(7, 7);
  metrics.set_phones_of_mode("encrypted", 9, 4);
  metrics.set_modes_not_in_effect("CERTIFICATE_EXPIRED", 5);
  metrics.set_digest_without_user(2);
  metrics.set_certificate_not_after("issuer", *capf::parse_rfc3339("2030-01-01T00:00:00Z"));
  metrics.set_oldest_pending_age(90s);
  metrics.set_lines_mixed("effect", 3);
  metrics.set_trust_list_generation("itl", 4);

  const std::string text = metrics.text();
  CHECK_THAT(text, Contains("capf_requests_total{method=\"PhoneService/Install\",outcome=\"OK\"} 2\n"));
  CHECK_THAT(text,
             Contains("capf_requests_total{method=\"PhoneService/Install\",outcome=\"AUTHENTICATION_FAILED\"} 1\n"));
  CHECK_THAT(text, Contains("capf_request_duration_seconds_count{method=\"PhoneService/Install\"} 3\n"));
  CHECK_THAT(text, Contains("capf_refusals_total{reason=\"AUTH_STRING_MISMATCH\"} 1\n"));
  CHECK_THAT(text, Contains("capf_lscs_unwritten_total 1\n"));
  CHECK_THAT(text, Contains("capf_operations{state=\"in_progress\"} 7\n"));
  CHECK_THAT(text, Contains("capf_database_pool_in_use 5\n"));
  CHECK_THAT(text, Contains("capf_database_rounds_in_use 3\n"));
  CHECK_THAT(text, Contains("capf_database_rounds_waiting 40\n"));
  CHECK_THAT(text, Contains("capf_lscs_expiring{days=\"7\"} 7\n"));
  CHECK_THAT(text, Contains("capf_certificate_not_after_seconds{certificate=\"issuer\"} 1893456000\n"));
  CHECK_THAT(text, Contains("capf_phones_by_profile_mode{mode=\"encrypted\"} 9\n"));
  CHECK_THAT(text, Contains("capf_phones_by_effective_mode{mode=\"encrypted\"} 4\n"));
  CHECK_THAT(text, Contains("capf_secure_phones_not_in_effect{reason=\"CERTIFICATE_EXPIRED\"} 5\n"));
  CHECK_THAT(text, Contains("capf_digest_phones_without_user 2\n"));
  CHECK_THAT(text, Contains("capf_oldest_pending_age_seconds 90\n"));
  CHECK_THAT(text, Contains("capf_lines_mixed{by=\"effect\"} 3\n"));
  CHECK_THAT(text, Contains("capf_trust_list_generation{kind=\"itl\"} 4\n"));
  CHECK_THAT(text, Contains("capf_build_info{version=\""));
}

TEST_CASE("the alerts ask for metrics that there are") {
  std::ifstream in(CAPF_RULES);
  const std::string rules{std::istreambuf_iterator<char>(in), {}};
  REQUIRE_THAT(rules, Contains("capf_"));
  capf::Metrics metrics;
  metrics.count_request("PhoneService/Install", std::nullopt, 3ms);
  metrics.count_refusal(capf::Reason::kMicChanged);
  metrics.count_observed_certificate(capf::Reason::kCertificateRevoked);
  metrics.set_not_ready(capf::Reason::kStateNotWritable);
  metrics.set_lscs_expiring(7, 0);
  metrics.set_lines_mixed("profile", 0);
  metrics.set_modes_not_in_effect("NO_CERTIFICATE", 0);
  metrics.set_certificate_not_after("issuer", {});
  metrics.set_administrators("admin", {1, TimePoint{}, TimePoint{}});
  metrics.set_crl(1, 0, {});
  metrics.set_crl_failing(1, 0, capf::Reason::kCrlWouldLoseEntries);
  const std::string text = metrics.text();
  const std::regex name("capf_[a-z_]+");
  for (std::sregex_iterator found(rules.begin(), rules.end(), name), end; found != end; ++found) {
    CAPTURE(found->str());
    CHECK_THAT(text, Contains("\n" + found->str() + " ") || Contains("\n" + found->str() + "{"));
  }
}

TEST_CASE("administrators are told by their role, and the ends of none where there is none") {
  const TimePoint first = *capf::parse_rfc3339("2030-01-01T00:00:00Z");
  capf::Metrics metrics;
  metrics.set_administrators("admin", {2, first, first + std::chrono::hours(24)});
  metrics.set_administrators("auditor", {});
  const std::string end = "capf_administrator_not_after_seconds{role=";
  CHECK_THAT(metrics.text(), Contains("capf_administrators{role=\"admin\"} 2\n") &&
                                 Contains("capf_administrators{role=\"auditor\"} 0\n") &&
                                 Contains(end + "\"admin\",which=\"first\"} 1893456000\n") &&
                                 Contains(end + "\"admin\",which=\"last\"} 1893542400\n") &&
                                 !Contains(end + "\"auditor\""));
  metrics.set_administrators("admin", {});
  CHECK_THAT(metrics.text(), Contains("capf_administrators{role=\"admin\"} 0\n") && !Contains(end + "\"admin\""));
}

TEST_CASE("a server that does not serve says by its metrics why, until it does") {
  capf::Metrics metrics;
  metrics.set_not_ready(std::nullopt);
  CHECK_THAT(metrics.text(), !Contains("capf_not_ready{"));
  metrics.set_not_ready(capf::Reason::kStateNotWritable);
  metrics.set_not_ready(capf::Reason::kClockSkew);
  CHECK_THAT(metrics.text(), Contains("capf_not_ready{reason=\"STATE_NOT_WRITABLE\"} 0\n") &&
                                 Contains("capf_not_ready{reason=\"CLOCK_SKEW\"} 1\n"));
  metrics.set_not_ready(std::nullopt);
  CHECK_THAT(metrics.text(), Contains("capf_not_ready{reason=\"CLOCK_SKEW\"} 0\n"));
}

TEST_CASE("what hinders a CRL is told by its reason until it is over") {
  capf::Metrics metrics;
  metrics.set_crl(1, 3, {7, 2, 400, *capf::parse_rfc3339("2030-01-01T00:00:00Z"), {}});
  metrics.set_crl_failing(1, 3, capf::Reason::kDatabaseUnavailable);
  metrics.set_crl_failing(1, 3, capf::Reason::kCrlWouldLoseEntries);
  const std::string failing = "capf_crl_failing{issuer=\"1\",reason=\"";
  CHECK_THAT(metrics.text(), Contains("capf_crl_number{issuer=\"1\",shard=\"3\"} 7\n") &&
                                 Contains("capf_crl_this_update_seconds{issuer=\"1\",shard=\"3\"} 1893456000\n") &&
                                 Contains(failing + "DATABASE_UNAVAILABLE\",shard=\"3\"} 0\n") &&
                                 Contains(failing + "CRL_WOULD_LOSE_ENTRIES\",shard=\"3\"} 1\n"));
  metrics.set_crl_failing(1, 3, std::nullopt);
  CHECK_THAT(metrics.text(), Contains(failing + "CRL_WOULD_LOSE_ENTRIES\",shard=\"3\"} 0\n"));
}

TEST_CASE("every metric is ours, has help and a type, and names no device") {
  const std::string text = capf::Metrics().text();
  std::size_t start = 0;
  while (start < text.size()) {
    const std::size_t end = text.find('\n', start);
    const std::string line = text.substr(start, end - start);
    CHECK((line.starts_with("# HELP capf_") || line.starts_with("# TYPE capf_") || line.starts_with("capf_")));
    CHECK_THAT(line, !Contains("device=\""));
    start = end + 1;
  }
}

}  // namespace
