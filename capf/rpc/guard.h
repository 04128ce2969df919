#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include <google/protobuf/message.h>
#include <grpcpp/server_context.h>

#include "capf/base/error.h"
#include "capf/base/log.h"
#include "capf/domain/administrator.h"
#include "capf/domain/audit.h"
#include "capf/rpc/access.h"
#include "capf/rpc/admission/limiter.h"
#include "capf/rpc/admission/open_calls.h"
#include "capf/rpc/admission/peer.h"
#include "capf/rpc/admission/proven.h"
#include "capf/rpc/server.h"
#include "capf/service/administrators.h"
#include "capf/service/caller.h"
#include "capf/v1/phone.pb.h"

namespace capf::rpc {

/// The administrator of a call, as checked for this call.
struct AdminCall {
  Administrator administrator;
  Actor actor;
};

enum class Audience : std::uint8_t { kEverybody, kAdministrators };

/// A stream that stays open while its caller is entitled to it.
class Stream {
 public:
  virtual ~Stream() = default;
  /// Waits, no longer than `pause`. Errors, with which the stream ends: SHUTTING_DOWN, CALLER_GONE, and the refusal of
  /// an administrator who was disabled meanwhile, noticed at the first return after 5 s.
  virtual Status pause(std::chrono::milliseconds pause) = 0;
  /// The administrator, for the record.
  virtual const Actor& actor() const = 0;
};

/// A phone's stream under the guard's watch, from its beginning to its end: a stranger's until its credential has
/// proven the device. Threads: one at a time.
class PhoneStream {
 public:
  virtual ~PhoneStream() = default;
  /// A place among the running calls for one message; waits for it. Errors: SHUTTING_DOWN, CALLER_GONE, OVERLOADED.
  virtual Result<Limiter::Place> admit() = 0;
  /// The caller whom the credential names, still unverified; the authentication string is wiped from the message. An
  /// error is recorded as a stranger's.
  virtual Result<service::Caller> read(const v1::Credential& credential) = 0;
  /// Takes the use case's judgement of that caller.
  virtual void take_verdict(const Status& outcome) = 0;
  /// Records a stranger's refusal. @return what is told of it
  virtual Error refuse(Error error) = 0;
  /// Writes the line of log and the metrics of the whole stream.
  virtual void end(const Status& outcome) = 0;
};

/// Every handler is called through the guard: it checks the caller, their rights, and the limits on calls and time;
/// then it writes one line of log, the metrics, and the record of refusals. It catches every exception of a handler.
/// Threads: any.
class Guard {
 public:
  /// @param access without a row for a method, all its calls are refused
  Guard(const UseCases& use_cases, AccessTable access, const CallLimits& limits);

  /// The peers of its server: a call of any other peer is refused.
  Peers& peers() { return peers_; }
  /// The server must be built with their watch(), and not outlive the guard.
  OpenCalls& open_calls() { return open_calls_; }

  /// Checks that an administrator's certificate is on record, before a connection's first call is read. Records a
  /// refusal.
  Status recognise(const Peer& peer);
  /// Counts and records a stranger's breach of the protocol below the calls.
  void note_breach(const Endpoint& endpoint, const Error& breach);

  /// A phone's call. The client certificate and the credential become the caller; the authentication string is wiped
  /// from the message. The handler's use case authenticates the caller. An error in `rest`, the result of reading the
  /// rest of the request, is recorded here as a stranger's; an error of `handle`, by the use case.
  grpc::Status phone(grpc::ServerContext& context, Method method, const v1::Credential& credential,
                     const std::function<Status(const service::Caller&)>& handle, const Status& rest = {});

  /// The same for a stream, whose parts its handler calls. @param context outlives the result
  std::unique_ptr<PhoneStream> phone_stream(grpc::CallbackServerContext& context, Method method);

  /// An administrator's call: their certificate's SHA-256 is on record, and their role may call the method. A refused
  /// change is recorded with their name, under the subject that the request names.
  grpc::Status admin(grpc::ServerContext& context, Method method, const google::protobuf::Message& request,
                     const std::function<Status(const AdminCall&)>& handle);

  /// An administrator's stream; it takes a place in `streams`.
  grpc::Status admin_stream(grpc::ServerContext& context, Method method, Limiter& streams,
                            const std::function<Status(Stream&)>& handle);

  /// A stream that ends after `longest`, for every caller or for administrators; it takes a place in `streams`.
  grpc::Status short_stream(grpc::ServerContext& context, Method method, Audience audience, Limiter& streams,
                            std::chrono::seconds longest, const std::function<Status()>& handle);

 private:
  struct Call;
  class JudgedStream;
  class WatchedStream;
  class Running;
  using Body = std::function<Status(Call&)>;

  grpc::Status answer(grpc::ServerContext& context, Method method, const Body& body);
  Result<Limiter::Place> admit(Call& call);
  /// @param subject of the call, for the record
  Result<AdminCall> judge(Call& call, const std::string& subject);
  Result<service::Caller> caller_of(Call& call, const std::string& device, Result<std::optional<Secret>> auth_string);
  void take_verdict(Call& call, const Status& outcome);
  void prove(Peer& peer);
  Result<service::Recognised> administrator_of(const Peer& peer);
  bool knows_word(const grpc::ServerContextBase& context) const;
  tl::unexpected<Error> refuse_stranger(const Call& call, Error error);
  void note(const Call& call, const Status& outcome, Duration took);
  /// As LogLimit::admit(), for the lines of one device.
  std::optional<int> admit_line(const std::string& device, std::chrono::steady_clock::time_point now);
  /// @param left_out lines of strangers, or of this device, since the last one
  static void log(const Call& call, const Status& outcome, Duration took, int left_out);

  const UseCases& use_cases_;
  AccessTable access_;
  Peers peers_;
  Limiter known_;
  Limiter unproven_;
  Limiter strangers_;
  ProvenCertificates proven_;
  LogLimit stranger_calls_{20};     ///< lines in a second
  LogLimit stranger_refusals_{20};  ///< the same, of their true reasons
  std::mutex device_lines_mutex_;
  std::map<std::string, LogLimit> device_lines_;  ///< of each device that has proven itself
  OpenCalls open_calls_;
};

}  // namespace capf::rpc
