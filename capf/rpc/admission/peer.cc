#include "capf/rpc/admission/peer.h"

#include <array>

#include <botan/system_rng.h>

namespace capf::rpc {
namespace {

constexpr std::size_t kLongestChain = 4;  ///< with the leaf
constexpr std::string_view kScheme = "unix-abstract:";

}  // namespace

Result<std::optional<service::PresentedCertificate>> presented_certificate(std::vector<Bytes> certificates) {
  if (certificates.empty()) return std::nullopt;
  service::PresentedCertificate presented;
  presented.leaf = std::move(certificates.front());
  certificates.erase(certificates.begin());
  std::erase(certificates, presented.leaf);
  if (certificates.size() >= kLongestChain) return fail(Reason::kCertificateMalformed, "the chain is too long");
  presented.chain = std::move(certificates);
  return presented;
}

Peer::Peer(const Endpoint& endpoint, std::vector<Bytes> certificates)
    : endpoint_(endpoint), certificate_(presented_certificate(std::move(certificates))) {
  if (certificate_ && *certificate_) leaf_ = sha256((*certificate_)->leaf);
}

std::string Peers::new_name() {
  std::array<std::uint8_t, 16> octets{};
  Botan::system_rng().randomize(octets.data(), octets.size());
  return "capf-" + to_hex(octets);
}

void Peers::enter(const std::string& name, std::shared_ptr<Peer> peer) {
  const std::lock_guard lock(mutex_);
  peers_.emplace(name, std::move(peer));
}

void Peers::leave(const std::string& name) {
  const std::lock_guard lock(mutex_);
  peers_.erase(name);
}

std::shared_ptr<Peer> Peers::find(std::string_view grpc_peer) const {
  if (!grpc_peer.starts_with(kScheme)) return nullptr;
  const std::lock_guard lock(mutex_);
  const auto found = peers_.find(std::string(grpc_peer.substr(kScheme.size())));
  return found == peers_.end() ? nullptr : found->second;
}

}  // namespace capf::rpc
