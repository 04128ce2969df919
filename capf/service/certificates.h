#pragma once

#include <optional>
#include <string>
#include <vector>

#include "capf/domain/certificate_store.h"
#include "capf/domain/database.h"

namespace capf::service {

struct CertificateView {
  Certificate certificate;
  std::vector<Bytes> chain;  ///< DER: its issuer and the CAs above it; empty for one that was handed over
};

struct RevokeAnswer {
  std::vector<Certificate> certificates;
  bool device_blocked = false;
};

struct RevokeKeyAnswer {
  std::vector<Certificate> certificates;
  std::optional<std::string> blocked_device;  ///< the device that had the key
};

struct SelectionView {
  SelectionCount count;  ///< on the first page
  SelectedPage<Certificate> page;
};

/// The progress of revoking a selection; LSCs issued after it began are not part of it.
struct SelectionCursor {
  std::int64_t through = 0;  ///< id of a certificate
  std::int64_t phone_id = 0;
};

struct SelectionRequest {
  CertificateSelection selection;
  RevocationReason reason = RevocationReason::kUnspecified;
  std::int64_t count = 0;                 ///< the most to revoke: the count shown, less those revoked since
  std::optional<SelectionCursor> cursor;  ///< absent: from the beginning
};

struct SelectionAnswer {
  int revoked = 0;                      ///< of the selection
  int others = 0;                       ///< keyCompromise: the other LSCs of their devices
  int devices_blocked = 0;              ///< keyCompromise
  std::optional<SelectionCursor> next;  ///< absent: the selection is done
};

/// The administrator's operations on certificates. A certificate is named by its serial number (hexadecimal) or its
/// device; a name that is both is taken as the device. Threads: any.
class Certificates {
 public:
  explicit Certificates(Database& database) : database_(database) {}

  Result<std::vector<Certificate>> list(const CertificateFilter& filter, const Page& page);
  /// By device: its newest valid LSC, or else its newest certificate. Errors: UNKNOWN_CERTIFICATE.
  Result<CertificateView> show(const std::string& serial_or_device);
  /// By device: every LSC of its that has not expired. keyCompromise also marks the keys and blocks the device. One on
  /// hold can be revoked for good; any other revocation is final.
  /// Errors: UNKNOWN_CERTIFICATE, ALREADY_REVOKED, ALREADY_EXPIRED.
  Result<RevokeAnswer> revoke(const Actor& actor, const std::string& serial_or_device, RevocationReason reason);
  /// From hold; by device: all that are. Errors: UNKNOWN_CERTIFICATE, NOT_ON_HOLD, ALREADY_EXPIRED.
  Result<RevokeAnswer> release(const Actor& actor, const std::string& serial_or_device);
  /// For keyCompromise: every LSC that has the key, or its modulus with another exponent, and whatever else its phone
  /// has; nobody gets the key certified again. @param why for the record. Errors: KEY_RESERVED for a key of the site's
  /// own, of an issuer or of an administrator.
  Result<RevokeKeyAnswer> revoke_key(const Actor& actor, const KeyDigests& key, const std::string& why = {});

  /// The selected LSCs, by pages. Errors: INVALID_SELECTION, UNKNOWN_ISSUER, UNKNOWN_CERTIFICATE for a serial number
  /// that was never issued.
  Result<SelectionView> select(const CertificateSelection& selection, const Page& page);
  /// Revokes a part of a selection in one transaction, phone by phone in one order. Errors: INVALID_SELECTION;
  /// SELECTION_CHANGED where there are more than `count`: then this call has revoked none.
  Result<SelectionAnswer> revoke_selection(const Actor& actor, const SelectionRequest& request);

 private:
  Database& database_;
};

}  // namespace capf::service
