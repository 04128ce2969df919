#include <fstream>
#include <map>
#include <sstream>

#include <catch2/catch.hpp>

#include "capf/tvs/dialogue.h"

namespace {

using capf::Bytes;
using capf::BytesView;
using capf::Reason;
using capf::Result;
using capf::Sha256;
using capf::TimePoint;
using capf::TrustRole;
using capf::TrustRoles;
using namespace capf::tvs;
using namespace std::chrono_literals;

const TimePoint kNow = capf::parse_rfc3339("2027-01-01T00:00:00Z").value();

/// The lines of a file in tests/data/tvs.
std::vector<std::vector<std::string>> read_lines(const std::string& file) {
  std::ifstream input(std::string(CAPF_TEST_DATA) + "/tvs/" + file);
  std::vector<std::vector<std::string>> lines;
  for (std::string line; std::getline(input, line);) {
    std::vector<std::string> fields;
    std::istringstream words(line);
    for (std::string field; std::getline(words, field, '\t');) fields.push_back(field);
    fields.resize(3);
    lines.push_back(fields);
  }
  REQUIRE_FALSE(lines.empty());
  return lines;
}

Bytes octets_of(const std::string& hex) { return capf::parse_hex(hex).value(); }

/// A certificate in its time.
Vouched vouched(BytesView der, TrustRoles roles) {
  return {{der.begin(), der.end()}, "CN=stormin-WIN2012-CA", std::move(roles), kNow - 24h, kNow + 24h * 400};
}

struct Site final : CertificateSource {
  std::vector<Vouched> certificates;
  std::map<std::string, std::size_t> by_serial;
  bool silent = false;

  Result<std::optional<Vouched>> find_by_digest(const Sha256& sha256) override {
    if (silent) return capf::fail(Reason::kDatabaseUnavailable);
    for (const Vouched& certificate : certificates) {
      if (capf::sha256(certificate.der) == sha256) return certificate;
    }
    return std::nullopt;
  }
  Result<std::vector<Vouched>> find_by_serial(BytesView serial) override {
    if (silent) return capf::fail(Reason::kDatabaseUnavailable);
    std::vector<Vouched> found;
    for (const auto& [hex, at] : by_serial) {
      if (hex == capf::to_hex(serial)) found.push_back(certificates.at(at));
    }
    return found;
  }
};

/// The text of a line and the question in it, which looks at it.
struct Asked {
  explicit Asked(const std::string& hex) : octets(octets_of(hex)) {
    const auto heard = hear(octets);
    if (const auto* malformed = std::get_if<Malformed>(&heard)) FAIL(std::string(malformed->why));
    question = std::get<Question>(heard);
  }
  Asked(const Asked&) = delete;
  BytesView certificate() const { return std::get<Verify>(question.what).certificate; }

  Bytes octets;
  Question question;
};

struct Known {
  TrustRoles roles;
  std::chrono::seconds lifetime;
};
const std::map<std::string, Known>& known() {
  using enum TrustRole;
  static const std::map<std::string, Known> all{
      {"sast_tftp", {{kSast, kTftp}, 86400s}},
      {"ccm", {{kCcm}, 86400s}},
      {"app_ec", {{kAppServer}, 3600s}},
      {"capf", {{kCapf}, 1s}},
      {"all_roles", {{capf::kTrustRoles.begin(), capf::kTrustRoles.end()}, 86400s}},
  };
  return all;
}

std::string ccm_question() {
  for (const auto& line : read_lines("questions.txt")) {
    if (line[0] == "ccm") return line[1];
  }
  return {};
}

TEST_CASE("every question that was recorded is answered as the open server answered it, octet for octet") {
  Site site;
  const auto lines = read_lines("questions.txt");
  CHECK(lines.size() == known().size() + 1);
  for (const auto& line : lines) {
    const auto found = known().find(line[0]);
    if (found != known().end()) site.certificates.push_back(vouched(Asked(line[1]).certificate(), found->second.roles));
  }
  for (const auto& line : lines) {
    INFO(line[0]);
    const Asked asked(line[1]);
    CHECK(asked.question.device == "CP-8861-SEPB000B4BA0AEE");
    const auto found = known().find(line[0]);
    const auto lifetime = found == known().end() ? 3600s : found->second.lifetime;
    const auto answer = judge(asked.question, site, kNow, lifetime);
    REQUIRE(answer);
    CHECK(capf::to_hex(encode(asked.question, *answer)) == line[2]);
  }
}

TEST_CASE("what is no question is closed, and what may still become one is waited for") {
  Site site;
  site.certificates.push_back(vouched(Asked(ccm_question()).certificate(), {TrustRole::kCcm}));
  for (const auto& line : read_lines("malformed.txt")) {
    INFO(line[0]);
    const Bytes octets = octets_of(line[2]);
    const auto heard = hear(octets);
    if (line[1] == "wait") {
      REQUIRE(std::holds_alternative<More>(heard));
      CHECK(std::get<More>(heard).size > octets.size());
    } else if (line[1] == "close") {
      CHECK(std::holds_alternative<Malformed>(heard));
    } else {
      REQUIRE(std::holds_alternative<Question>(heard));
      const auto& question = std::get<Question>(heard);
      const auto answer = judge(question, site, kNow, 1h);
      REQUIRE(answer);
      CHECK(to_string(answer->outcome) == (line[1] == "valid" ? "valid" : "unknown"));
      const Bytes said = encode(question, *answer);
      CHECK(BytesView(said).subspan(4, 4)[0] == octets[4]);
      CHECK(std::equal(said.begin() + 4, said.begin() + 8, octets.begin() + 4));
    }
  }
}

TEST_CASE("a question is whole only with its last octet") {
  const Bytes octets = octets_of(ccm_question());
  for (std::size_t size = 0; size < octets.size(); ++size) {
    const auto heard = hear(BytesView(octets).first(size));
    REQUIRE(std::holds_alternative<More>(heard));
    CHECK(std::get<More>(heard).size > size);
    CHECK(std::get<More>(heard).size <= octets.size());
  }
}

TEST_CASE("a question that announces more than this server reads is closed with its header") {
  Bytes header = octets_of("57010100000003e90000");
  const auto announce = [&](std::size_t length) {
    header[8] = static_cast<std::uint8_t>(length >> 8);
    header[9] = static_cast<std::uint8_t>(length);
    return hear(header);
  };
  CHECK(std::holds_alternative<More>(announce(kLongestAccepted)));
  CHECK(std::holds_alternative<Malformed>(announce(kLongestAccepted + 1)));
  CHECK(std::holds_alternative<Malformed>(announce(65535)));
}

TEST_CASE("a query finds issuer and serial number in any elements, in any order") {
  const std::string serial = "24000000179479b8f124ac3f3b000000000017";
  Site site;
  site.certificates.push_back(vouched(Bytes(1451, 0x30), {TrustRole::kCcm, TrustRole::kTftp}));
  site.by_serial[serial] = 0;
  for (const auto& line : read_lines("queries.txt")) {
    INFO(line[0]);
    const Asked asked(line[1]);
    const auto& query = std::get<Query>(asked.question.what);
    CHECK(query.issuer == "CN=stormin-WIN2012-CA");
    CHECK(capf::to_hex(query.serial) == serial);
    const auto answer = judge(asked.question, site, kNow, 24h);
    REQUIRE(answer);
    const Bytes said = encode(asked.question, *answer);
    // The length and the beginning that the call manager's trace prints, but for the filler.
    CHECK(said.size() == 1480);
    CHECK(capf::to_hex(BytesView(said).first(17)) ==
          "57010400000003e905be07000100"
          "0205ab");
    CHECK(capf::to_hex(BytesView(said).last(12)) ==
          "08000201030900040001"
          "5180");
  }
}

TEST_CASE("a query is answered for its issuer alone, and unknown is invalid without anything else") {
  const Asked asked(read_lines("queries.txt").front()[1]);
  Site site;
  site.certificates.push_back(vouched(Bytes(100, 0x30), {TrustRole::kCcm}));
  site.by_serial["24000000179479b8f124ac3f3b000000000017"] = 0;
  site.certificates[0].issuer = "CN=Another";
  const auto answer = judge(asked.question, site, kNow, 1h);
  REQUIRE(answer);
  CHECK(answer->outcome == Outcome::kUnknown);
  CHECK(capf::to_hex(encode(asked.question, *answer)) ==
        "57010400000003e90004"
        "07000101");
}

TEST_CASE("a query that lacks a part, has one twice or one that is neither is closed") {
  const std::string device = "0100050153455041", subject = "030005434e3d4100", issuer = "040005434e3d4200",
                    serial = "0500020107";
  const auto heard = [](const std::string& elements) {
    const Bytes body = octets_of(elements);
    Bytes octets = octets_of("57010300000000010000");
    octets[9] = static_cast<std::uint8_t>(body.size());
    octets.insert(octets.end(), body.begin(), body.end());
    return std::holds_alternative<Question>(hear(octets));
  };
  CHECK(heard(device + subject + issuer + serial));
  CHECK(heard(serial + issuer + device));
  CHECK(heard(device + issuer + "060003000107"));
  CHECK_FALSE(heard(device + subject + issuer));
  CHECK_FALSE(heard(device + subject + serial));
  CHECK_FALSE(heard(subject + issuer + serial));
  CHECK_FALSE(heard(device + subject + subject + issuer + serial));
  CHECK_FALSE(heard(device + "030004434e3d41" + issuer + serial));
  CHECK_FALSE(heard(device + issuer + issuer + serial));
  CHECK_FALSE(heard(device + issuer + serial + serial));
  CHECK_FALSE(heard(device + issuer + "050000"));
  CHECK_FALSE(heard(device + issuer + "050015" + std::string(42, '1')));
  CHECK_FALSE(heard(device + "040006434e3d0a4200" + serial));
}

TEST_CASE("valid is said only in a certificate's time, of one that is not withdrawn, and no longer than it lasts") {
  const Asked asked(ccm_question());
  Site site;
  site.certificates.push_back(vouched(asked.certificate(), {TrustRole::kCcm}));
  Vouched& certificate = site.certificates.front();
  const auto outcome = [&](TimePoint now) { return judge(asked.question, site, now, 1h)->outcome; };
  certificate.not_before = kNow;
  certificate.not_after = kNow + 90s;
  CHECK(outcome(kNow - 1s) == Outcome::kNotYetValid);
  CHECK(outcome(kNow) == Outcome::kValid);
  CHECK(judge(asked.question, site, kNow, 1h)->lifetime == 90s);
  CHECK(judge(asked.question, site, kNow, 60s)->lifetime == 60s);
  CHECK(judge(asked.question, site, kNow + 90s, 1h)->lifetime == 1s);
  CHECK(outcome(kNow + 91s) == Outcome::kExpired);
  certificate.withdrawn = true;
  CHECK(outcome(kNow) == Outcome::kWithdrawn);
  certificate.withdrawn = false;
  certificate.roles.clear();
  CHECK(outcome(kNow) == Outcome::kUnknown);
}

TEST_CASE("a source that does not answer is no answer") {
  Site site;
  site.silent = true;
  CHECK(judge(Asked(ccm_question()).question, site, kNow, 1h).error().reason == Reason::kDatabaseUnavailable);
  CHECK(judge(Asked(read_lines("queries.txt").front()[1]).question, site, kNow, 1h).error().reason ==
        Reason::kDatabaseUnavailable);
}

TEST_CASE("an issuer is the same however a list spells it") {
  const std::string name = "C=DE,L=Köln,O=Example\\, Inc.,OU=Telephones,CN=sip.example.org";
  CHECK(is_same_name(name, name));
  CHECK(is_same_name("CN=sip.example.org,OU=Telephones,O=Example\\, Inc.,L=Köln,C=DE", name));
  CHECK(is_same_name("CN=sip.example.org;OU=Telephones;O=Example\\, Inc.;L=Köln;C=DE", name));
  CHECK(is_same_name("CN=sip.example.org; OU=Telephones; O=Example, Inc.; L=Köln; C=DE", name));
  CHECK(is_same_name("O=Example, Inc.", "O=Example\\, Inc."));
  CHECK_FALSE(is_same_name("CN=sip.example.org;OU=Telephones;O=Example, Inc.;L=Köln", name));
  CHECK_FALSE(is_same_name("CN=sip.example.com;OU=Telephones;O=Example, Inc.;L=Köln;C=DE", name));
  CHECK_FALSE(is_same_name("", name));
}

TEST_CASE("roles are spelled as they are read, and unknown codes are none") {
  for (const TrustRole role : capf::kTrustRoles) {
    CHECK(capf::parse_trust_role(to_string(role)) == role);
    CHECK(capf::trust_role_of(static_cast<int>(role)) == role);
  }
  CHECK_FALSE(capf::parse_trust_role("SAST"));
  for (const int code : {-1, 5, 6, 8, 20, 22, 256}) CHECK_FALSE(capf::trust_role_of(code));
}

}  // namespace
