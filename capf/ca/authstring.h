#pragma once

#include <string>
#include <string_view>

#include <botan/rng.h>

#include "capf/base/bytes.h"
#include "capf/base/secret.h"
#include "capf/domain/device.h"

namespace capf::ca {

/// 4 to 10 ASCII digits. Errors: INVALID_AUTH_STRING.
Status check_auth_string(std::string_view digits);
/// 8 digits, each as likely as any other.
Secret generate_auth_string(Botan::RandomNumberGenerator& random);

/// The site key under which authentication strings are hashed. Threads: any.
class StringKey {
 public:
  /// @param key 32 octets. Errors: INVALID_CONFIGURATION.
  static Result<StringKey> make(Secret key);
  /// HMAC-SHA-256 over operation, device and digits, each with its length, so that no two triples are the same input.
  Bytes mac(std::int64_t operation_id, const DeviceName& device, std::string_view digits) const;

 private:
  explicit StringKey(Secret key) : key_(std::move(key)) {}
  Secret key_;
};

}  // namespace capf::ca
