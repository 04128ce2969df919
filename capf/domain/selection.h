#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "capf/base/error.h"
#include "capf/base/time.h"
#include "capf/domain/campaign.h"
#include "capf/domain/device.h"
#include "capf/domain/mode.h"
#include "capf/domain/operation.h"
#include "capf/domain/phone.h"

namespace capf {

/// The operation that is open, else the last one: none on record, its state, or one of two words about an open one.
enum class OperationStatus : std::uint8_t {
  kNone,
  kPending,
  kInProgress,
  kIssued,
  kOverdue,  ///< open behind its deadline, whatever its state
  kSucceeded,
  kFailed,
  kExpired,
  kCancelled,
};
inline constexpr std::array kOperationStatuses{
    OperationStatus::kNone,   OperationStatus::kPending, OperationStatus::kInProgress,
    OperationStatus::kIssued, OperationStatus::kOverdue, OperationStatus::kSucceeded,
    OperationStatus::kFailed, OperationStatus::kExpired, OperationStatus::kCancelled};
std::string_view to_string(OperationStatus status);
std::optional<OperationStatus> parse_operation_status(std::string_view text);

/// How many values one property of a selection may be given.
inline constexpr std::size_t kMostSelectedValues = 100;

/// Phones by their properties: a phone has one of the values of each property that is given. An empty selection selects
/// every phone, and so does `all`; whether an empty one may be is the caller's to decide, by names_any().
struct PhoneSelection {
  bool all = false;                 ///< said on purpose; other properties choose among them
  std::vector<DeviceName> devices;  ///< these ones, up to kMostDevicesAtOnce
  std::vector<Pattern> patterns;    ///< of device names
  std::vector<std::string> tags;
  std::vector<Pattern> models;
  std::vector<LscStatus> lscs;
  std::optional<TimePoint> expires_before;  ///< the LSC is valid, held or expired, and ends before then
  std::vector<std::int64_t> issuers;        ///< of the LSC
  std::optional<TimePoint> issuer_expires_before;
  // Of the operation that is open, else of the last one.
  std::vector<AuthMode> auths;
  std::vector<OperationStatus> operations;
  std::vector<Reason> reasons;
  bool tried = false;                       ///< refused since the operation was scheduled, which is open
  std::vector<Reason> refusals;             ///< with `tried`: the last time with one of these reasons
  std::optional<TimePoint> not_seen_since;  ///< last seen before then, or never
  std::optional<bool> blocked;
  std::optional<bool> locked;                  ///< after wrong strings
  std::vector<std::string> profiles{};         ///< names
  std::vector<DeviceMode> modes{};             ///< of the profile
  std::vector<DeviceMode> effective_modes{};   ///< in effect now
  std::vector<CampaignPhoneState> renewals{};  ///< of the LSC, by the server
  std::vector<DeviceName> excepts;             ///< none of these, up to kMostDevicesAtOnce
  bool leaves_unknown = false;  ///< changes leave `devices` that are not on record, instead of refusing them

  /// Whether a property is given or `all` is said; `excepts` and `leaves_unknown` are none.
  bool names_any() const;
  /// Holds each list to its limit, tags to their form, and refuses `refusals` without `tried`. Errors: INVALID_REQUEST,
  /// with the property's name.
  Status check() const;
};

}  // namespace capf
