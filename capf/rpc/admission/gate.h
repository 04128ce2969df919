#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "capf/base/bytes.h"
#include "capf/base/error.h"

namespace capf::rpc {

/// The limits of one connection. They hold whether or not the client has acknowledged them.
struct GateLimits {
  /// Open at once. A stream that the client has reset counts until its call has ended.
  std::uint32_t streams = 1;
  std::size_t header_octets = 8192;  ///< of one block, decoded, and 32 for each field: RFC 9113 6.5.2
  std::size_t header_fields = 64;
  /// Streams that end by RST_STREAM, whichever side sends it: so many at once, two more a second.
  int resets = 200;
  /// PING, SETTINGS, PRIORITY, WINDOW_UPDATE and empty DATA: so many at once, 50 more a second
  /// and 4 more for each frame of an answer, which clients acknowledge with some.
  int control_frames = 1000;
  std::chrono::milliseconds unread{5'000};      ///< for the client to take some of an answer; then its call ends
  std::chrono::milliseconds idle{10'000};       ///< without a call; then the connection ends
  std::chrono::milliseconds age{300'000};       ///< of the connection; then it takes no further call
  std::chrono::milliseconds age_grace{30'000};  ///< for the calls that are still open then
  std::chrono::milliseconds keepalive{60'000};  ///< of silence; then a PING asks whether the client is there
  std::chrono::milliseconds keepalive_answer{20'000};
};

/// The HTTP/2 of one connection, between a client and gRPC: a server's session of nghttp2 towards the client, and a
/// client's towards gRPC, which gets only what this writes. SETTINGS and PING end here, and each side has its own flow
/// control: a window of 64 KiB opens again when the other side has taken the octets. Header blocks, DATA, trailers,
/// RST_STREAM and GOAWAY pass.
///
/// Pure: octets and moments go in, octets come out. Threads: one at a time.
class Gate {
 public:
  using Moment = std::chrono::steady_clock::time_point;
  /// Names a request of this connection on both sides of the gate; unique.
  using CallId = std::uint64_t;
  /// Header fields: name, value.
  using Fields = std::vector<std::pair<std::string, std::string>>;
  /// The field of a request that carries its CallId to gRPC. No client can send it.
  static constexpr const char* kCallField = "capf-call";

  static std::unique_ptr<Gate> make(const GateLimits& limits, Moment now);
  virtual ~Gate() = default;

  virtual void take_from_client(BytesView octets, Moment now) = 0;
  virtual void take_from_server(BytesView octets, Moment now) = 0;
  /// gRPC has closed its end: delivers its answers, and then the connection is over.
  virtual void server_closed(Moment now) = 0;

  /// Octets to send: at most somewhat more than `most`; empty where none wait.
  virtual Bytes for_client(std::size_t most) = 0;
  virtual Bytes for_server(std::size_t most) = 0;

  /// Whether a request waits for admit() or refuse().
  virtual bool asks() const = 0;
  /// Requests go to gRPC from now on.
  virtual void admit() = 0;
  /// Each request is answered with these trailers (`grpc-status` and so on), and the connection ends.
  virtual void refuse(Fields trailers) = 0;
  /// The client may have so many streams open from now on.
  virtual void allow(std::uint32_t streams) = 0;

  /// Whether calls whose streams the client has reset still keep their places. Only then must call_started() and
  /// call_ended() be called: for the handlers that run at that moment, and from then on until no such call is left.
  virtual bool lingers() const = 0;
  /// The handler of a call begins, and has returned.
  virtual void call_started(CallId call) = 0;
  virtual void call_ended(CallId call) = 0;

  /// The calls that gRPC has answered or given up since the last time, each once.
  virtual std::vector<CallId> take_answered() = 0;

  /// A call of its client may last: until each such call has been released, its age does not end the connection.
  virtual void hold() = 0;
  /// One of them has ended. @param stays whether the client may call again; else the last release shuts it down
  virtual void release(bool stays, Moment now) = 0;
  /// Takes no further request; what runs may end within `age_grace`, which begins at the last release.
  virtual void shut_down(Moment now) = 0;
  /// Applies the limits of time. To be called about once a second.
  virtual void tick(Moment now) = 0;
  /// Whether the connection is to be closed once for_client() has nothing more.
  virtual bool over() const = 0;
  /// Why it is over, where the client is the cause: MESSAGE_MALFORMED where it is not HTTP/2, HTTP2_LIMIT where it is
  /// more than is allowed.
  virtual const std::optional<Error>& breach() const = 0;
};

}  // namespace capf::rpc
