#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "capf/base/error.h"
#include "capf/domain/digest.h"
#include "capf/domain/page.h"

namespace capf {

struct NewDigestUser {
  std::int64_t id = 0;  ///< of next_ids()
  std::string name;
  DigestSecret secret;
};

/// The place in a list of assignments, which are in the order of users and phones.
struct DigestCursor {
  std::int64_t user_id = 0;
  std::int64_t phone_id = 0;
};

struct EncryptedUser {
  std::int64_t id = 0;
  DigestSecret secret;
};

class DigestStore {
 public:
  virtual ~DigestStore() = default;
  virtual Result<std::vector<std::int64_t>> next_ids(int count) = 0;
  /// Adds all of them. @return the names that exist already: the caller must then roll back.
  virtual Result<std::vector<std::string>> add(std::span<const NewDigestUser> users) = 0;
  /// Those of these names that users have.
  virtual Result<std::vector<std::string>> existing(std::span<const std::string> names) = 0;
  virtual Result<std::optional<DigestUser>> find(const std::string& name) = 0;
  /// The same, and nobody else changes or removes the user, or gives it to a phone, before this transaction ends.
  virtual Result<std::optional<DigestUser>> lock(const std::string& name) = 0;
  /// The same, but others may give it to a phone or change its password.
  virtual Result<std::optional<DigestUser>> hold(const std::string& name) = 0;
  virtual Result<std::vector<DigestUser>> list(const Page& page) = 0;
  virtual Result<DigestSecret> secret(std::int64_t id) = 0;
  virtual Status set_secret(std::int64_t id, const DigestSecret& secret) = 0;
  virtual Status remove(std::int64_t id) = 0;
  /// How many phones have the user as their own, or have it logged in.
  virtual Result<std::int64_t> count_phones(std::int64_t id) = 0;
  /// The names of some of these phones, at most `most`.
  virtual Result<std::vector<std::string>> phones_of(std::int64_t id, int most) = 0;

  virtual Result<PhoneDigest> of_phone(std::int64_t phone_id) = 0;
  /// @param user_id absent: none. @return false where it was so before.
  virtual Result<bool> set_phone(std::int64_t phone_id, std::optional<std::int64_t> user_id) = 0;
  virtual Status log_in(std::int64_t phone_id, std::int64_t user_id) = 0;
  virtual Status log_out(std::int64_t phone_id) = 0;
  /// Users with the phones that have their credentials now, behind the cursor; a user without one once.
  virtual Result<std::vector<DigestAssignment>> assignments(const DigestCursor& after, int limit) = 0;

  /// Locks users whose secrets are of a generation below this one; at most `limit`.
  virtual Result<std::vector<EncryptedUser>> lock_older(int generation, int limit) = 0;
  /// Replaces secrets that were encrypted again.
  virtual Status replace_secrets(std::span<const EncryptedUser> users) = 0;

  /// The realm of the site's servers; nothing before their first start.
  virtual Result<std::optional<std::string>> realm() = 0;
  /// @param former what realm() was. @return false where it is another one by now.
  virtual Result<bool> set_realm(const std::optional<std::string>& former, const std::string& realm) = 0;
  /// How many users have HA1s of another realm than this one; counts at most 1,000.
  virtual Result<std::int64_t> count_of_other_realms(const std::string& realm) = 0;
};

}  // namespace capf
