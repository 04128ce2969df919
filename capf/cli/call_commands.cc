#include <algorithm>
#include <iostream>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "capf/cli/pages.h"

namespace capf::cli {
namespace {

const std::map<std::string, void (*)(v1::CallParty&, const std::string&)> kSeen{
    {"transport",
     [](v1::CallParty& party, const std::string& value) { party.mutable_observed()->set_transport(value); }},
    {"cipher", [](v1::CallParty& party, const std::string& value) { party.mutable_observed()->set_cipher(value); }},
    {"audio", [](v1::CallParty& party, const std::string& value) { party.mutable_observed()->set_audio(value); }},
    {"video", [](v1::CallParty& party, const std::string& value) { party.mutable_observed()->set_video(value); }},
    {"certificate",
     [](v1::CallParty& party, const std::string& value) { party.mutable_observed()->set_certificate_sha256(value); }},
    {"answered-by", [](v1::CallParty& party, const std::string& value) { party.set_answered_by(value); }},
};

/// The party that "PARTY,transport=tls,audio=srtp" is about; null where it is none of the call.
v1::CallParty* party_of(const std::string& observed, v1::ClassifyCallRequest& request) {
  const std::string name = observed.substr(0, observed.find(','));
  for (v1::CallParty& party : *request.mutable_parties()) {
    if (party.party() == name) return &party;
  }
  return request.has_barge() && request.barge().party() == name ? request.mutable_barge() : nullptr;
}

/// @return what is wrong with it, or nothing
std::optional<std::string> take_observed(const std::string& observed, v1::ClassifyCallRequest& request) {
  v1::CallParty* const party = party_of(observed, request);
  if (party == nullptr) return "--observed begins with a party of the call: SEP001122334455,transport=tls,audio=srtp";
  for (std::size_t comma = observed.find(','); comma != std::string::npos;) {
    const std::size_t end = observed.find(',', comma + 1);
    const std::string item = observed.substr(comma + 1, end == std::string::npos ? end : end - comma - 1);
    const std::size_t equals = std::min(item.find('='), item.size());
    const auto member = kSeen.find(item.substr(0, equals));
    if (member == kSeen.end() || equals == item.size()) {
      return "'" + item + "' is none of transport=, cipher=, audio=, video=, certificate= and answered-by=";
    }
    member->second(*party, item.substr(equals + 1));
    comma = end;
  }
  return std::nullopt;
}

Json party_json(const v1::ClassifiedParty& party) {
  Json::Array reasons;
  for (const std::string& reason : party.reasons()) reasons.emplace_back(reason);
  return Json::Object{{"party", party.party()},
                      {"level", party.level()},
                      {"basis", party.basis()},
                      {"reasons", std::move(reasons)},
                      {"device", text_or_null(party.device())},
                      {"admitted", party.admitted()}};
}

Json call_json(const v1::ClassifyCallResponse& call) {
  Json::Array parties;
  for (const v1::ClassifiedParty& party : call.parties()) parties.push_back(party_json(party));
  Json::Object object{
      {"level", call.level()}, {"icon", call.icon()}, {"call_info", call.call_info()}, {"parties", std::move(parties)}};
  if (call.has_barge()) {
    object.emplace_back("barge", Json::Object{{"allowed", call.barge().allowed()},
                                              {"level_after", call.barge().level_after()},
                                              {"party", party_json(call.barge().party())}});
  }
  if (!call.minimum().empty()) object.emplace_back("minimum", call.minimum());
  return object;
}

Result<int> call_status(const Arguments& arguments, Connection& server) {
  v1::ClassifyCallRequest request;
  for (const std::string& party : arguments.list("PARTY")) request.add_parties()->set_party(party);
  if (arguments.has("--barge")) request.mutable_barge()->set_party(arguments.text("--barge"));
  for (const std::string& observed : arguments.list("--observed")) {
    if (const auto fault = take_observed(observed, request)) return report_usage(*fault);
  }
  request.set_minimum(arguments.text("--minimum"));
  CAPF_LET(const auto response, server.call(request));
  show(std::cout, arguments.format(), call_json(response));
  return 0;
}

Result<int> add(const Arguments& arguments, Connection& server) {
  v1::AddTrustedPartyRequest request;
  request.set_party(arguments.text("PARTY"));
  request.set_level(arguments.text("--level"));
  CAPF_LET(const auto response, server.call(request));
  if (!response.changed()) warn(request.party() + " is trusted as " + request.level() + " already");
  show(std::cout, arguments.format(), Json::Object{{"party", request.party()}, {"level", request.level()}});
  return 0;
}

Result<int> list(const Arguments& arguments, Connection& server) {
  return print_pages(
      arguments, server, v1::ListTrustedPartiesRequest(),
      {{"PARTY", "party"}, {"LEVEL", "level"}, {"CHANGED AT", "changed_at"}, {"CHANGED BY", "changed_by"}},
      [](const auto& response) -> auto& { return response.parties(); });
}

Result<int> remove(const Arguments& arguments, Connection& server) {
  v1::RemoveTrustedPartyRequest request;
  request.set_party(arguments.text("PARTY"));
  CAPF_LET(const auto response, server.call(request));
  show(std::cout, arguments.format(), to_json(response.party()));
  return 0;
}

}  // namespace

std::vector<Command> call_commands() {
  const Option trusted{"PARTY", Option::Kind::kText, "trunk:NAME or bridge:NAME", true};
  return {
      {"call-status",
       "Says how secure a call of these parties is, and why it is not more",
       "capfctl call-status SEP001122334455 line:1001 --observed SEP001122334455,transport=tls,audio=srtp",
       {{"PARTY", Option::Kind::kText, "a device, line:NAME, trunk:NAME or bridge:NAME", true, true},
        {"--observed", Option::Kind::kText,
         "what the SIP server saw of a party: its name, then any of ,transport=udp|tcp|tls ,cipher=null "
         ",audio=none|rtp|srtp "
         ",video=… ,certificate=SHA256 ,answered-by=DEVICE (of a line)",
         false, true},
        {"--barge", Option::Kind::kText, "who would like to come into the call"},
        {"--minimum",
         Option::Kind::kChoice,
         "below which nobody is admitted to the conference",
         false,
         false,
         {"nonsecure", "authenticated", "encrypted"}},
        output_option()},
       call_status},
      {"trusted-party add",
       "Trusts a trunk or a conference bridge to keep a call as secure as it is, or changes how far",
       "capfctl trusted-party add trunk:headquarters --level encrypted",
       {trusted,
        {"--level",
         Option::Kind::kChoice,
         "the most that a call through it can be",
         true,
         false,
         {"authenticated", "encrypted"}},
        output_option()},
       add},
      {"trusted-party list",
       "Lists the trunks and bridges that are trusted",
       "capfctl trusted-party list",
       {limit_option(), output_option()},
       list},
      {"trusted-party remove",
       "Trusts a trunk or bridge no longer: calls through it are nonsecure",
       "capfctl trusted-party remove trunk:headquarters",
       {trusted, output_option()},
       remove},
  };
}

}  // namespace capf::cli
