#pragma once

#include <optional>
#include <string>
#include <vector>

#include "capf/base/error.h"
#include "capf/domain/page.h"
#include "capf/domain/trusted_certificate.h"

namespace capf {

class TrustedCertificateStore {
 public:
  virtual ~TrustedCertificateStore() = default;
  /// @return false where it is there already.
  virtual Result<bool> add(const TrustedCertificate& certificate) = 0;
  virtual Result<std::optional<TrustedCertificate>> find(const Sha256& sha256) = 0;
  /// Those whose SHA-256 begins with it, at most two.
  virtual Result<std::vector<TrustedCertificate>> find_beginning(const std::string& hexadecimal) = 0;
  /// Those of any issuer. @param serial big-endian, without sign octet
  virtual Result<std::vector<TrustedCertificate>> find_by_serial(BytesView serial, int limit) = 0;
  virtual Result<std::vector<TrustedCertificate>> list(const Page& page) = 0;
  /// The same of those that are in lists.
  virtual Result<std::vector<TrustedCertificate>> listed(const Page& page) = 0;
  /// @return false where there is none.
  virtual Result<bool> activate(std::int64_t id) = 0;
  virtual Result<bool> remove(std::int64_t id) = 0;
};

}  // namespace capf
