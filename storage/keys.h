#pragma once

#include "capf/domain/dossier.h"
#include "capf/domain/key_store.h"
#include "storage/columns.h"
#include "storage/session.h"

namespace capf::storage {

/// A public key as other aggregates' statements select it too, by the alias k.
inline constexpr char kKeyColumns[] =
    "k.sha256, k.owner, k.phone_id, k.compromised, k.compromised "
    "or exists (select from blocked_certificates b where b.key_sha256 = k.sha256) "
    "or exists (select from blocked_certificates b where b.modulus_sha256 = k.sha256), k.modulus_sha256";
struct KeyRow {
  Sha256 sha256{};
  KeyRecord record;
};
KeyRow read_key(Columns& columns);
/// The records of a key and of its modulus as one, for the device that claims it.
std::optional<KeyRecord> record_of_claim(const std::vector<KeyRow>& rows, const KeyClaim& claim, std::int64_t phone_id);

/// Lives as long as its transaction's session.
class Keys final : public KeyStore {
 public:
  explicit Keys(Session& session) : session_(session) {}
  Result<KeyRecord> claim(const KeyDigests& key, KeyOwner owner, std::int64_t phone_id) override;
  Result<std::optional<KeyRecord>> find(const KeyDigests& key) override;
  Status mark_compromised(std::span<const Sha256> keys) override;
  Result<std::vector<SharedModulus>> learn_moduli(std::span<const KeyDigests> keys) override;

 private:
  Session& session_;
};

}  // namespace capf::storage
