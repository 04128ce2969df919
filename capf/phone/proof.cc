#include "capf/phone/proof.h"

namespace capf::phone {
namespace {

using Digest = client::PrivateKey::Digest;

Status sign_both(const client::PrivateKey& key, BytesView data, Bytes& sha1, Bytes& sha512) {
  CAPF_LET(sha1, key.sign_bare(Digest::kSha1, data));
  CAPF_LET(sha512, key.sign_bare(Digest::kSha512, data));
  return {};
}

}  // namespace

Result<Proof> prove(const client::PrivateKey& key, BytesView certificate, const std::string& device,
                    std::optional<std::uint32_t> session_id) {
  Proof proof;
  Bytes data(device.begin(), device.end());
  data.push_back(0);
  data.insert(data.end(), certificate.begin(), certificate.end());
  CAPF_TRY(sign_both(key, data, proof.sha1_signature, proof.sha512_signature));
  if (!session_id || !key.is_rsa()) return proof;

  data.clear();
  for (int shift = 0; shift < 32; shift += 8) data.push_back(static_cast<std::uint8_t>(*session_id >> shift));
  data.insert(data.end(), certificate.begin(), certificate.end());
  proof.sudi.emplace();
  CAPF_TRY(sign_both(key, data, proof.sudi->sha1_signature, proof.sudi->sha512_signature));
  return proof;
}

}  // namespace capf::phone
