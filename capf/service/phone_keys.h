#pragma once

#include <memory>
#include <string>
#include <vector>

#include "capf/base/bytes.h"
#include "capf/ca/key.h"
#include "capf/domain/trust_role.h"

namespace capf::service {

/// A key that signs phones' files, with its certificate.
struct PhoneKey {
  std::string name;   ///< of its files: "list-signer", "list-signer-2"
  Bytes certificate;  ///< DER
  std::shared_ptr<const ca::SigningKey> key;
};

/// A certificate of this server's own that phones are to trust.
struct OwnCertificate {
  std::string name;  ///< of its file: "wire", "tvs-2", "recovery-signer"
  Bytes der;
  TrustRoles roles;
  bool in_use = false;  ///< the one that signs, or that its port shows; false for the next and for former ones
};

/// The keys of this server for phones' files, and the certificates that belong in its trust lists. They are read again
/// when their files change. Threads: any.
class PhoneKeys {
 public:
  virtual ~PhoneKeys() = default;
  /// The key that signs lists now; null where the site has none.
  virtual std::shared_ptr<const PhoneKey> list_signer() const = 0;
  /// The same, by name: the next one signs too while the list signer is replaced. Null where there is none.
  virtual std::shared_ptr<const PhoneKey> list_signer(const std::string& name) const = 0;
  /// The key that signs all other files; null where the site has none.
  virtual std::shared_ptr<const PhoneKey> file_signer() const = 0;
  /// All of them, by their names.
  virtual std::vector<OwnCertificate> own_certificates() const = 0;
};

}  // namespace capf::service
