#include "capf/ca/issuers.h"

#include <utility>

namespace capf::ca {

void Issuers::put(std::shared_ptr<const Issuer> issuer) {
  const std::int64_t id = issuer->record().id;
  const std::lock_guard lock(mutex_);
  issuers_.insert_or_assign(id, std::move(issuer));
}

std::shared_ptr<const Issuer> Issuers::find(std::int64_t id) const {
  const std::lock_guard lock(mutex_);
  const auto found = issuers_.find(id);
  return found == issuers_.end() ? nullptr : found->second;
}

std::vector<std::shared_ptr<const Issuer>> Issuers::all() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<const Issuer>> all;
  all.reserve(issuers_.size());
  for (const auto& [id, issuer] : issuers_) all.push_back(issuer);
  return all;
}

}  // namespace capf::ca
