#pragma once

#include <cstdint>
#include <string_view>

#include "capf/base/bytes.h"
#include "capf/base/secret.h"
#include "capf/domain/device.h"

namespace capf::ca {

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
