#include "capf/rpc/guard.h"

#include <algorithm>
#include <exception>
#include <utility>

#include "capf/base/log.h"
#include "capf/rpc/admission/cutoff.h"
#include "capf/rpc/convert.h"
#include "capf/rpc/status.h"
#include "capf/service/attempts.h"
#include "capf/service/records.h"

namespace capf::rpc {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::seconds kLongestWait{5};
constexpr std::chrono::seconds kJudgedAgain{5};
constexpr std::size_t kLongestDetail = 500;
constexpr int kLinesOfDevice = 10;                   // in a second
constexpr std::size_t kMostDevicesCounted = 10'000;  // whose lines are counted
/// Metadata of a call from the server's own machine.
const char* const kRecoveryWordField = "capf-recovery-word";
constexpr std::size_t kMostProven = 100'000;  // certificates, of some 100 octets each

/// Whether the server, not the caller, is the cause: such errors go to the log, not to the device's record.
bool is_ours(const Error& error) { return error.reason != Reason::kCallerGone && is_servers_fault(error.code()); }

/// The words come in part from the request: makes one line of them, short enough for the record.
Error for_the_record(const Error& error) { return {error.reason, to_utf8(error.message, kLongestDetail), ""}; }

}  // namespace

/// The state of a call while it runs.
struct Guard::Call {
  grpc::ServerContextBase& context;
  const Access& access;
  std::shared_ptr<Peer> peer;  ///< null: its connection has ended
  std::string caller{};        ///< the device or the administrator, for the log
  std::string subject{};       ///< what an administrator's call is about, for the log
  bool known = false;          ///< they have proven to be that

  Address address() const { return peer ? peer->endpoint().address : Address(); }
};

/// Notifies the connection of a call, from construction to destruction.
class Guard::Running {
 public:
  Running(const grpc::ServerContextBase& context, std::shared_ptr<Peer> peer) : peer_(std::move(peer)) {
    const auto field = context.client_metadata().find(Gate::kCallField);
    if (!peer_ || field == context.client_metadata().end()) return;
    call_ = std::strtoull(std::string(field->second.data(), field->second.size()).c_str(), nullptr, 10);
    peer_->call_started(call_);
  }
  ~Running() {
    if (peer_) peer_->call_ended(call_);
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

 private:
  const std::shared_ptr<Peer> peer_;
  Gate::CallId call_ = 0;
};

class Guard::JudgedStream final : public Stream {
 public:
  JudgedStream(Guard& guard, Call& call, Actor actor)
      : guard_(guard), call_(call), actor_(std::move(actor)), judged_(steady_clock::now()) {}

  Status pause(std::chrono::milliseconds pause) override {
    if (guard_.use_cases_.readiness.wait_for_drain(pause)) return fail(Reason::kShuttingDown);
    if (call_.context.IsCancelled()) return fail(Reason::kCallerGone);
    if (steady_clock::now() - judged_ >= kJudgedAgain) {
      CAPF_TRY(guard_.judge(call_, {}));
      judged_ = steady_clock::now();
    }
    return {};
  }
  const Actor& actor() const override { return actor_; }

 private:
  Guard& guard_;
  Call& call_;
  const Actor actor_;
  steady_clock::time_point judged_;
};

class Guard::WatchedStream final : public PhoneStream {
 public:
  WatchedStream(Guard& guard, grpc::ServerContextBase& context, const Access& access)
      : guard_(guard),
        call_{context, access, guard.peers_.find(context.peer())},
        running_(context, call_.peer),
        started_(steady_clock::now()) {
    guard_.use_cases_.metrics.add_call_in_flight(1);
  }

  Result<Limiter::Place> admit() override { return guard_.admit(call_); }
  Result<service::Caller> read(const v1::Credential& credential) override {
    return guard_.caller_of(call_, credential.device(), take_auth_string(credential.auth_string()));
  }
  void take_verdict(const Status& outcome) override {
    guard_.take_verdict(call_, outcome);
    if (outcome) call_.peer->hold();
  }
  Error refuse(Error error) override {
    if (!call_.peer) return error;
    return guard_.refuse_stranger(call_, std::move(error)).value();
  }
  void end(const Status& outcome) override {
    if (call_.peer && call_.known) call_.peer->release();
    guard_.use_cases_.metrics.add_call_in_flight(-1);
    guard_.note(call_, outcome, std::chrono::duration_cast<Duration>(steady_clock::now() - started_));
  }

 private:
  Guard& guard_;
  Call call_;
  const Running running_;
  const steady_clock::time_point started_;
};

Guard::Guard(const UseCases& use_cases, AccessTable access, const CallLimits& limits)
    : use_cases_(use_cases),
      access_(std::move(access)),
      known_(limits.known),
      unproven_(limits.unproven),
      strangers_(limits.strangers),
      proven_(kMostProven),
      open_calls_(limits.answers) {}

grpc::Status Guard::phone(grpc::ServerContext& context, Method method, const v1::Credential& credential,
                          const std::function<Status(const service::Caller&)>& handle, const Status& rest) {
  return answer(context, method, [&](Call& call) -> Status {
    if (!includes(call.access.callers, Callers::kPhones)) return fail(Reason::kRoleDenied);
    auto auth_string = take_auth_string(credential.auth_string());
    CAPF_LET(Limiter::Place place, admit(call));
    open_calls_.keep(context, std::move(place));
    CAPF_LET(const service::Caller caller, caller_of(call, credential.device(), std::move(auth_string)));
    if (!rest) return refuse_stranger(call, rest.error());
    Status outcome = handle(caller);
    take_verdict(call, outcome);
    return outcome;
  });
}

Result<service::Caller> Guard::caller_of(Call& call, const std::string& device,
                                         Result<std::optional<Secret>> auth_string) {
  if (!auth_string) return refuse_stranger(call, std::move(auth_string).error());
  auto name = DeviceName::parse(device);
  if (!name) return refuse_stranger(call, std::move(name).error());
  call.caller = name->text();
  service::Caller caller{*std::move(name), *std::move(auth_string), *call.peer->certificate(), call.address(),
                         rules::Transport::kGrpc};
  caller.gone = [&context = call.context] { return context.IsCancelled(); };
  return caller;
}

/// Only success shows that the caller was authenticated: an error may come before or after that.
void Guard::take_verdict(Call& call, const Status& outcome) {
  const auto& leaf = call.peer->leaf();
  if (leaf && outcome) prove(*call.peer);
  call.known = outcome && (leaf || call.access.effect == Effect::kChanges);
  if (outcome && !call.known) call.peer->charge(kForAnswer);
  if (outcome || outcome.error().reason != Reason::kAuthenticationFailed) return;
  call.peer->charge(kForNothing);
  if (leaf) proven_.forget(*leaf);
}

std::unique_ptr<PhoneStream> Guard::phone_stream(grpc::CallbackServerContext& context, Method method) {
  const Access* const access = access_.find(method.path());
  CAPF_INVARIANT(access != nullptr && includes(access->callers, Callers::kPhones));
  return std::make_unique<WatchedStream>(*this, context, *access);
}

grpc::Status Guard::admin(grpc::ServerContext& context, Method method, const google::protobuf::Message& request,
                          const std::function<Status(const AdminCall&)>& handle) {
  return answer(context, method, [&](Call& call) -> Status {
    CAPF_LET(Limiter::Place place, admit(call));
    open_calls_.keep(context, std::move(place));
    const std::string subject = subject_of(request);
    call.subject = subject;
    CAPF_LET(const AdminCall admin_call, judge(call, subject));
    Status outcome = handle(admin_call);
    if (!outcome && call.access.effect != Effect::kReads && !is_ours(outcome.error())) {
      use_cases_.records.refused(admin_call.actor, call.access.action, subject, for_the_record(outcome.error()));
    }
    return outcome;
  });
}

grpc::Status Guard::admin_stream(grpc::ServerContext& context, Method method, Limiter& streams,
                                 const std::function<Status(Stream&)>& handle) {
  return answer(context, method, [&](Call& call) -> Status {
    AdminCall admin_call;
    {
      CAPF_LET(const Limiter::Place place, admit(call));
      CAPF_LET(admin_call, judge(call, {}));
    }
    auto place = streams.try_enter();
    if (!place) return fail(Reason::kOverloaded, "there are as many streams as the server allows");
    open_calls_.keep(context, *std::move(place));
    JudgedStream stream(*this, call, std::move(admin_call.actor));
    return handle(stream);
  });
}

grpc::Status Guard::short_stream(grpc::ServerContext& context, Method method, Audience audience, Limiter& streams,
                                 std::chrono::seconds longest, const std::function<Status()>& handle) {
  return answer(context, method, [&](Call& call) -> Status {
    {
      CAPF_LET(const Limiter::Place place, admit(call));
      if (audience == Audience::kAdministrators) {
        CAPF_TRY(judge(call, {}));
      } else if (call.access.callers != Callers::kEverybody) {
        return fail(Reason::kRoleDenied);
      }
    }
    auto place = streams.try_enter();
    if (!place) return fail(Reason::kOverloaded, "there are as many streams as the server allows");
    open_calls_.keep(context, *std::move(place));
    const Cutoff cutoff(context, longest);
    if (!call.known) call.peer->charge(kForNothing);
    return handle();
  });
}

grpc::Status Guard::answer(grpc::ServerContext& context, Method method, const Body& body) {
  const auto started = steady_clock::now();
  auto peer = peers_.find(context.peer());
  const Running running(context, peer);
  const Access* const access = access_.find(method.path());
  if (access == nullptr) return to_grpc(Error::of(Reason::kRoleDenied));
  Call call{context, *access, std::move(peer)};
  Status outcome;
  use_cases_.metrics.add_call_in_flight(1);
  try {
    outcome = body(call);
  } catch (const std::exception& error) {
    outcome = fail_internal(error.what());
  } catch (...) {
    outcome = fail_internal("something that is no exception was thrown");
  }
  use_cases_.metrics.add_call_in_flight(-1);
  note(call, outcome, std::chrono::duration_cast<Duration>(steady_clock::now() - started));
  return outcome ? grpc::Status::OK : to_grpc(outcome.error());
}

/// A place among the running calls. The connection's certificate is still unchecked.
Result<Limiter::Place> Guard::admit(Call& call) {
  if (use_cases_.readiness.draining()) return fail(Reason::kShuttingDown);
  if (!call.peer) return fail(Reason::kCallerGone);
  const auto& leaf = call.peer->leaf();
  const bool known = call.known || (leaf && proven_.contains(*leaf));
  Limiter& limiter = known ? known_ : leaf ? unproven_ : strangers_;
  // A known device is counted by the certificate that proved it, or by its name where a string did in this stream; any
  // other caller by its address.
  const std::string caller = !known ? call.address().block() : leaf ? to_hex(*leaf) : call.caller;
  auto place =
      limiter.enter(std::min(call.context.deadline(), std::chrono::system_clock::now() + kLongestWait), caller);
  if (!place) return fail(Reason::kOverloaded);
  if (call.context.IsCancelled()) return fail(Reason::kCallerGone);
  if (!call.peer->certificate()) return refuse_stranger(call, call.peer->certificate().error());
  return *std::move(place);
}

/// The administrator, by the database as it is now. Errors: also those of the database.
Result<service::Recognised> Guard::administrator_of(const Peer& peer) {
  CAPF_TRY(peer.certificate());
  if (!peer.leaf()) return fail(Reason::kClientCertificateRequired);
  auto administrator = use_cases_.administrators.recognise(*peer.leaf());
  if (!administrator && !is_ours(administrator.error())) proven_.forget(*peer.leaf());
  return administrator;
}

Status Guard::recognise(const Peer& peer) {
  const auto administrator = administrator_of(peer);
  if (administrator) {
    proven_.add(*peer.leaf());
    return {};
  }
  if (!is_ours(administrator.error())) note_breach(peer.endpoint(), administrator.error());
  return fail(administrator.error());
}

void Guard::note_breach(const Endpoint& endpoint, const Error& breach) {
  use_cases_.metrics.count_refusal(breach.reason);
  use_cases_.attempts.add(endpoint.address, breach);
}

/// Whether the caller sent the recovery word of the state directory. A client may send several, because it does not
/// know which server it reaches.
bool Guard::knows_word(const grpc::ServerContextBase& context) const {
  bool known = false;
  const auto [first, last] = context.client_metadata().equal_range(kRecoveryWordField);
  for (auto field = first; field != last; ++field) {
    const BytesView shown = as_bytes({field->second.data(), field->second.size()});
    known |= equal_in_constant_time(shown, use_cases_.recovery_word.view());
  }
  return known && !use_cases_.recovery_word.empty();
}

/// The administrator, if their role may call the method.
Result<AdminCall> Guard::judge(Call& call, const std::string& subject) {
  auto recognised = administrator_of(*call.peer);
  if (!recognised) {
    if (is_ours(recognised.error())) return fail(std::move(recognised).error());
    return refuse_stranger(call, std::move(recognised).error());
  }
  prove(*call.peer);
  const Administrator& administrator = recognised->administrator;
  AdminCall admin_call{administrator, {ActorKind::kAdministrator, administrator.name, call.address().to_string()}};
  admin_call.actor.gone = [&context = call.context] { return context.IsCancelled(); };
  call.caller = administrator.name;
  call.known = true;
  if (Status may = may_call(call.access, administrator.role); !may) {
    use_cases_.records.refused(admin_call.actor, call.access.action, subject, may.error());
    return fail(std::move(may).error());
  }
  const Standing state{recognised->clock, recognised->level, knows_word(call.context)};
  if (Status may = may_change(call.access.effect, state); !may) {
    if (!is_ours(may.error())) {
      use_cases_.records.refused(admin_call.actor, call.access.action, subject, for_the_record(may.error()));
    }
    return fail(std::move(may).error());
  }
  return admin_call;
}

/// The certificate has authenticated its caller: from now on its calls queue apart from those of strangers, and its
/// connection is not a stranger's.
void Guard::prove(Peer& peer) {
  proven_.add(*peer.leaf());
  peer.prove();
}

/// Counts the refusal of an unauthenticated caller. On the phones' port the answer hides the fault of the credential.
tl::unexpected<Error> Guard::refuse_stranger(const Call& call, Error error) {
  note_breach(call.peer->endpoint(), error);
  call.peer->charge(kForNothing);
  if (call.access.callers == Callers::kPhones && error.code() == Code::kUnauthenticated) {
    if (const auto left_out = stranger_refusals_.admit(steady_clock::now())) {
      log_info("stranger.refused",
               {{"address", call.address().to_string()}, {"reason", error.reason}, {"left_out", *left_out}});
    }
    return fail(Reason::kAuthenticationFailed);
  }
  return fail(std::move(error));
}

void Guard::note(const Call& call, const Status& outcome, Duration took) {
  std::optional<Reason> refused;
  if (!outcome) refused = outcome.error().reason;
  use_cases_.metrics.count_request(call.access.short_name(), refused, took);
  const bool of_phone = call.access.callers == Callers::kPhones;
  if (call.known && !of_phone) return log(call, outcome, took, 0);
  const auto now = steady_clock::now();
  const auto left_out = call.known ? admit_line(call.caller, now) : stranger_calls_.admit(now);
  if (left_out) log(call, outcome, took, *left_out);
}

std::optional<int> Guard::admit_line(const std::string& device, steady_clock::time_point now) {
  const std::lock_guard lock(device_lines_mutex_);
  if (device_lines_.size() >= kMostDevicesCounted && !device_lines_.contains(device)) device_lines_.clear();
  return device_lines_.try_emplace(device, kLinesOfDevice).first->second.admit(now);
}

void Guard::log(const Call& call, const Status& outcome, Duration took, int left_out) {
  const std::string_view method = call.access.short_name();
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(took).count();
  const std::string address = call.address().to_string();
  if (outcome) {
    log_info("call.answered", {{"method", method},
                               {"caller", call.caller},
                               {"address", address},
                               {"ms", milliseconds},
                               {"left_out", left_out}});
  } else if (is_ours(outcome.error())) {
    log_warning("call.failed", outcome.error(),
                {{"method", method},
                 {"caller", call.caller},
                 {"address", address},
                 {"ms", milliseconds},
                 {"left_out", left_out}});
  } else {
    log_info("call.refused", {{"method", method},
                              {"caller", call.caller},
                              {"subject", to_utf8(call.subject, kLongestDetail)},
                              {"address", address},
                              {"ms", milliseconds},
                              {"reason", outcome.error().reason},
                              {"message", outcome.error().message},
                              {"left_out", left_out}});
  }
}

}  // namespace capf::rpc
