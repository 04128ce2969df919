#pragma once

#include <chrono>
#include <memory>
#include <optional>

#include <grpcpp/alarm.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/sync_stream.h>

namespace capf::rpc {

/// Cancels a call after a while, unless it is destroyed before. The call must outlive it.
class Cutoff {
 public:
  Cutoff(grpc::ServerContextBase& context, std::chrono::milliseconds after);
  ~Cutoff();
  Cutoff(const Cutoff&) = delete;
  Cutoff& operator=(const Cutoff&) = delete;

  /// Cancels it at once, but on a thread of gRPC's, because gRPC may end a call while it cancels it: so the caller may
  /// hold locks that the end of the call takes. To be called once.
  void cut();

 private:
  struct Target;
  void cancel_at(grpc::Alarm& alarm, std::chrono::system_clock::time_point time);

  std::shared_ptr<Target> target_;
  grpc::Alarm alarm_;
  std::optional<grpc::Alarm> at_once_;
};

/// A caller that takes no message of a stream for so long loses the stream.
inline constexpr std::chrono::seconds kLongestUnread{5};

/// Writes the next message of a stream. gRPC waits until the caller's side has room for it.
/// @param more further messages follow at once, so gRPC may keep this one and send them together
/// @return false where the call has ended; a wait longer than kLongestUnread ends it too.
template <class Message>
bool write_soon(grpc::ServerContextBase& context, grpc::ServerWriter<Message>& writer, const Message& message,
                bool more = false) {
  const Cutoff cutoff(context, kLongestUnread);
  grpc::WriteOptions options;
  if (more) options.set_buffer_hint();
  return writer.Write(message, options);
}

}  // namespace capf::rpc
