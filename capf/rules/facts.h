#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "capf/base/address.h"
#include "capf/base/bytes.h"
#include "capf/base/error.h"
#include "capf/ca/trust.h"
#include "capf/domain/change.h"
#include "capf/domain/dossier.h"
#include "capf/domain/policy.h"

// The facts that the rules of enrolment decide by. Rules are pure: no database, clock, random numbers or log. The
// present is Dossier::now.

namespace capf::rules {

/// kWire: its answers distinguish unknown and idle devices from others, because phones expect that.
enum class Transport : std::uint8_t { kGrpc, kWire };
/// "grpc" or "wire"
std::string_view to_string(Transport transport);

/// A MIC or a foreign LSC, with this server's own judgement of its path beside the anchors'.
template <class Judged>
struct Path {
  Result<Judged> judged;              ///< by the anchors of Dossier::trust_revision
  std::optional<Error> listed{};      ///< KEY_LISTED: a key of the path is on the site's list of weak keys
  bool withdrawn = false;             ///< a key of the path is among those that this server has seen compromised
  std::optional<KeyRecord> record{};  ///< of a MIC's key: of Dossier::claims
  /// The issuer that is not trusted, where `judged` is CERTIFICATE_UNKNOWN_ISSUER and the path names one.
  std::optional<UnknownIssuer> unknown_issuer{};
};

/// A certificate for which the caller has proven that it has the private key, judged before anybody knows whether there
/// is such a device.
struct Shown {
  std::optional<Error> unreadable{};  ///< the certificate or its chain is too large, too long or malformed
  Sha256 leaf{};                      ///< of the DER; zero where that is too large
  std::optional<Error> listed{};      ///< KEY_LISTED: the leaf's own key
  Path<ca::JudgedMic> mic;            ///< the leaf as a MIC
  /// The leaf as another site's LSC; absent where `mic` is not CERTIFICATE_UNKNOWN_ISSUER.
  std::optional<Path<ca::JudgedLsc>> foreign{};
  std::optional<Path<ca::JudgedMic>> second{};  ///< another certificate, proven fresh; it must be the device's MIC
  bool fresh = true;                            ///< proven in this very session; if not, the proof may be a recording
  /// Whether the phone calls it its MIC (true) or an LSC (false), where it says so.
  std::optional<bool> called_mic{};
};

/// An authentication string that the caller says.
struct SaidString {
  bool matches = false;           ///< the open operation's, compared in constant time; used only once it was heard
  std::optional<Reason> limit{};  ///< the limit that refuses it, by Rounds::hear()
};

/// A caller in a device's name, as data. All of it is still unverified.
struct Caller {
  DeviceName device;
  Address address;
  Transport transport = Transport::kGrpc;
  std::optional<SaidString> string{};
  std::optional<Shown> shown{};
  std::optional<Error> bad_proof{};  ///< they tried to prove a certificate, and it is no proof
};

/// Everything that a rule sees. Refers to what must outlive it.
struct Facts {
  const Caller& caller;
  const Dossier& dossier;
  const SitePolicy& policy;
  bool withdrawn = false;  ///< this server has seen the phone removed or blocked, whatever an older database says
};

/// The caller as the author of what is written.
Actor actor_of(const Caller& caller);
/// The basis of every decision by these facts, as far as it is the same for all: the phone and the moment of the look.
Basis basis_of(const Facts& facts);

}  // namespace capf::rules
