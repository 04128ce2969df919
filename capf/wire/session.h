#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>

#include "capf/base/bytes.h"
#include "capf/base/error.h"
#include "capf/base/time.h"
#include "capf/domain/device.h"
#include "capf/domain/operation.h"
#include "capf/net/pace.h"
#include "capf/wire/message.h"

// The dialogue with one phone, without sockets and without a clock: octets of the phone, answers of the service and the
// ends of waits go in, steps come out.

namespace capf::wire {

struct SessionSettings {
  Duration first_answer = std::chrono::seconds(10);    ///< to the auth request; the phone is still unauthenticated
  Duration answer = std::chrono::seconds(30);          ///< to every other request but the next one
  Duration key_generation = std::chrono::minutes(30);  ///< *request in progress* does not extend it
  bool conceal_devices = false;                        ///< unknown and idle devices too are answered reason 7
};

/// The elements with which a phone proves a certificate, still unverified. Empty views: not sent.
struct ProofElements {
  CertificateElement certificate;
  BytesView signed_data;
  Sha2Signature sha2_signed_data;
  std::optional<Sudi> sudi;
};

// The questions to the service. Views point into the octets that were given to receive().

/// Which phone is it, and which operation is pending for it? Answered with Begun.
struct Begin {
  DeviceName device;
  std::uint8_t version = kVersion3;          ///< of the protocol, as the phone speaks it
  std::optional<std::string_view> password;  ///< never empty
  std::optional<ProofElements> proof;
};
/// An LSC for this key. Answered with Issued.
struct Issue {
  BytesView public_key;  ///< SubjectPublicKeyInfo, as it was sent
};
/// The phone has stored the certificate that was issued. Answered with Done.
struct Confirm {};
/// The phone has deleted its LSC. Answered with Done.
struct GiveUp {};
/// The phone's certificate, for the record. Answered with Done.
struct HandOver {
  CertificateElement certificate;
};
/// The authenticated phone cannot do the operation. Answered with Done.
struct ReportFailure {
  enum class What : std::uint8_t {
    kKeyGeneration,  ///< it could not make a key, or not in time
    kStore,
    kDelete,
    kFetch,
    kNoEc,  ///< the operation is *EC only* and the phone's version of the protocol has RSA only
  };
  What what = What::kKeyGeneration;
  std::optional<std::uint8_t> reason;  ///< the number that the phone gave; absent: it gave none, or was silent
};
using Question = std::variant<Begin, Issue, Confirm, GiveUp, HandOver, ReportFailure>;

struct Begun {
  OperationKind kind = OperationKind::kInstall;
  KeyPolicy key;
  int failures = 0;  ///< how often this operation's key could not be generated: then *EC preferred* falls back to RSA
};
struct Issued {
  Bytes certificate;  ///< DER
};
struct Done {};
/// Errors: UNKNOWN_DEVICE and NO_PENDING_OPERATION have an answer of their own to the phone; unavailable, outcome
/// unknown, conflict and internal end the session without an answer; all others refuse. The service has already
/// recorded the refusal.
using Answer = std::variant<Begun, Issued, Done, Error>;

/// The next step: first send, then one of three.
struct Step {
  enum class Then : std::uint8_t { kWait, kAsk, kClose };

  Bytes send;  ///< one message, for one write; empty: nothing
  Then then = Then::kWait;
  /// kWait: how long from now at most; absent: as long as the wait before has left.
  std::optional<Duration> wait;
  std::optional<Question> ask;   ///< kAsk
  std::optional<Error> refused;  ///< kClose, for a reason that the service does not know yet: to be recorded
  std::size_t used = 0;          ///< octets of receive() that were processed; to be dropped before it is called again
};

/// The state of a session, for the trace and for tests.
enum class State : std::uint8_t {
  kAuth,  ///< the phone is to say who it is
  kBegin,
  kKey,  ///< the phone generates its key
  kIssue,
  kStore,
  kConfirm,
  kFetch,
  kHandOver,
  kDelete,
  kGiveUp,
  kReport,
  kEnded,
};

/// One session. Threads: one at a time.
class Session {
 public:
  /// @param id drawn from a cryptographic generator: it is the challenge that a fresh proof signs.
  Session(std::uint32_t id, const SessionSettings& settings);

  /// The server speaks first.
  Step start();
  /// @param data everything that the phone has sent and that is not yet processed. To be called again with the rest, if
  /// there is any, where the step is to wait. @param now by which *request in progress* is rationed
  Step receive(BytesView data, net::Pace::Moment now);
  /// Takes the answer to the question of the last step.
  Step answer(const Answer& answer);
  /// The wait is over before a whole message has come.
  Step timeout();
  /// The phone closed the connection, or it broke.
  Step closed();

  std::uint32_t id() const { return id_; }
  State state() const { return state_; }
  /// Whether the service has authenticated the phone.
  bool authenticated() const { return begun_.has_value(); }

 private:
  enum class Input : std::uint8_t;
  struct Transition;
  static const Transition kTransitions[];

  Input classify(const Message& message);
  Input classify_in_progress();
  Input classify_auth(const Message& message);
  Input classify(const Answer& answer);
  Input refuse_as(Reason reason, std::string words);
  Step take(Input input);

  // The actions of the table.
  Step ask_begin();
  Step ask_key();
  Step ask_issue();
  Step send_certificate();
  Step ask_confirm();
  Step ask_fetch();
  Step ask_hand_over();
  Step ask_delete();
  Step ask_give_up();
  Step report();
  Step report_late();
  Step keep_waiting();
  Step end_updated();
  Step end_no_action();
  Step end_unknown();
  Step end_refused();
  Step break_off();
  Step give_up_waiting();
  Step nothing();

  Message request(Command command) const { return Message{command, id_}; }
  Step say(const Message& message, Duration wait);
  Step say_end(std::uint8_t reason);
  Step ask(Question question);
  bool wants_ec() const;

  const std::uint32_t id_;
  const SessionSettings& settings_;
  State state_ = State::kAuth;
  std::uint8_t version_ = 0;
  std::optional<Begun> begun_;
  int in_progress_ = 0;         ///< messages before the phone was authenticated
  net::Pace in_progress_pace_;  ///< rations those after it: seconds of a phone's waiting

  // The time of the event in progress.
  net::Pace::Moment now_{};
  Message message_;
  std::optional<DeviceName> device_;
  const Answer* answer_ = nullptr;
  std::optional<ReportFailure> failure_;
  std::optional<Error> refused_;
};

}  // namespace capf::wire
