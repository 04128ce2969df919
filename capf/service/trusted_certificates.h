#pragma once

#include <span>
#include <string>
#include <vector>

#include "capf/ca/listed.h"
#include "capf/domain/database.h"
#include "capf/domain/key.h"
#include "capf/domain/page.h"
#include "capf/domain/trusted_certificate.h"

namespace capf::service {

struct TrustedCertificateRequest {
  Bytes file;  ///< as ca::split_certificates takes it, with one certificate
  TrustRoles roles;
  std::string dns;
  std::optional<Address> address;
  bool vouch_only = false;
};

struct TrustedCertificateAdded {
  TrustedCertificate certificate;
  std::vector<std::string> warnings;  ///< see ca::ListedCertificate
};

/// The one certificate whose SHA-256 begins so. Errors: UNKNOWN_CERTIFICATE; INVALID_REQUEST where several do.
Result<TrustedCertificate> find_by_beginning(Transaction& tx, const std::string& beginning);

/// Removes the certificates of others that have one of these keys, which nobody is to trust any more, and are not
/// blocked themselves. Phones that get an older list with such a key get the newest again. Keys are claimed.
Status drop_with_keys(Transaction& tx, const Actor& actor, std::span<const KeyDigests> keys);

/// The administrator's use cases of the certificates of others that phones are to trust. Threads: any.
class TrustedCertificates {
 public:
  explicit TrustedCertificates(Database& database) : database_(database) {}

  /// Errors: INVALID_REQUEST; INVALID_CERTIFICATE where it cannot have these roles or is blocked; ANCHOR_EXISTS where
  /// it is there already; TRUST_LIST_UNFIT where phones' lists have no room for it.
  Result<TrustedCertificateAdded> add(const Actor& actor, const TrustedCertificateRequest& request);
  Result<std::vector<TrustedCertificate>> list(const Page& page);
  /// @param sha256 hexadecimal, at least its first 8 digits. Errors: UNKNOWN_CERTIFICATE, INVALID_REQUEST where it is
  /// the beginning of several.
  Result<TrustedCertificate> remove(const Actor& actor, const std::string& sha256);

  // For the Trust Verification Service; each is one look at the database. Errors: those of check_primary().
  Result<std::optional<TrustedCertificate>> find(const Sha256& sha256);
  Result<std::vector<TrustedCertificate>> find_by_serial(BytesView serial, int limit);

 private:
  Database& database_;
};

}  // namespace capf::service
