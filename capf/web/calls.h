#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "capf/base/error.h"
#include "capf/base/metrics.h"
#include "capf/domain/audit.h"
#include "capf/web/server.h"

namespace capf::web {

inline constexpr std::size_t kLargestCallQuestion = std::size_t{64} * 1024;  ///< octets of JSON

/// A question about a call, in one of its two forms.
struct CallQuestion {
  std::string device;  ///< GET: how secure a call of this device alone is
  std::string json;    ///< POST
};

/// The functions that answer the questions of dial plans. Called from several threads; may block.
struct CallStatus {
  /// The answer, in JSON.
  std::function<Result<std::string>(const Actor& actor, const CallQuestion& question)> classify;
  /// The one who asks over TLS, judged for this request, where they may.
  std::function<Result<Actor>(const Sha256& certificate, const Address& peer)> recognise;
  Metrics& metrics;
};

/// GET /call-status?device=NAME, and POST /call-status with JSON. Without TLS the server's own machine asks. Errors are
/// JSON too: {"reason": "…", "message": "…"}. Questions are answered on threads of its own, so that a slow database
/// stops no connection; where too many wait, further ones get OVERLOADED.
class CallDesk {
 public:
  struct Limits {
    int threads = 4;
    int waiting = 256;
  };
  explicit CallDesk(CallStatus status) : CallDesk(std::move(status), Limits()) {}
  CallDesk(CallStatus status, const Limits& limits);
  ~CallDesk();
  CallDesk(const CallDesk&) = delete;
  CallDesk& operator=(const CallDesk&) = delete;

  /// The desk outlives it.
  LaterRoute route();
  /// Answers what waits, and nothing more. Call it while the server is there.
  void stop();

 private:
  struct State;
  const std::unique_ptr<State> state_;
};

}  // namespace capf::web
