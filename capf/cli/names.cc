#include "capf/cli/names.h"

#include <map>
#include <set>

#include "capf/cli/contexts.h"
#include "capf/domain/device.h"
#include "capf/domain/page.h"

namespace capf::cli {
namespace {

constexpr std::size_t kMost = 100;

using Names = std::vector<std::string>;

Names devices(Connection& server, const std::string& begin) {
  if (!begin.empty() && !DeviceName::parse(begin)) return {};  // a pattern would find others
  v1::ListPhonesRequest request;
  request.mutable_selection()->add_patterns(begin + "*");
  request.mutable_page()->set_size(static_cast<std::int32_t>(kMost));
  const auto response = server.call(request);
  Names names;
  if (!response) return names;
  for (const v1::Phone& phone : response->phones()) names.push_back(phone.device());
  return names;
}

/// The first page: a site has fewer profiles.
Names profiles(Connection& server, const std::string& /*begin*/) {
  v1::ListProfilesRequest request;
  request.mutable_page()->set_size(kLargestPage);
  const auto response = server.call(request);
  Names names;
  if (!response) return names;
  for (const v1::Profile& profile : response->profiles()) names.push_back(profile.name());
  return names;
}

/// The first page likewise.
Names campaigns(Connection& server, const std::string& /*begin*/) {
  v1::ListCampaignsRequest request;
  request.mutable_page()->set_size(kLargestPage);
  const auto response = server.call(request);
  Names names;
  if (!response) return names;
  for (const v1::Campaign& campaign : response->campaigns()) names.push_back(campaign.name());
  return names;
}

Names administrators(Connection& server, const std::string& /*begin*/) {
  const auto response = server.call(v1::ListAdministratorsRequest());
  Names names;
  if (!response) return names;
  for (const v1::Administrator& administrator : response->administrators()) names.push_back(administrator.name());
  return names;
}

Names issuers(Connection& server, const std::string& /*begin*/) {
  const auto response = server.call(v1::ListIssuersRequest());
  Names names;
  if (!response) return names;
  for (const v1::Issuer& issuer : response->issuers()) names.push_back(std::to_string(issuer.id()));
  return names;
}

Names contexts(Connection& /*server*/, const std::string& /*begin*/) {
  const auto contexts = read_contexts(contexts_file());
  Names names;
  if (!contexts) return names;
  for (const auto& [name, context] : contexts->sites) names.push_back(name);
  return names;
}

}  // namespace

Names names_of(Connection& server, const std::vector<std::string>& things, const std::string& begin) {
  using Ask = Names (*)(Connection&, const std::string&);
  static const std::map<std::string, Ask> asks{{"devices", devices},     {"profiles", profiles},
                                               {"campaigns", campaigns}, {"administrators", administrators},
                                               {"issuers", issuers},     {"contexts", contexts}};
  std::set<std::string> found;
  for (const std::string& thing : things) {
    const auto ask = asks.find(thing);
    if (ask == asks.end()) continue;
    for (std::string& name : ask->second(server, begin)) {
      if (name.starts_with(begin) && found.size() < kMost) found.insert(std::move(name));
    }
  }
  return {found.begin(), found.end()};
}

}  // namespace capf::cli
