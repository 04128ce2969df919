#include "capf/phone/confirmation.h"

#include <string_view>

namespace capf::phone {
namespace {

constexpr std::string_view kPurpose = "CAPF Enrol 1: stored";
constexpr std::size_t kNonceOctets = 32;

void append(Bytes& octets, BytesView more) { octets.insert(octets.end(), more.begin(), more.end()); }

}  // namespace

Result<Bytes> confirm_stored(const client::PrivateKey& key, const std::string& device, BytesView certificate,
                             BytesView nonce) {
  if (nonce.size() != kNonceOctets) {
    return fail(Reason::kInvalidRequest,
                "the server asks for a signature over " + std::to_string(nonce.size()) + " octets instead of 32");
  }
  Bytes octets;
  append(octets, as_bytes(kPurpose));
  octets.push_back(0);
  append(octets, as_bytes(device));
  octets.push_back(0);
  append(octets, nonce);
  append(octets, sha256(certificate));
  return key.sign(octets);
}

}  // namespace capf::phone
