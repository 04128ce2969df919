#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "capf/base/address.h"
#include "capf/base/bytes.h"
#include "capf/base/secret.h"
#include "capf/domain/device.h"
#include "capf/domain/phone.h"
#include "capf/domain/rounds.h"
#include "capf/rules/facts.h"
#include "capf/rules/identify.h"

namespace capf::service {

/// A certificate for which the peer has proven that it has the private key: by TLS, or by the proof of the wire
/// protocol.
struct PresentedCertificate {
  Bytes leaf{};                ///< DER, as it was sent: not yet scanned
  std::vector<Bytes> chain{};  ///< DER, what was sent beside it
  /// Whether it was proven in this very session; if not, the proof may be a replayed recording.
  bool fresh = true;
  /// Another certificate that was proven fresh in this session; it must be the device's MIC.
  std::optional<Bytes> second{};
  /// Whether the phone calls it its MIC (true) or an LSC (false), where it says so. The certificate must be of that
  /// kind.
  std::optional<bool> called_mic{};
};

/// A caller in a device's name, with its credentials, on any transport. All of it is still unverified.
struct Caller {
  DeviceName device;
  std::optional<Secret> auth_string;
  std::optional<PresentedCertificate> certificate;
  Address address;
  rules::Transport transport = rules::Transport::kGrpc;
  std::optional<Error> bad_proof{};  ///< they tried to prove a certificate, and it is no proof
  std::vector<Bytes> unproven{};     ///< the certificates that came with it, for people to look at
  /// The dialogue that this call belongs to, as Enrolment::begin() has answered it.
  std::optional<rules::Begun> begun{};
  /// Is told what is on record of the device that they name, each time before anything is judged; may be empty.
  std::function<void(const Phone&)> on_found{};
  /// Whether the caller has gone; may be empty.
  std::function<bool()> gone{};

  bool has_gone() const { return gone && gone(); }
  /// The share of the rounds in which it has its place. @param proven whether it has proven the device
  Share share(bool proven) const {
    if (transport == rules::Transport::kWire) return Share::kWire;
    return proven || begun || certificate ? Share::kRpc : Share::kStranger;
  }
};

}  // namespace capf::service
