#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include <google/protobuf/repeated_field.h>

#include "capf/base/bytes.h"
#include "capf/base/error.h"
#include "capf/base/time.h"
#include "capf/v1/phone.pb.h"

// The dialogue of one call of Enrol, without gRPC, the service and a clock: messages of the phone, answers of the
// service and the ends of waits go in, steps come out.

namespace capf::rpc::enrol {

/// A phone is to say who it is within this time.
inline constexpr std::chrono::seconds kCredentialWait{10};

// The questions to the service. They point into the message that was given to receive().

/// Which phone is it, and what is pending for it? Answered with Begun.
struct Begin {
  const v1::Credential* credential = nullptr;
};
/// An LSC for the key of this PKCS #10. Answered with Issued.
struct Issue {
  BytesView request;
};
/// The phone has stored the certificate that was issued, as this signature shows. Answered with Done.
struct Confirm {
  BytesView signature;
};
/// The phone gives up its LSC. Answered with Done.
struct GiveUp {};
/// The phone's certificates, for the record. Answered with Done.
struct HandOver {
  const google::protobuf::RepeatedPtrField<std::string>* certificates = nullptr;
};
/// The phone cannot do the operation. Answered with Done.
struct ReportFailure {
  v1::ReportFailureRequest::Failure failure = v1::ReportFailureRequest::FAILURE_UNSPECIFIED;
};
using Question = std::variant<Begin, Issue, Confirm, GiveUp, HandOver, ReportFailure>;

struct Begun {
  v1::PendingOperation operation;
};
struct Issued {
  v1::EnrolIssued issued;
};
struct Done {
  int revoked = 0;
};
/// An error ends the call. The service has already recorded it.
using Answer = std::variant<Begun, Issued, Done, Error>;

/// The next step: first send, then one of three.
struct Step {
  enum class Then : std::uint8_t { kWait, kAsk, kEnd };

  std::optional<v1::EnrolResponse> send{};
  Then then = Then::kWait;
  std::optional<Question> ask{};  ///< kAsk
  Status outcome{};               ///< kEnd: of the call
  bool to_record = false;         ///< kEnd: whether the service does not know the error yet
};

/// The state of a session, for tests.
enum class State : std::uint8_t {
  kCredential,  ///< the phone is to say who it is
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
  Step receive(const v1::EnrolRequest& message);
  /// Takes the answer to the question of the last step.
  Step answer(Answer answer);
  /// The phone has let its time pass: kCredentialWait, and once the service has authenticated it, that of its
  /// operation. Changes nothing between them.
  Step timeout();
  /// The phone closed its side of the call, or the connection broke.
  Step closed();
  /// The server ends the call, for a reason that is on record or need not be.
  Step cut(Error why);

  State state() const { return state_; }
  /// Whether the service has authenticated the phone.
  bool authenticated() const { return authenticated_; }

 private:
  enum class Input : std::uint8_t;
  struct Transition;
  static const Transition kTransitions[];

  static Input classify(const v1::EnrolRequest& message);
  static Input classify(v1::ReportFailureRequest::Failure failure);
  static Input classify(const Answer& answer);
  Step take(Input input);

  // The actions of the table.
  Step ask_begin();
  Step send_pending();
  Step ask_issue();
  Step send_issued();
  Step ask_confirm();
  Step ask_hand_over();
  Step ask_give_up();
  Step ask_report();
  Step end_done();

  Step end(Error why, bool to_record);

  State state_ = State::kCredential;
  bool authenticated_ = false;

  // The time of the event in progress.
  const v1::EnrolRequest* message_ = nullptr;
  Answer* answer_ = nullptr;
};

}  // namespace capf::rpc::enrol
