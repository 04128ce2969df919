#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <botan/rng.h>

#include "capf/base/bytes.h"
#include "capf/base/error.h"
#include "capf/base/secret.h"
#include "capf/base/time.h"
#include "capf/domain/mode.h"

namespace capf {

/// A user of the SIP server, whom a phone proves to be by digest authentication.
struct DigestUser {
  std::int64_t id = 0;  ///< given by the store
  std::string name;
  std::string realm;  ///< of the HA1s; empty where the password is kept
  TimePoint created_at;
  TimePoint password_set_at;

  bool hash_only() const { return !realm.empty(); }
};

/// The encrypted record of a password: it, or its HA1s for one realm.
struct DigestSecret {
  std::optional<Bytes> password;
  std::optional<Bytes> ha1;  ///< with MD5, SHA-256 and SHA-512/256, one behind the other, in hexadecimal digits
  std::string realm;         ///< with `ha1` alone
};

/// The digest users of a phone: its own, and who is logged in, whose credentials come first. Empty: nobody.
struct PhoneDigest {
  std::string user;
  std::string login;
  std::optional<TimePoint> login_at;
};

/// A digest user with one of the phones that have its credentials, or with none.
struct DigestAssignment {
  DigestUser user;
  DigestSecret secret;
  std::int64_t phone_id = 0;  ///< 0: none
  std::string device;
  DeviceMode mode = DeviceMode::kNonsecure;  ///< in effect of the phone
  std::optional<Sha256> lsc;                 ///< that the phone confirmed last, unless it is revoked
};

/// 1 to 64 characters of UTF-8 without controls and ':', and no blank at either end. Errors: INVALID_DIGEST_USER.
Status check_digest_user(std::string_view name);
/// 8 to 30 characters of UTF-8 without controls: phones take no more. Errors: INVALID_PASSWORD.
Status check_digest_password(std::string_view password);
/// 1 to 128 characters of UTF-8 without controls. Errors: INVALID_CONFIGURATION.
Status check_realm(std::string_view realm);
/// 24 of the 62 letters and digits: 142 bits.
Secret generate_digest_password(Botan::RandomNumberGenerator& random);

}  // namespace capf
