#pragma once

#include "capf/domain/digest_store.h"
#include "storage/session.h"

namespace capf::storage {

/// Lives as long as its transaction's session.
class DigestUsers final : public DigestStore {
 public:
  explicit DigestUsers(Session& session) : session_(session) {}
  Result<std::vector<std::int64_t>> next_ids(int count) override;
  Result<std::vector<std::string>> add(std::span<const NewDigestUser> users) override;
  Result<std::vector<std::string>> existing(std::span<const std::string> names) override;
  Result<std::optional<DigestUser>> find(const std::string& name) override;
  Result<std::optional<DigestUser>> lock(const std::string& name) override;
  Result<std::optional<DigestUser>> hold(const std::string& name) override;
  Result<std::vector<DigestUser>> list(const Page& page) override;
  Result<DigestSecret> secret(std::int64_t id) override;
  Status set_secret(std::int64_t id, const DigestSecret& secret) override;
  Status remove(std::int64_t id) override;
  Result<std::int64_t> count_phones(std::int64_t id) override;
  Result<std::vector<std::string>> phones_of(std::int64_t id, int most) override;
  Result<PhoneDigest> of_phone(std::int64_t phone_id) override;
  Result<bool> set_phone(std::int64_t phone_id, std::optional<std::int64_t> user_id) override;
  Status log_in(std::int64_t phone_id, std::int64_t user_id) override;
  Status log_out(std::int64_t phone_id) override;
  Result<std::vector<DigestAssignment>> assignments(const DigestCursor& after, int limit) override;
  Result<std::vector<EncryptedUser>> lock_older(int generation, int limit) override;
  Status replace_secrets(std::span<const EncryptedUser> users) override;
  Result<std::optional<std::string>> realm() override;
  Result<bool> set_realm(const std::optional<std::string>& former, const std::string& realm) override;
  Result<std::int64_t> count_of_other_realms(const std::string& realm) override;

 private:
  Session& session_;
};

}  // namespace capf::storage
