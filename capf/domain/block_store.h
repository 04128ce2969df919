#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "capf/base/bytes.h"
#include "capf/base/error.h"
#include "capf/base/time.h"
#include "capf/domain/key.h"
#include "capf/domain/page.h"

namespace capf {

/// A certificate of another issuer that is refused, and its key with it.
struct BlockedCertificate {
  std::int64_t id = 0;  ///< given by the store
  Sha256 sha256{};
  KeyDigests key;
  Bytes serial;
  std::string subject;
  std::string issuer;
  TimePoint not_after;
  TimePoint blocked_at;
  std::string blocked_by;
};

class BlockStore {
 public:
  virtual ~BlockStore() = default;
  /// Until this transaction ends, no other one that acts on a certificate's authority can continue.
  virtual Status lock() = 0;
  /// @return false where it is blocked already.
  virtual Result<bool> add(const BlockedCertificate& certificate) = 0;
  virtual Result<std::optional<BlockedCertificate>> find(const Sha256& sha256) = 0;
  /// Those whose SHA-256 begins with it, at most two.
  virtual Result<std::vector<BlockedCertificate>> find_beginning(const std::string& hexadecimal) = 0;
  virtual Status remove(std::int64_t id) = 0;
  virtual Result<std::vector<BlockedCertificate>> list(const Page& page) = 0;
  /// Blocks it by its row, as kept in a withdrawal. @return false where it is blocked already.
  virtual Result<bool> bring_back(const std::string& row) = 0;
};

}  // namespace capf
