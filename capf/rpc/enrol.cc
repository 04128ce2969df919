#include "capf/rpc/enrol.h"

#include <chrono>
#include <mutex>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "capf/base/contained.h"
#include "capf/base/log.h"
#include "capf/ca/confirmation.h"
#include "capf/rpc/convert.h"
#include "capf/rpc/enrol_session.h"
#include "capf/rpc/status.h"

namespace capf::rpc {
namespace {

using std::chrono::steady_clock;

/// From one look at a silent phone's authority to the next. A phone that loses it is cut within 10 s, of which the tick
/// and the look itself have the rest.
constexpr std::chrono::seconds kCheckPeriod{9};
/// The time for records that wait when the server stops.
constexpr std::chrono::seconds kLastRecords{2};

/// Answers the questions of one session by the use cases. It keeps the caller's dialogue and the
/// connection's certificate, never the digits. Threads: one at a time.
class Clerk {
 public:
  Clerk(PhoneStream& stream, const EnrolParts& parts, const OpenEnrolment& call)
      : stream_(stream), parts_(parts), call_(call) {}

  enrol::Answer answer(const enrol::Question& question) {
    try {
      auto place = stream_.admit();
      if (!place) return std::move(place).error();
      return std::visit([this](const auto& asked) { return serve(asked); }, question);
    } catch (const std::exception& error) {
      return fail_internal(error.what()).value();
    }
  }

  /// The end of the operation's time, which the call knows without the database; nothing for a stranger.
  std::optional<steady_clock::time_point> deadline() const { return deadline_; }

  /// Whether the dialogue may go on while the phone is silent. A server that cannot say ends nothing.
  Status check() {
    try {
      Status may = parts_.enrolment.check(*caller_);
      if (!may && (may_be_repeated(may.error().code()) || is_servers_fault(may.error().code()))) return {};
      return may;
    } catch (const std::exception& error) {
      log_error("enrolment.unchecked", {{"cause", error.what()}});
      return {};
    }
  }

  bool knows_phone() const { return caller_.has_value(); }

  /// Counts the refusal of a stranger. Does not block. @return what is told of it
  Error refuse(Error why) { return stream_.refuse(std::move(why)); }

  /// Puts on record what ends the call of a phone.
  void record(const Error& why) {
    if (parts_.enrolments.closed_for(kLastRecords)) return lose(why);
    try {
      parts_.enrolment.broke_off(*caller_, why);
    } catch (const std::exception& error) {
      lose({why.reason, why.message, error.what()});
    }
  }

  /// The log alone has it.
  void lose(const Error& why) {
    const auto left_out = parts_.lost.admit(steady_clock::now());
    if (left_out) log_warning("record.dropped", why, {{"device", caller_->device.text()}, {"left_out", *left_out}});
  }

 private:
  enrol::Answer serve(const enrol::Begin& begin) {
    auto caller = stream_.read(*begin.credential);
    if (!caller) return std::move(caller).error();
    auto begun = parts_.enrolment.begin(*caller);
    Status verdict;
    if (!begun) verdict = tl::unexpected<Error>(begun.error());
    stream_.take_verdict(verdict);
    if (!begun) return std::move(begun).error();
    const DialogueNumber number{begun->begun.operation_id.value_or(0), begun->begun.session.value_or(0)};
    Status entered = parts_.enrolments.enter(call_, begun->begun.phone_id, number);
    if (!entered) return std::move(entered).error();
    deadline_ = steady_clock::now() + begun->left;
    caller->begun = std::move(begun->begun);
    caller->auth_string.reset();
    caller_.emplace(*std::move(caller));
    enrol::Begun answer;
    to_proto(begun->operation, answer.operation);
    return answer;
  }

  enrol::Answer serve(const enrol::Issue& issue) {
    auto lsc = parts_.enrolment.issue(*caller_, issue.request);
    if (!lsc) return std::move(lsc).error();
    parts_.random.randomize(nonce_.data(), nonce_.size());
    enrol::Issued answer;
    answer.issued.set_certificate(to_octets(lsc->certificate));
    for (const Bytes& certificate : lsc->chain) answer.issued.add_chain(to_octets(certificate));
    answer.issued.set_nonce(to_octets(nonce_));
    issued_ = std::move(lsc->certificate);
    return answer;
  }

  enrol::Answer serve(const enrol::Confirm& confirm) {
    Status signed_well = ca::verify_confirmation(issued_, caller_->device, nonce_, confirm.signature);
    if (!signed_well) {
      record(signed_well.error());
      return std::move(signed_well).error();
    }
    return done(parts_.enrolment.confirm(*caller_, sha256(issued_)));
  }

  enrol::Answer serve(const enrol::GiveUp&) {
    auto revoked = parts_.enrolment.give_up(*caller_);
    if (!revoked) return std::move(revoked).error();
    return enrol::Done{*revoked};
  }

  enrol::Answer serve(const enrol::HandOver& hand) {
    std::vector<Bytes> certificates;
    for (const std::string& der : *hand.certificates) {
      const BytesView octets = as_bytes(der);
      certificates.emplace_back(octets.begin(), octets.end());
    }
    return done(parts_.enrolment.hand_over(*caller_, certificates));
  }

  enrol::Answer serve(const enrol::ReportFailure& report) {
    auto failure = from_proto(report.failure);
    if (!failure) return std::move(failure).error();
    return done(parts_.enrolment.report_failure(*caller_, *failure));
  }

  static enrol::Answer done(Status status) {
    if (!status) return std::move(status).error();
    return enrol::Done{};
  }

  PhoneStream& stream_;
  const EnrolParts& parts_;
  const OpenEnrolment& call_;
  std::optional<service::Caller> caller_;  ///< who has proven the device
  std::optional<steady_clock::time_point> deadline_;
  Bytes issued_;                   ///< the certificate that waits for its confirmation
  ca::ConfirmationNonce nonce_{};  ///< drawn for it
};

/// One of these is under way at any time: a read, beside which a check may run; work for a message; or a write.
/// Finish() is called once, when neither work nor a write is; gRPC then calls OnDone() after everything else.
class EnrolCall final : public EnrolReactor, public OpenEnrolment, public std::enable_shared_from_this<EnrolCall> {
 public:
  EnrolCall(std::unique_ptr<PhoneStream> stream, const EnrolParts& parts)
      : stream_(std::move(stream)), parts_(parts), clerk_(*stream_, parts_, *this) {}

  void start() {
    self_ = shared_from_this();
    {
      const std::lock_guard lock(mutex_);
      StartRead(&request_);
    }
    contain([this] { parts_.enrolments.add(self_); });
  }

  void OnReadDone(bool arrived) override {
    contain([this, arrived] {
      const std::lock_guard lock(mutex_);
      if (working_) {
        arrived_ = arrived;  // a check is soon done
      } else if (!finished_) {
        take_read(arrived);
      }
    });
  }

  void OnWriteDone(bool written) override {
    contain([this, written] {
      const std::lock_guard lock(mutex_);
      writing_ = false;
      if (finished_) return;
      if (ending_) return finish(*ending_);
      if (cut_) return take(session_.cut(*cut_));
      if (!written) return take(session_.closed());
      StartRead(&request_);
    });
  }

  /// The last part of the call that gRPC tells of.
  void OnDone() override {
    parts_.enrolments.leave(*this);
    // The string of a credential that nobody has read is wiped too.
    run_contained("enrolment.failed",
                  [this] { static_cast<void>(take_auth_string(request_.credential().auth_string())); });
    stream_.reset();
    self_.reset();
  }

  void tick(Moment now) override {
    contain([this, now] {
      const std::lock_guard lock(mutex_);
      if (working_ || writing_ || finished_) return;
      if (now >= clerk_.deadline().value_or(begun_ + enrol::kCredentialWait)) return take(session_.timeout());
      if (session_.authenticated() && !check_waits_ && now - checked_ >= kCheckPeriod) ask_for_check(now);
    });
  }

  void end(const Error& why) override {
    contain([this, &why] {
      const std::lock_guard lock(mutex_);
      if (finished_) return;
      cut_ = why;
      if (!working_ && !writing_) take(session_.cut(why));
    });
  }

 private:
  /// Does a part of the call on a thread of somebody else. An exception is logged, and ends the call.
  template <class Part>
  void contain(Part part) {
    if (run_contained("enrolment.failed", part)) return;
    run_contained("enrolment.failed", [this] {
      const std::lock_guard lock(mutex_);
      break_off();
    });
  }

  /// On one of the threads for checks. Until there was one, neither the phone nor the end of the call waited for it.
  void check() {
    std::unique_lock lock(mutex_);
    check_waits_ = false;
    if (working_ || writing_ || finished_) return;
    working_ = true;
    lock.unlock();
    Status may;
    run_contained("enrolment.unchecked", [&] { may = clerk_.check(); });
    lock.lock();
    working_ = false;
    if (!may) return take(session_.cut(std::move(may).error()));
    go_on();
  }

  // The caller of each of these holds the mutex.

  /// Goes on with what came while a check was under way.
  void go_on() {
    if (cut_) return take(session_.cut(*cut_));
    if (const auto arrived = std::exchange(arrived_, std::nullopt)) take_read(*arrived);
  }

  void take_read(bool arrived) { take(arrived ? session_.receive(request_) : session_.closed()); }

  void take(enrol::Step step) {
    switch (step.then) {
      case enrol::Step::Then::kWait:
        if (step.send) write(*std::move(step.send));
        return;
      case enrol::Step::Then::kAsk: return ask(*step.ask);
      case enrol::Step::Then::kEnd: return take_end(std::move(step));
    }
  }

  /// Without room for one more, the next tick tries again.
  void ask_for_check(Moment now) {
    check_waits_ = parts_.checks.give([self = shared_from_this()] { self->contain([&self] { self->check(); }); });
    if (check_waits_) checked_ = now;
  }

  void ask(const enrol::Question& question) {
    const bool given = work(
        parts_.messages, [this, question] { return clerk_.answer(question); },
        [this](enrol::Answer answer) {
          checked_ = steady_clock::now();
          if (cut_) return take(session_.cut(*cut_));
          take(session_.answer(std::move(answer)));
        });
    if (!given) take(session_.cut(Error::of(Reason::kOverloaded)));
  }

  void take_end(enrol::Step step) {
    if (step.send) {
      ending_ = std::move(step.outcome);
      return write(*std::move(step.send));
    }
    if (!step.to_record) return finish(step.outcome);
    if (!clerk_.knows_phone()) return finish(fail(clerk_.refuse(std::move(step.outcome).error())));
    record_and_finish(step.outcome.error());
  }

  /// The call gives up its place among the open ones before, because its record may wait for others.
  void record_and_finish(const Error& why) {
    parts_.enrolments.leave(*this);
    const auto record = [this, why] {
      clerk_.record(why);
      return why;
    };
    const auto take_recorded = [this](const Error& recorded) { finish(fail(recorded)); };
    if (work(parts_.records, record, take_recorded)) return;
    clerk_.lose(why);
    finish(fail(why));
  }

  void write(v1::EnrolResponse response) {
    response_ = std::move(response);
    StartWrite(&response_);
    writing_ = true;
  }

  void finish(const Status& outcome) {
    finished_ = true;
    grpc::Status answer(grpc::StatusCode::INTERNAL, std::string());
    run_contained("enrolment.failed", [&] {
      answer = outcome ? grpc::Status::OK : to_grpc(outcome.error());
      stream_->end(outcome);
    });
    Finish(answer);
  }

  /// Ends the call after an exception, unless a work or a write is under way, which ends in its own time.
  void break_off() {
    if (!working_ && !writing_ && !finished_) finish(fail(Reason::kInternal));
  }

  /// Does it on a thread of these, and then `take_result` with the mutex. @return false where all are busy
  template <class Work, class Take>
  bool work(Workers& workers, Work work, Take take_result) {
    const bool given = workers.give([self = shared_from_this(), work, take_result] {
      std::optional<std::invoke_result_t<const Work&>> result;
      run_contained("enrolment.failed", [&] { result.emplace(work()); });
      self->contain([&] {
        const std::lock_guard lock(self->mutex_);
        self->working_ = false;
        if (!result) return self->break_off();
        take_result(*std::move(result));
      });
    });
    working_ = given;
    return given;
  }

  std::unique_ptr<PhoneStream> stream_;
  const EnrolParts& parts_;
  Clerk clerk_;
  std::shared_ptr<EnrolCall> self_;  ///< until gRPC is done with it
  std::mutex mutex_;
  enrol::Session session_;
  v1::EnrolRequest request_;
  v1::EnrolResponse response_;
  const Moment begun_ = steady_clock::now();
  Moment checked_ = begun_;
  bool check_waits_ = false;  ///< for a thread
  bool working_ = false;
  bool writing_ = false;
  bool finished_ = false;
  std::optional<bool> arrived_;   ///< a read that ended while a check was under way
  std::optional<Error> cut_;      ///< why the server ends the call
  std::optional<Status> ending_;  ///< how the call ends after the message that is being written
};

}  // namespace

EnrolReactor* serve_enrol(std::unique_ptr<PhoneStream> stream, const EnrolParts& parts) {
  const auto call = std::make_shared<EnrolCall>(std::move(stream), parts);
  EnrolReactor* const reactor = call.get();
  call->start();
  return reactor;
}

}  // namespace capf::rpc
