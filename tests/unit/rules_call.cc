#include <algorithm>
#include <array>
#include <fstream>
#include <functional>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include "capf/rules/call.h"

using namespace capf;
using namespace capf::rules;

namespace {

using Value = google::protobuf::Value;
using Struct = google::protobuf::Struct;

PartyFacts device(DeviceMode mode, SiteMode site = SiteMode::kMixed) {
  PartyFacts facts;
  facts.known = true;
  facts.devices = {{"SEP1", {.site = site, .profile = mode, .lsc = LscStatus::kValid}}};
  return facts;
}

std::string text_of(const Struct& object, const std::string& name) {
  const auto found = object.fields().find(name);
  return found == object.fields().end() ? "" : found->second.string_value();
}

SeenCertificate certificate_of(const std::string& word) {
  if (word == "own") return SeenCertificate::kOwn;
  if (word == "other") return SeenCertificate::kOfAnotherDevice;
  if (word == "superseded") return SeenCertificate::kSuperseded;
  REQUIRE(word == "revoked");
  return SeenCertificate::kRevoked;
}

/// A party of the vectors.
struct Case {
  CallParty party;
  PartyFacts facts;
};

void read_device(const Struct& said, SiteMode site, Case& out) {
  out.facts = device(parse_device_mode(text_of(said, "mode")).value(), site);
  ModeFacts& mode = out.facts.devices.front().mode;
  const std::string state = text_of(said, "state");
  mode.blocked = state == "blocked";
  if (state == "removed" || state == "unknown") out.facts = PartyFacts{.removed = state == "removed"};
  const std::string lsc = text_of(said, "lsc");
  if (lsc == "none" || lsc == "unconfirmed") mode.lsc = LscStatus::kNone;
  if (lsc == "expired") mode.lsc = LscStatus::kExpired;
  if (lsc == "revoked") mode.lsc = LscStatus::kRevoked;
}

Case read_party(const Struct& said, SiteMode site) {
  Case out;
  const std::string kind = text_of(said, "kind");
  if (kind.empty()) {
    read_device(said, site, out);
  } else {
    out.party.kind = parse_party_kind(kind).value();
    const bool trusted = said.fields().contains("trusted") && said.fields().at("trusted").bool_value();
    const std::string level = text_of(said, "level");
    out.facts.known = trusted || (out.party.kind == PartyKind::kBridge && !level.empty());
    if (out.facts.known) out.facts.trusted_level = parse_device_mode(level).value();
  }
  if (!said.fields().contains("observed")) return out;
  const Struct& seen = said.fields().at("observed").struct_value();
  out.party.observed.transport = parse_seen_transport(text_of(seen, "transport"));
  out.party.observed.audio = parse_seen_media(text_of(seen, "audio"));
  out.party.observed.video = parse_seen_media(text_of(seen, "video"));
  out.party.observed.null_cipher = text_of(seen, "signalling") == "null";
  if (const std::string word = text_of(seen, "certificate"); !word.empty()) {
    out.party.observed.certificate = Sha256{};
    out.facts.certificate = certificate_of(word);
  }
  return out;
}

void check_party(const PartyAnswer& answer, const Struct& expected) {
  CHECK(to_string(answer.level) == text_of(expected, "level"));
  CHECK(to_string(answer.basis) == text_of(expected, "basis"));
  std::vector<std::string> reasons;
  for (const Value& each : expected.fields().at("reasons").list_value().values())
    reasons.push_back(each.string_value());
  std::vector<std::string> given;
  for (const CallReason each : answer.reasons) given.emplace_back(to_string(each));
  CHECK(given == reasons);
}

void check_case(const Struct& said) {
  const std::string name = text_of(said, "name");
  CAPTURE(name);
  const Struct& ask = said.fields().at("ask").struct_value();
  const Struct& expect = said.fields().at("expect").struct_value();
  const std::string site = text_of(ask, "site");
  const SiteMode mode = site.empty() ? SiteMode::kMixed : parse_site_mode(site).value();
  CallEnquiry enquiry;
  std::vector<PartyFacts> facts;
  for (const Value& each : ask.fields().at("parties").list_value().values()) {
    const Case party = read_party(each.struct_value(), mode);
    enquiry.parties.push_back(party.party);
    facts.push_back(party.facts);
  }
  if (ask.fields().contains("barge")) {
    const Case party = read_party(ask.fields().at("barge").struct_value(), mode);
    enquiry.barge = party.party;
    facts.push_back(party.facts);
  }
  if (const std::string minimum = text_of(ask, "minimum"); !minimum.empty()) {
    enquiry.minimum = parse_device_mode(minimum).value();
  }

  const CallAnswer answer = classify(enquiry, facts);
  CHECK(to_string(answer.level) == text_of(expect, "level"));
  CHECK(icon_of(answer.level) == text_of(expect, "icon"));
  CHECK(call_info_of(answer.level) == text_of(expect, "call_info"));
  const auto& parties = expect.fields().at("parties").list_value().values();
  REQUIRE(answer.parties.size() == static_cast<std::size_t>(parties.size()));
  for (int i = 0; i < parties.size(); ++i) {
    check_party(answer.parties[static_cast<std::size_t>(i)], parties[i].struct_value());
  }
  REQUIRE(answer.barge.has_value() == expect.fields().contains("barge"));
  if (answer.barge) {
    const Struct& barge = expect.fields().at("barge").struct_value();
    CHECK(answer.barge->allowed == barge.fields().at("allowed").bool_value());
    CHECK(to_string(answer.barge->level_after) == text_of(barge, "level_after"));
  }
  if (!expect.fields().contains("admitted")) return;
  const auto& admitted = expect.fields().at("admitted").list_value().values();
  for (int i = 0; i < admitted.size(); ++i) {
    CHECK(answer.parties[static_cast<std::size_t>(i)].admitted == admitted[i].bool_value());
  }
}

// The table a second time, written as rows that cap the level: independent of the program's functions.
struct Row {
  std::function<bool(const CallParty&, const PartyFacts&)> when;
  int cap;
  const char* reason;  ///< null: none
  bool only_if_lower;  ///< the reason is told where the row lowers the level
};

const PartyDevice* only(const PartyFacts& facts) { return facts.devices.empty() ? nullptr : &facts.devices.front(); }

bool present(const CallParty& party, const PartyFacts& facts) {
  return party.kind == PartyKind::kDevice && facts.known && !facts.removed && !facts.devices.empty();
}

/// Whether the mode of a present device that is not blocked is taken away by this.
std::function<bool(const CallParty&, const PartyFacts&)> takes(std::function<bool(const ModeFacts&)> what) {
  return [what = std::move(what)](const CallParty& party, const PartyFacts& facts) {
    if (!present(party, facts)) return false;
    const ModeFacts& mode = only(facts)->mode;
    return !mode.blocked && mode.profile != DeviceMode::kNonsecure && what(mode);
  };
}
std::function<bool(const CallParty&, const PartyFacts&)> lacks(LscStatus status) {
  return takes([status](const ModeFacts& mode) {
    return mode.site == SiteMode::kMixed && !mode.good_mic && mode.lsc == status;
  });
}
std::function<bool(const CallParty&, const PartyFacts&)> shown(SeenCertificate certificate) {
  return [certificate](const CallParty&, const PartyFacts& facts) { return facts.certificate == certificate; };
}

const std::vector<Row>& table() {
  using P = const CallParty&;
  using F = const PartyFacts&;
  static const std::vector<Row> rows{
      {[](P p, F f) { return p.kind == PartyKind::kDevice && f.removed; }, 0, "DEVICE_REMOVED", false},
      {[](P p, F f) { return p.kind == PartyKind::kDevice && !f.removed && (!f.known || f.devices.empty()); }, 0,
       "DEVICE_UNKNOWN", false},
      {[](P p, F f) { return present(p, f) && only(f)->mode.blocked; }, 0, "DEVICE_BLOCKED", false},
      {[](P p, F f) { return present(p, f) && only(f)->mode.profile == DeviceMode::kNonsecure; }, 0, nullptr, false},
      {[](P p, F f) { return present(p, f) && only(f)->mode.profile == DeviceMode::kAuthenticated; }, 1, nullptr,
       false},
      {takes([](const ModeFacts& mode) { return mode.site == SiteMode::kNonsecure; }), 0, "SITE_NONSECURE", false},
      {lacks(LscStatus::kNone), 0, "NO_CERTIFICATE", false},
      {lacks(LscStatus::kExpired), 0, "CERTIFICATE_EXPIRED", false},
      {lacks(LscStatus::kRevoked), 0, "CERTIFICATE_REVOKED", false},
      {lacks(LscStatus::kHeld), 0, "CERTIFICATE_HELD", false},
      {[](P p, F f) { return p.kind == PartyKind::kTrunk && !f.known; }, 0, "TRUNK_NOT_TRUSTED", false},
      {[](P p, F f) { return p.kind == PartyKind::kBridge && !f.known; }, 0, "BRIDGE_NOT_SECURE", false},
      {[](P p, F f) { return p.kind >= PartyKind::kTrunk && f.known && f.trusted_level == DeviceMode::kNonsecure; }, 0,
       nullptr, false},
      {[](P p, F f) { return p.kind >= PartyKind::kTrunk && f.known && f.trusted_level == DeviceMode::kAuthenticated; },
       1, nullptr, false},
      {[](P p, F) { return p.observed.transport == SeenTransport::kUdp; }, 0, "OBSERVED_LESS", true},
      {[](P p, F) { return p.observed.transport == SeenTransport::kTcp; }, 0, "OBSERVED_LESS", true},
      {[](P p, F) { return p.observed.null_cipher; }, 1, "OBSERVED_LESS", true},
      {[](P p, F) { return p.observed.audio == SeenMedia::kRtp; }, 1, "OBSERVED_LESS", true},
      {[](P p, F) { return p.observed.video == SeenMedia::kRtp; }, 1, "OBSERVED_LESS", true},
      {shown(SeenCertificate::kNotOnRecord), 0, "CERTIFICATE_MISMATCH", false},
      {shown(SeenCertificate::kOfAnotherDevice), 0, "CERTIFICATE_MISMATCH", false},
      {shown(SeenCertificate::kBlocked), 0, "CERTIFICATE_BLOCKED", false},
      {shown(SeenCertificate::kSuperseded), 0, "CERTIFICATE_SUPERSEDED", false},
      {shown(SeenCertificate::kRevoked), 0, "CERTIFICATE_REVOKED", false},
      {shown(SeenCertificate::kHeld), 0, "CERTIFICATE_HELD", false},
      {shown(SeenCertificate::kExpired), 0, "CERTIFICATE_EXPIRED", false},
  };
  return rows;
}  // NOLINT(clang-analyzer-cplusplus.NewDeleteLeaks): of functions in a list it loses sight

/// "2 OBSERVED_LESS …": level and reasons.
std::string by_table(const CallParty& party, const PartyFacts& facts) {
  int level = 2;
  std::vector<std::string> reasons;
  for (const Row& row : table()) {
    if (!row.when(party, facts)) continue;
    const bool lower = row.cap < level;
    level = std::min(level, row.cap);
    if (row.reason == nullptr || (row.only_if_lower && !lower)) continue;
    if (std::ranges::find(reasons, row.reason) == reasons.end()) reasons.emplace_back(row.reason);
  }
  std::string text = std::to_string(level);
  for (const std::string& reason : reasons) text += ' ' + reason;
  return text;
}

std::string by_program(const CallParty& party, const PartyFacts& facts) {
  const CallAnswer answer = classify(CallEnquiry{.parties = {party}}, std::array{facts});
  std::string text = std::to_string(static_cast<int>(answer.parties.front().level));
  for (const CallReason reason : answer.parties.front().reasons) text += ' ' + std::string(to_string(reason));
  return answer.level == answer.parties.front().level ? text : "another level than its only party";
}

std::vector<Observation> every_observation() {
  std::vector<Observation> all;
  using Transport = std::optional<SeenTransport>;
  using Media = std::optional<SeenMedia>;
  for (const Transport transport :
       {Transport(), Transport(SeenTransport::kUdp), Transport(SeenTransport::kTcp), Transport(SeenTransport::kTls)}) {
    for (const bool null_cipher : {false, true}) {
      for (const Media audio : {Media(), Media(SeenMedia::kNone), Media(SeenMedia::kRtp), Media(SeenMedia::kSrtp)}) {
        for (const Media video : {Media(), Media(SeenMedia::kNone), Media(SeenMedia::kRtp), Media(SeenMedia::kSrtp)}) {
          all.push_back({transport, null_cipher, audio, video, std::nullopt});
        }
      }
    }
  }
  return all;
}

std::vector<PartyFacts> every_device() {
  std::vector<PartyFacts> all{PartyFacts{}, PartyFacts{.removed = true}};
  for (const DeviceMode mode : kDeviceModes) {
    for (const SiteMode site : kSiteModes) {
      for (const LscStatus lsc : kLscStatuses) {
        for (int bits = 0; bits < 4; ++bits) {
          PartyFacts facts = device(mode, site);
          ModeFacts& its = facts.devices.front().mode;
          its.lsc = lsc;
          its.blocked = (bits & 1) != 0;
          its.good_mic = (bits & 2) != 0;
          all.push_back(facts);
        }
      }
    }
  }
  return all;
}

std::vector<PartyFacts> every_trust() {
  std::vector<PartyFacts> all{PartyFacts{}};
  for (const DeviceMode level : kDeviceModes) all.push_back({.known = true, .trusted_level = level});
  return all;
}

/// Compares both implementations. @return how many parties there were
int compare(PartyKind kind, const std::vector<PartyFacts>& records, bool certificates) {
  int count = 0;
  for (PartyFacts facts : records) {
    for (const Observation& observed : every_observation()) {
      for (int certificate = -1; certificate < (certificates ? 8 : 0); ++certificate) {
        CallParty party{kind, "it", {}, observed};
        facts.certificate.reset();
        if (certificate >= 0) {
          facts.certificate = static_cast<SeenCertificate>(certificate);
          party.observed.certificate = Sha256{};
        }
        ++count;
        const std::string expected = by_table(party, facts);
        const std::string given = by_program(party, facts);
        if (given != expected) FAIL_CHECK("party " << count << ": " << given << ", by the table " << expected);
      }
    }
  }
  return count;
}

DeviceMode mode_at(int level) { return static_cast<DeviceMode>(level); }

}  // namespace

TEST_CASE("38 calls are answered as the specification's vectors say") {
  std::ifstream file(std::string(CAPF_TEST_DATA) + "/calls/calls.json");
  std::stringstream text;
  text << file.rdbuf();
  google::protobuf::ListValue cases;
  REQUIRE(google::protobuf::util::JsonStringToMessage(text.str(), &cases).ok());
  CHECK(cases.values_size() == 38);
  for (const Value& each : cases.values()) check_case(each.struct_value());
}

TEST_CASE("every party has the level and the reasons that a second implementation of the table finds") {
  CHECK(compare(PartyKind::kDevice, every_device(), true) == 122 * 128 * 9);
  CHECK(compare(PartyKind::kTrunk, every_trust(), false) == 4 * 128);
  CHECK(compare(PartyKind::kBridge, every_trust(), false) == 4 * 128);
}

TEST_CASE("a call is as secure as its lowest party, whoever barges and whatever the minimum") {
  for (int bits = 0; bits < 3 * 3 * 3 * 4 * 4; ++bits) {
    const std::array levels{bits % 3, bits / 3 % 3, bits / 9 % 3};
    const int barge = bits / 27 % 4;     // 3: nobody
    const int minimum = bits / 108 % 4;  // 3: none
    CallEnquiry enquiry;
    std::vector<PartyFacts> facts;
    for (const int level : levels) {
      enquiry.parties.push_back({PartyKind::kDevice, "SEP1"});
      facts.push_back(device(mode_at(level)));
    }
    if (barge < 3) {
      enquiry.barge = CallParty{PartyKind::kDevice, "SEP2"};
      facts.push_back(device(mode_at(barge)));
    }
    if (minimum < 3) enquiry.minimum = mode_at(minimum);
    const CallAnswer answer = classify(enquiry, facts);

    CAPTURE(bits);
    const int lowest = *std::ranges::min_element(levels);
    CHECK(answer.level == mode_at(lowest));
    for (std::size_t i = 0; i < levels.size(); ++i) {
      CHECK(answer.parties[i].admitted == (minimum == 3 || levels[i] >= minimum));
    }
    REQUIRE(answer.barge.has_value() == (barge < 3));
    if (!answer.barge) continue;
    const bool tone = lowest == 2 && barge < 2;
    const bool too_low = minimum < 3 && barge < minimum;
    CHECK(answer.barge->allowed == (!tone && !too_low));
    CHECK(answer.barge->level_after == mode_at(tone || too_low ? lowest : std::min(lowest, barge)));
  }
}

TEST_CASE("a line is as secure as the lowest device that rings, and then as the one that answers") {
  PartyFacts facts{.known = true};
  const auto add = [&](const std::string& name, DeviceMode mode, bool blocked = false) {
    facts.devices.push_back(
        {name, {.site = SiteMode::kMixed, .profile = mode, .blocked = blocked, .lsc = LscStatus::kValid}});
  };
  const CallEnquiry ringing{.parties = {{PartyKind::kLine, "1001"}}};
  const CallEnquiry answered{.parties = {{PartyKind::kLine, "1001", "SEP2"}}};
  const auto of = [&](const CallEnquiry& enquiry) { return classify(enquiry, std::array{facts}).parties.front(); };

  CHECK(of(ringing).reasons == std::vector{CallReason::kLineUnknown});
  CHECK(of(answered).reasons == std::vector{CallReason::kDeviceNotOnLine});
  add("SEP1", DeviceMode::kEncrypted);
  CHECK(of(ringing).level == DeviceMode::kEncrypted);
  CHECK(of(ringing).device == "SEP1");
  add("SEP2", DeviceMode::kAuthenticated);
  CHECK(of(ringing).level == DeviceMode::kAuthenticated);
  CHECK(of(ringing).device == "SEP2");
  CHECK(of(ringing).reasons.empty());
  add("SEP3", DeviceMode::kEncrypted, true);
  add("SEP4", DeviceMode::kNonsecure);
  CHECK(of(ringing).level == DeviceMode::kNonsecure);
  CHECK(of(ringing).device == "SEP3");
  CHECK(of(ringing).reasons == std::vector{CallReason::kDeviceBlocked});
  facts.known = false;
  CHECK(of(ringing).reasons == std::vector{CallReason::kLineUnknown});
}

TEST_CASE("an enquiry says what can be compared, of 1 to 100 parties") {
  const auto fault = [](const CallEnquiry& enquiry) {
    const Status status = enquiry.check();
    return status ? std::string() : status.error().message;
  };
  const CallParty phone{PartyKind::kDevice, "SEP1"};
  CHECK(fault({.parties = {}}) == "a call has 1 to 100 parties");
  CHECK(fault({.parties = std::vector(100, phone)}).empty());
  CHECK(fault({.parties = std::vector(1000, phone)}) == "a call has 1 to 100 parties");
  CallParty trunk{PartyKind::kTrunk, "provider"};
  trunk.observed.transport = SeenTransport::kTls;
  CHECK(fault({.parties = {trunk}}).empty());
  trunk.observed.certificate = Sha256{};
  CHECK(fault({.parties = {phone, trunk}}).starts_with("the certificates of trunks and bridges are not on record"));
  CHECK_FALSE(fault({.parties = {phone}, .barge = trunk}).empty());
  CallParty line{PartyKind::kLine, "1001"};
  CHECK(fault({.parties = {line}}).empty());
  line.observed.transport = SeenTransport::kTls;
  CHECK(fault({.parties = {line}}).starts_with("of a line, what was observed is that of the device that answered"));
  line.answered_by = "SEP1";
  CHECK(fault({.parties = {line}}).empty());
  CallParty answering = phone;
  answering.answered_by = "SEP2";
  CHECK(fault({.parties = {answering}}) == "a device answers for a line alone");
  CallParty clear = phone;
  clear.observed.transport = SeenTransport::kUdp;
  clear.observed.certificate = Sha256{};
  CHECK(fault({.parties = {clear}}) == "a cipher and a certificate are those of the transport tls");
}

TEST_CASE("a party is written as a device, or with its kind before a colon") {
  const auto written = [](const std::string& text) {
    const auto party = parse_party(text);
    return party ? std::string(to_string(party->kind)) + " [" + party->name + "] " + party->text()
                 : std::string(to_string(party.error().reason));
  };
  CHECK(written("SEP001122334455") == "device [SEP001122334455] SEP001122334455");
  CHECK(written("line:1001") == "line [1001] line:1001");
  CHECK(written("trunk:to: the provider") == "trunk [to: the provider] trunk:to: the provider");
  CHECK(written("bridge:Konferenz Süd") == "bridge [Konferenz Süd] bridge:Konferenz Süd");
  for (const char* wrong : {"", "device:SEP1", "gateway:x", "SEP 1", "sip:1001@example.com"}) {
    CAPTURE(wrong);
    CHECK(written(wrong) == "INVALID_DEVICE_NAME");
  }
  for (const std::string& wrong : {std::string("trunk:"), std::string("trunk:a\nb"), "trunk:" + std::string(65, 'a'),
                                   std::string("bridge:\xff"), "line:" + std::string(129, '1'), std::string("line:")}) {
    CAPTURE(wrong);
    CHECK(written(wrong) == "INVALID_REQUEST");
  }
  for (const char* null : {"null", "NULL-SHA256", "TLS_RSA_WITH_NULL_SHA", "ECDHE-RSA-NULL-SHA", "TLS_SHA256_SHA256"}) {
    CHECK(names_null_cipher(null));
  }
  for (const char* good : {"", "TLS_AES_256_GCM_SHA384", "ECDHE-RSA-AES128-GCM-SHA256"}) {
    CHECK_FALSE(names_null_cipher(good));
  }
}
