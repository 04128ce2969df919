#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "capf/base/bytes.h"
#include "capf/base/time.h"
#include "capf/domain/mode.h"

namespace capf {

inline constexpr std::size_t kMostParties = 100;      ///< of one call
inline constexpr std::size_t kLongestPartyName = 64;  ///< characters, of a trunk or bridge
inline constexpr std::size_t kLongestLineName = 128;  ///< octets that are looked up

enum class PartyKind : std::uint8_t { kDevice, kLine, kTrunk, kBridge };
/// "device", "line", "trunk", "bridge"
std::string_view to_string(PartyKind kind);
std::optional<PartyKind> parse_party_kind(std::string_view text);
/// 1 to kLongestPartyName characters of UTF-8 without control characters. Errors: INVALID_REQUEST.
Status check_party_name(std::string_view name);

enum class SeenTransport : std::uint8_t { kUdp, kTcp, kTls };
std::optional<SeenTransport> parse_seen_transport(std::string_view text);
enum class SeenMedia : std::uint8_t { kNone, kRtp, kSrtp };
std::optional<SeenMedia> parse_seen_media(std::string_view text);

/// Whether a TLS cipher with that name, as OpenSSL or IANA spells it, encrypts nothing: "null", "NULL-SHA256",
/// "TLS_RSA_WITH_NULL_SHA", "TLS_SHA256_SHA256" (RFC 9150).
bool names_null_cipher(std::string_view name);

/// A SIP server's sight of a party. A part that it does not tell lowers nothing.
struct Observation {
  std::optional<SeenTransport> transport{};
  bool null_cipher = false;  ///< of TLS
  std::optional<SeenMedia> audio{};
  std::optional<SeenMedia> video{};
  std::optional<Sha256> certificate{};  ///< of the client, in TLS

  /// Whether anything was told.
  bool any() const { return transport || null_cipher || audio || video || certificate; }
};

/// A party of a call, as a SIP server names it.
struct CallParty {
  PartyKind kind = PartyKind::kDevice;
  std::string name;
  std::string answered_by{};  ///< the device that took the call of a line; empty: none yet
  Observation observed{};

  /// As it is written: "SEP001122334455", "line:1001", "trunk:provider".
  std::string text() const;
};

/// Reads the kind and the name of such a text; a text without a known prefix is a device's name.
/// Errors: INVALID_DEVICE_NAME, INVALID_REQUEST.
Result<CallParty> parse_party(std::string_view text);

struct CallEnquiry {
  std::vector<CallParty> parties;
  std::optional<CallParty> barge{};     ///< it would like to come in
  std::optional<DeviceMode> minimum{};  ///< of a meet-me conference

  /// The number of parties, and that only what can be compared was told. Errors: INVALID_REQUEST.
  Status check() const;
};

/// A certificate that was observed, as it is on record for that device. Of several faults the first one here counts.
enum class SeenCertificate : std::uint8_t {
  kOwn,          ///< its LSC or its MIC, and good
  kNotOnRecord,  ///< nobody's
  kOfAnotherDevice,
  kBlocked,     ///< by an administrator
  kSuperseded,  ///< revoked for that or not yet
  kRevoked,
  kHeld,
  kExpired,
};
std::optional<SeenCertificate> parse_seen_certificate(std::string_view text);

/// Devices of a party that are in the same state: a line has several.
struct PartyDevice {
  std::string name;  ///< the first one's
  ModeFacts mode;    ///< with the site's mode
};

/// The record of a party.
struct PartyFacts {
  bool known = false;                            ///< a device present, a line, or a trusted trunk or bridge
  bool removed = false;                          ///< a device of that name was there once
  std::vector<PartyDevice> devices{};            ///< of a line that was answered, the one that did where it is on it
  std::optional<SeenCertificate> certificate{};  ///< where one was observed and the party is one device
  DeviceMode trusted_level = DeviceMode::kNonsecure;  ///< of a trunk or bridge that is known
};

/// A trunk or bridge that the site trusts to be as secure as it says.
struct TrustedParty {
  std::int64_t id = 0;  ///< given by the store
  PartyKind kind = PartyKind::kTrunk;
  std::string name;
  DeviceMode level = DeviceMode::kNonsecure;
  TimePoint changed_at{};  ///< given by the store
  std::string changed_by;
};

}  // namespace capf
