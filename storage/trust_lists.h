#pragma once

#include "capf/domain/trust_list_store.h"
#include "storage/session.h"

namespace capf::storage {

/// Lives as long as its transaction's session.
class TrustLists final : public TrustListStore {
 public:
  explicit TrustLists(Session& session) : session_(session) {}
  Result<TrustListState> state() override;
  Result<TrustListState> lock() override;
  Status set_state(const TrustListState& state) override;
  Result<std::int64_t> newest(TrustListKind kind) override;
  Result<std::optional<PublishedList>> find(TrustListKind kind, std::int64_t generation, ListDigest digest) override;
  Result<std::vector<ListGeneration>> list(TrustListKind kind, const Page& page) override;
  Status add(const PublishedList& list) override;
  Status note(TrustListKind kind, std::int64_t generation, std::span<const Sha256> certificates) override;
  Result<std::vector<ListedSince>> listed(TrustListKind kind) override;
  Result<std::vector<std::optional<PhoneList>>> of_phones(std::span<const PhoneListQuestion> asked) override;
  Status serve(std::int64_t phone_id, TrustListKind kind, std::optional<std::int64_t> generation) override;
  Result<std::vector<OlderList>> older() override;
  Result<std::vector<std::string>> serve_newest(const OlderList& in_place_of) override;
  Result<std::vector<ListFetches>> fetches(TrustListKind kind) override;

 private:
  Session& session_;
};

}  // namespace capf::storage
