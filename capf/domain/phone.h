#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "capf/base/bytes.h"
#include "capf/base/time.h"
#include "capf/domain/device.h"
#include "capf/domain/operation.h"

namespace capf {

inline constexpr std::size_t kLongestDescription = 128;  ///< characters
inline constexpr std::size_t kMostTags = 16;             ///< of one phone

/// A phone's name among people: up to kLongestDescription characters of UTF-8 without control characters; or nothing.
/// Errors: INVALID_REQUEST.
Status check_description(std::string_view description);
/// 1 to 32 characters, in the alphabet of device names. Errors: INVALID_REQUEST.
Status check_tag(std::string_view tag);

// Of capf/domain/mode.h, which rests on this file.
enum class DeviceMode : std::uint8_t;
enum class ModeReason : std::uint8_t;

/// The state of the LSC that a phone uses: the latest one that it confirmed.
enum class LscStatus : std::uint8_t {
  kNone,
  kValid,
  kExpired,
  kRevoked,  ///< for good, whether in time or not
  kHeld,     ///< on hold, whether in time or not
};
inline constexpr std::array kLscStatuses{LscStatus::kNone, LscStatus::kValid, LscStatus::kExpired, LscStatus::kRevoked,
                                         LscStatus::kHeld};
std::string_view to_string(LscStatus status);
std::optional<LscStatus> parse_lsc_status(std::string_view text);

/// A phone's LSC as it stands beside it. With kNone there is neither an end nor an issuer.
struct PhoneLsc {
  LscStatus status = LscStatus::kNone;
  std::optional<TimePoint> not_after;
  std::int64_t issuer_id = 0;
};

/// A change that an administrator makes of phones.
struct PhoneChange {
  std::optional<std::string> description{};  ///< by check_description(); "": none from now on
  std::vector<std::string> added_tags{};     ///< by check_tag(), up to kMostTags, as are the others
  std::vector<std::string> removed_tags{};
  bool sets_tags = false;  ///< the phones have the added tags alone; then there are no removed ones

  /// Errors: INVALID_REQUEST, also for a change of nothing, and for a tag that is added and removed.
  Status check() const;
};

struct Phone;

/// A phone as a file of an administrator has it.
struct ImportedPhone {
  DeviceName device;
  std::string model{};                          ///< by check_model(); empty: as it was
  std::optional<std::string> description{};     ///< by check_description(); absent: as it was
  std::optional<std::set<std::string>> tags{};  ///< by check_tag(), up to kMostTags; absent: as they were

  /// Errors: INVALID_REQUEST.
  Status check() const;
  /// The settings that the phone on record has otherwise: "model", "description", "tags".
  std::vector<std::string> differences(const Phone& phone) const;
};

/// The last refused attempt in a device's name, for administrators to see. It has no other effect.
struct Attempt {
  TimePoint at;
  std::string address;
  std::string transport;  ///< "grpc" or "wire"
  OperationKind kind = OperationKind::kInstall;
  Reason reason = Reason::kInternal;
  std::string message;
};

struct Phone {
  std::int64_t id = 0;
  DeviceName device;
  std::string model;                ///< "CP-8861", from its MIC or from the administrator; may be empty
  std::string description{};        ///< by check_description()
  std::vector<std::string> tags{};  ///< by check_tag(), in order, each once, up to kMostTags
  TimePoint created_at;
  std::optional<TimePoint> first_seen{};  ///< when it proved who it is, rounded down to 5 minutes
  std::optional<TimePoint> last_seen{};
  PhoneLsc lsc{};
  std::string profile{};        ///< its name
  DeviceMode mode{};            ///< the profile's
  DeviceMode effective_mode{};  ///< by effective_mode(), when the record was read
  ModeReason mode_reason{};
  std::optional<TimePoint> blocked_at;
  std::optional<Sha256> mic_sha256;       ///< the first MIC that authenticated it; another one is refused
  bool mic_is_kept = false;               ///< that MIC is on record, whole
  std::optional<TimePoint> mic_fresh_at;  ///< when it first proved its MIC fresh; only that counts from then on
  std::optional<TimePoint> self_service_stopped_at;  ///< after a superseded LSC was used
  std::optional<TimePoint> string_locked_until;      ///< wrong strings
  std::optional<TimePoint> traced_until;             ///< until then its dialogues on the wire are logged
  std::optional<Attempt> last_attempt;
};

}  // namespace capf
