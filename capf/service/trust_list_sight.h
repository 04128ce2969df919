#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "capf/service/trust_lists.h"

// Facts about lists, for what makes them and for what shows them.

namespace capf::service {

/// All that is on record of lists.
struct TrustLists::Sight {
  TimePoint now{};
  TrustListState state;
  SiteMode site = SiteMode::kNonsecure;
  std::vector<TrustedCertificate> trusted;
  std::map<TrustListKind, PublishedList> present;  ///< under SHA-512
};

struct TrustLists::Signer {
  Bytes certificate;
  std::shared_ptr<const ca::SigningKey> key;
};

/// The certificates of others that are in lists.
Result<std::vector<TrustedCertificate>> all_listed(Transaction& tx);
/// The newest list of a kind under SHA-512; none before the first one.
Result<std::optional<PublishedList>> present_list(Transaction& tx, TrustListKind kind);
Result<files::TrustList> read_list(const PublishedList& list);
/// @param fetches of the kind: how many phones have each generation
ListReach reach_of(TrustListKind kind, std::int64_t generation, const std::vector<ListFetches>& fetches);

}  // namespace capf::service
