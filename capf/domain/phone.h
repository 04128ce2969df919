#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "capf/base/bytes.h"
#include "capf/base/time.h"
#include "capf/domain/device.h"
#include "capf/domain/operation.h"

namespace capf {

/// The last time somebody came in a device's name and was refused, as administrators see it. It changes nothing else.
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
  std::optional<TimePoint> mic_fresh_at;  ///< when it first proved its MIC fresh: less is not accepted any more
  std::optional<TimePoint> self_service_stopped_at;  ///< after a superseded LSC was used
  std::optional<TimePoint> string_locked_until;      ///< wrong strings
  std::optional<TimePoint> traced_until;             ///< its dialogues on the wire go to the log; absent once over
  std::optional<Attempt> last_attempt;
};

}  // namespace capf
