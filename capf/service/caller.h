#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "capf/base/address.h"
#include "capf/base/bytes.h"
#include "capf/base/secret.h"
#include "capf/domain/device.h"
#include "capf/domain/phone.h"

namespace capf::service {

/// A certificate whose private key the peer has shown to have: by TLS, or by the proof of the wire protocol.
struct PresentedCertificate {
  Bytes leaf{};                ///< DER, as it was sent: not yet scanned
  std::vector<Bytes> chain{};  ///< DER, what was sent beside it
  /// Whether it was proven in this very session. What was not may have been recorded by somebody.
  bool fresh = true;
  /// Another certificate that was proven fresh in this session; it must be the device's MIC.
  std::optional<Bytes> second{};
  /// What the phone calls it, where it says so: its MIC, or an LSC. It must be that.
  std::optional<bool> called_mic{};
};

/// The transport whose answers tell unknown and idle devices from others, because phones expect it.
inline constexpr std::string_view kWireTransport = "wire";

/// Who calls in a device's name and what they brought, whatever the transport. Nothing of it is believed yet.
struct Caller {
  DeviceName device;
  std::optional<Secret> auth_string;
  std::optional<PresentedCertificate> certificate;
  Address address;
  std::string transport;             ///< "grpc" or "wire"
  std::optional<Error> bad_proof{};  ///< they tried to prove a certificate, and it is no proof
  std::vector<Bytes> unproven{};     ///< the certificates that came with it, for people to look at
  /// Is told what is on record of the device that they name, before anything is judged; may be empty.
  std::function<void(const Phone&)> on_found{};
  /// Whether nobody waits for the answer any more; may be empty.
  std::function<bool()> gone{};
};

}  // namespace capf::service
