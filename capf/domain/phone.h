#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "capf/base/bytes.h"
#include "capf/base/time.h"
#include "capf/domain/device.h"
#include "capf/domain/operation.h"

namespace capf {

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
  std::string model;  ///< "CP-8861", from its MIC or from the administrator; may be empty
  TimePoint created_at;
  std::optional<TimePoint> blocked_at;
  std::optional<Sha256> mic_sha256;       ///< the first MIC that authenticated it; another one is refused
  std::optional<TimePoint> mic_fresh_at;  ///< when it first proved its MIC fresh; only that counts from then on
  std::optional<TimePoint> self_service_stopped_at;  ///< after a superseded LSC was used
  std::optional<TimePoint> string_locked_until;      ///< wrong strings
  std::optional<TimePoint> traced_until;             ///< until then its dialogues on the wire are logged
  std::optional<Attempt> last_attempt;
};

}  // namespace capf
