#include "capf/rpc/peer.h"

#include <string>

#include "capf/ca/certificate.h"

namespace capf::rpc {
namespace {

constexpr std::size_t kLongestChain = 4;  ///< with the leaf

/// RFC 3986 2.1: %XX is the octet XX.
Result<std::string> percent_decoded(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    if (text[0] != '%') {
      out += text[0];
      text.remove_prefix(1);
      continue;
    }
    if (text.size() < 3) return fail(Reason::kInvalidRequest, "not a peer's address");
    CAPF_LET(const Bytes octet, parse_hex(text.substr(1, 2)));
    out += as_text(octet);
    text.remove_prefix(3);
  }
  return out;
}

/// The certificates in a property of the connection: PEM, one after the other.
Result<std::vector<Bytes>> certificates_in(const std::vector<grpc::string_ref>& property, std::size_t limit) {
  const std::string_view pem(property.front().data(), property.front().size());
  auto certificates = ca::split_certificates(as_bytes(pem), limit);
  if (property.size() != 1 || !certificates || certificates->empty()) return fail(Reason::kCertificateMalformed);
  return certificates;
}

}  // namespace

Result<Endpoint> peer_endpoint(std::string_view peer) {
  const bool v4 = peer.starts_with("ipv4:");
  if (!v4 && !peer.starts_with("ipv6:")) return fail(Reason::kInvalidRequest, "not a peer's address");
  CAPF_LET(const std::string text, percent_decoded(peer.substr(5)));
  const auto endpoint = Endpoint::parse(text);
  if (!endpoint || v4 == text.starts_with('[')) return fail(Reason::kInvalidRequest, "not a peer's address");
  return *endpoint;
}

Result<std::optional<service::PresentedCertificate>> presented_certificate(const grpc::AuthContext& context) {
  const auto leaf = context.FindPropertyValues("x509_pem_cert");
  if (leaf.empty()) return std::nullopt;
  service::PresentedCertificate presented;
  CAPF_LET(auto leaves, certificates_in(leaf, 1));
  presented.leaf = std::move(leaves.front());
  const auto chain = context.FindPropertyValues("x509_pem_cert_chain");
  if (!chain.empty()) {
    CAPF_LET(presented.chain, certificates_in(chain, kLongestChain));
    std::erase(presented.chain, presented.leaf);
    if (presented.chain.size() >= kLongestChain) return fail(Reason::kCertificateMalformed, "the chain is too long");
  }
  return presented;
}

}  // namespace capf::rpc
