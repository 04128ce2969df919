#include <fstream>
#include <iterator>
#include <regex>

#include <catch2/catch.hpp>

#include "capf/base/metrics.h"

namespace {

using Catch::Contains;
using namespace std::chrono_literals;

TEST_CASE("metrics are the numbers that were told, in the text format of Prometheus") {
  capf::Metrics metrics;
  metrics.count_request("PhoneService/Install", std::nullopt, 3ms);
  metrics.count_request("PhoneService/Install", std::nullopt, 40s);
  metrics.count_request("PhoneService/Install", capf::Reason::kAuthenticationFailed, 1ms);
  metrics.count_refusal(capf::Reason::kAuthStringMismatch);
  metrics.set_operations("in_progress", 7);
  metrics.set_pool(16, 5, 2);
  metrics.set_lscs_expiring(30, 7, 1);
  metrics.set_certificate_not_after("issuer", *capf::parse_rfc3339("2030-01-01T00:00:00Z"));
  metrics.set_oldest_pending_age(90s);

  const std::string text = metrics.text();
  CHECK_THAT(text, Contains("capf_requests_total{method=\"PhoneService/Install\",outcome=\"OK\"} 2\n"));
  CHECK_THAT(text,
             Contains("capf_requests_total{method=\"PhoneService/Install\",outcome=\"AUTHENTICATION_FAILED\"} 1\n"));
  CHECK_THAT(text, Contains("capf_request_duration_seconds_count{method=\"PhoneService/Install\"} 3\n"));
  CHECK_THAT(text, Contains("capf_refusals_total{reason=\"AUTH_STRING_MISMATCH\"} 1\n"));
  CHECK_THAT(text, Contains("capf_operations{state=\"in_progress\"} 7\n"));
  CHECK_THAT(text, Contains("capf_database_pool_in_use 5\n"));
  CHECK_THAT(text, Contains("capf_lscs_expiring{days=\"7\"} 7\n"));
  CHECK_THAT(text, Contains("capf_certificate_not_after_seconds{certificate=\"issuer\"} 1893456000\n"));
  CHECK_THAT(text, Contains("capf_oldest_pending_age_seconds 90\n"));
  CHECK_THAT(text, Contains("capf_build_info{version=\""));
}

TEST_CASE("the alerts ask for metrics that there are") {
  std::ifstream in(CAPF_RULES);
  const std::string rules{std::istreambuf_iterator<char>(in), {}};
  REQUIRE_THAT(rules, Contains("capf_"));
  capf::Metrics metrics;
  metrics.count_request("PhoneService/Install", std::nullopt, 3ms);
  metrics.count_refusal(capf::Reason::kMicChanged);
  metrics.set_lscs_expiring(0, 0, 0);
  metrics.set_certificate_not_after("issuer", {});
  const std::string text = metrics.text();
  const std::regex name("capf_[a-z_]+");
  for (std::sregex_iterator found(rules.begin(), rules.end(), name), end; found != end; ++found) {
    CAPTURE(found->str());
    CHECK_THAT(text, Contains("\n" + found->str() + " ") || Contains("\n" + found->str() + "{"));
  }
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
