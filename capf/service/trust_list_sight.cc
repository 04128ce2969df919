#include "capf/service/trust_list_sight.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "capf/domain/profile_store.h"
#include "capf/domain/trusted_certificate_store.h"
#include "capf/service/steps.h"

namespace capf::service {
namespace {

constexpr int kPage = 500;

}  // namespace

Result<std::vector<TrustedCertificate>> all_listed(Transaction& tx) {
  std::vector<TrustedCertificate> all;
  for (Page page{.after = 0, .limit = kPage};;) {
    CAPF_LET(auto some, tx.trusted_certificates().listed(page));
    std::move(some.begin(), some.end(), std::back_inserter(all));
    if (some.size() < static_cast<std::size_t>(page.limit)) return all;
    page.after = all.back().id;
  }
}

Result<std::optional<PublishedList>> present_list(Transaction& tx, TrustListKind kind) {
  CAPF_LET(const std::int64_t newest, tx.trust_lists().newest(kind));
  if (newest == 0) return std::nullopt;
  return tx.trust_lists().find(kind, newest, ListDigest::kSha512);
}

Result<files::TrustList> read_list(const PublishedList& list) {
  return files::read_trust_list(list.octets, list_kind(list.kind));
}

ListReach reach_of(TrustListKind kind, std::int64_t generation, const std::vector<ListFetches>& fetches) {
  ListReach reach{.kind = kind, .generation = generation};
  for (const ListFetches& each : fetches) {
    reach.phones += each.phones;
    if (each.generation >= generation) reach.fetched += each.phones;
  }
  return reach;
}

std::string words_of(const ListReach& reach) {
  return std::to_string(reach.fetched) + " of " + std::to_string(reach.phones) + " phones (" +
         std::to_string(reach.percent()) + " %) have fetched " + std::string(to_string(reach.kind)) + " " +
         std::to_string(reach.generation) + " or a later one";
}

Result<Activation> check_activation(Transaction& tx, const SitePolicy& policy, const Sha256& certificate, bool force) {
  Activation activation{.certificate = certificate, .reach = {}};
  std::int64_t phones = 0;  // that have any list
  for (const TrustListKind kind : kTrustListKinds) {
    CAPF_LET(const auto listed, tx.trust_lists().listed(kind));
    const auto found =
        std::find_if(listed.begin(), listed.end(), [&](const ListedSince& each) { return each.sha256 == certificate; });
    CAPF_LET(const auto fetches, tx.trust_lists().fetches(kind));
    const ListReach reach = reach_of(kind, found == listed.end() ? 0 : found->generation, fetches);
    if (found != listed.end()) activation.reach.push_back(reach);
    phones += reach.phones;
  }
  if (phones > 0 && activation.reach.empty() && !force) {
    return fail(Reason::kTrustListUnfit, "the certificate is in no trust list yet: see 'capfctl trust-list show'");
  }
  for (const ListReach& reach : activation.reach) {
    if (force || reach.percent() >= policy.trust_list_share) continue;
    return fail(Reason::kTrustListNotFetched, words_of(reach) + ", and " + std::to_string(policy.trust_list_share) +
                                                  " % are to: the others could not follow. --force passes over it");
  }
  return activation;
}

Result<TrustLists::Sight> TrustLists::look(Transaction& tx) {
  Sight sight;
  sight.now = tx.now();
  CAPF_LET(sight.state, tx.trust_lists().state());
  CAPF_LET(sight.site, tx.profiles().site_mode());
  CAPF_LET(sight.trusted, all_listed(tx));
  for (const TrustListKind kind : kTrustListKinds) {
    CAPF_LET(auto list, present_list(tx, kind));
    if (list) sight.present.emplace(kind, *std::move(list));
  }
  return sight;
}

Result<TrustLists::Sight> TrustLists::look() {
  return in_read(database_, [](Transaction& tx) { return look(tx); });
}

}  // namespace capf::service
