#pragma once

#include <string>
#include <vector>

#include "capf/domain/store.h"

namespace capf::service {

struct CertificateView {
  Certificate certificate;
  std::vector<Bytes> chain;  ///< DER: its issuer and what stands above it; empty for one that was handed over
};

struct RevokeAnswer {
  std::vector<Certificate> certificates;
  bool device_blocked = false;
};

/// What administrators do with certificates. A certificate is named by its serial number (hexadecimal) or its device;
/// a name that is both is taken as the device. Threads: any.
class Certificates {
 public:
  explicit Certificates(Database& database) : database_(database) {}

  Result<std::vector<Certificate>> list(const CertificateFilter& filter, const Page& page);
  /// By device: its newest valid LSC, or else its newest certificate. Errors: UNKNOWN_CERTIFICATE.
  Result<CertificateView> show(const std::string& serial_or_device);
  /// By device: every LSC of its that has not expired. keyCompromise also marks the keys and blocks the device.
  /// Errors: UNKNOWN_CERTIFICATE, ALREADY_REVOKED, ALREADY_EXPIRED.
  Result<RevokeAnswer> revoke(const Actor& actor, const std::string& serial_or_device, RevocationReason reason);

 private:
  Database& database_;
};

}  // namespace capf::service
