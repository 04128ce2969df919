#pragma once

#include <optional>
#include <string>
#include <vector>

#include "capf/base/address.h"
#include "capf/base/bytes.h"
#include "capf/base/secret.h"
#include "capf/domain/device.h"

namespace capf::service {

/// A certificate whose private key the peer has shown to have: by TLS, or by the proof of the wire protocol.
struct PresentedCertificate {
  Bytes leaf{};                ///< DER, as it was sent: not yet scanned
  std::vector<Bytes> chain{};  ///< DER, what was sent beside it
  /// Whether it was proven in this very session. What was not may have been recorded by somebody.
  bool fresh = true;
  /// Another certificate that was proven fresh in this session; it must be the device's MIC.
  std::optional<Bytes> second{};
};

/// Who calls in a device's name and what they brought, whatever the transport. Nothing of it is believed yet.
struct Caller {
  DeviceName device;
  std::optional<Secret> auth_string;
  std::optional<PresentedCertificate> certificate;
  Address address;
  std::string transport;  ///< "grpc" or "wire"
};

}  // namespace capf::service
