#include "capf/rpc/admission/proven.h"

#include <cstring>
#include <utility>

namespace capf::rpc {

std::size_t ProvenCertificates::Hash::operator()(const Sha256& sha256) const {
  std::size_t hash = 0;
  std::memcpy(&hash, sha256.data(), sizeof hash);
  return hash;
}

void ProvenCertificates::add(const Sha256& leaf) {
  const std::lock_guard lock(mutex_);
  if (young_.contains(leaf)) return;
  old_.erase(leaf);
  if (young_.size() >= generation_) old_ = std::exchange(young_, {});
  young_.insert(leaf);
}

void ProvenCertificates::forget(const Sha256& leaf) {
  const std::lock_guard lock(mutex_);
  young_.erase(leaf);
  old_.erase(leaf);
}

bool ProvenCertificates::contains(const Sha256& leaf) const {
  const std::lock_guard lock(mutex_);
  return young_.contains(leaf) || old_.contains(leaf);
}

}  // namespace capf::rpc
