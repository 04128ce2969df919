#include "capf/rpc/enrol_session.h"

#include <utility>

namespace capf::rpc::enrol {

/// The events that the table distinguishes.
enum class Session::Input : std::uint8_t {
  // from the phone
  kCredential,
  kRequest,
  kConfirmation,
  kGiveUp,
  kCertificates,
  kKeyFailed,
  kStoreFailed,
  kDeleteFailed,
  kUnknown,
  // from the service
  kInstall,
  kDelete,
  kTroubleshoot,
  kIssued,
  kDone,
  kError,
};

struct Session::Transition {
  State from;
  Input input;
  State to;
  Step (Session::*action)();
};

// The whole dialogue. A message of the phone without a row here is out of turn.
const Session::Transition Session::kTransitions[] = {
    {State::kCredential, Input::kCredential, State::kBegin, &Session::ask_begin},
    {State::kBegin, Input::kInstall, State::kKey, &Session::send_pending},
    {State::kBegin, Input::kDelete, State::kDelete, &Session::send_pending},
    {State::kBegin, Input::kTroubleshoot, State::kFetch, &Session::send_pending},

    {State::kKey, Input::kRequest, State::kIssue, &Session::ask_issue},
    {State::kKey, Input::kKeyFailed, State::kReport, &Session::ask_report},
    {State::kIssue, Input::kIssued, State::kStore, &Session::send_issued},
    {State::kStore, Input::kConfirmation, State::kConfirm, &Session::ask_confirm},
    {State::kStore, Input::kStoreFailed, State::kReport, &Session::ask_report},
    {State::kConfirm, Input::kDone, State::kEnded, &Session::end_done},

    {State::kDelete, Input::kGiveUp, State::kGiveUp, &Session::ask_give_up},
    {State::kDelete, Input::kDeleteFailed, State::kReport, &Session::ask_report},
    {State::kGiveUp, Input::kDone, State::kEnded, &Session::end_done},

    {State::kFetch, Input::kCertificates, State::kHandOver, &Session::ask_hand_over},
    {State::kHandOver, Input::kDone, State::kEnded, &Session::end_done},

    {State::kReport, Input::kDone, State::kEnded, &Session::end_done},
};

Step Session::take(Input input) {
  for (const Transition& transition : kTransitions) {
    if (transition.from != state_ || transition.input != input) continue;
    state_ = transition.to;
    return (this->*transition.action)();
  }
  return end({Reason::kMessageUnexpected, "this message does not fit the dialogue"}, true);
}

Step Session::receive(const v1::EnrolRequest& message) {
  if (state_ == State::kEnded) return end(Error::of(Reason::kCallerGone), false);
  message_ = &message;
  Step step = take(classify(message));
  message_ = nullptr;
  return step;
}

Step Session::answer(Answer answer) {
  if (auto* const error = std::get_if<Error>(&answer)) return end(std::move(*error), false);
  answer_ = &answer;
  Step step = take(classify(answer));
  answer_ = nullptr;
  return step;
}

Step Session::timeout() {
  if (state_ == State::kCredential) return end(Error::of(Reason::kCredentialMissing), true);
  if (!authenticated_) return {};
  return end(Error::of(Reason::kDeadlinePassed), true);
}

Step Session::closed() {
  const bool begun = state_ != State::kEnded && authenticated_;
  if (!begun) return end(Error::of(Reason::kCallerGone), false);
  return end({Reason::kPhoneCommunication, "the phone closed the call"}, true);
}

Step Session::cut(Error why) { return end(std::move(why), false); }

Session::Input Session::classify(const v1::EnrolRequest& message) {
  switch (message.message_case()) {
    case v1::EnrolRequest::kCredential: return Input::kCredential;
    case v1::EnrolRequest::kCertificationRequest: return Input::kRequest;
    case v1::EnrolRequest::kConfirmation: return Input::kConfirmation;
    case v1::EnrolRequest::kGiveUp: return Input::kGiveUp;
    case v1::EnrolRequest::kCertificates: return Input::kCertificates;
    case v1::EnrolRequest::kFailure: return classify(message.failure());
    case v1::EnrolRequest::MESSAGE_NOT_SET: break;
  }
  return Input::kUnknown;
}

Session::Input Session::classify(v1::ReportFailureRequest::Failure failure) {
  switch (failure) {
    case v1::ReportFailureRequest::FAILURE_KEY_GENERATION: return Input::kKeyFailed;
    case v1::ReportFailureRequest::FAILURE_STORE: return Input::kStoreFailed;
    case v1::ReportFailureRequest::FAILURE_DELETE: return Input::kDeleteFailed;
    default: return Input::kUnknown;
  }
}

Session::Input Session::classify(const Answer& answer) {
  if (std::holds_alternative<Issued>(answer)) return Input::kIssued;
  if (std::holds_alternative<Done>(answer)) return Input::kDone;
  const auto* const begun = std::get_if<Begun>(&answer);
  if (begun == nullptr) return Input::kError;
  switch (begun->operation.kind()) {
    case v1::OPERATION_KIND_INSTALL: return Input::kInstall;
    case v1::OPERATION_KIND_DELETE: return Input::kDelete;
    case v1::OPERATION_KIND_TROUBLESHOOT: return Input::kTroubleshoot;
    default: return Input::kError;
  }
}

namespace {

Step ask(Question question) { return {.then = Step::Then::kAsk, .ask = question}; }

}  // namespace

Step Session::ask_begin() { return ask(Begin{&message_->credential()}); }
Step Session::ask_issue() { return ask(Issue{as_bytes(message_->certification_request())}); }
Step Session::ask_confirm() { return ask(Confirm{as_bytes(message_->confirmation())}); }
Step Session::ask_hand_over() { return ask(HandOver{&message_->certificates().certificates()}); }
Step Session::ask_give_up() { return ask(GiveUp{}); }
Step Session::ask_report() { return ask(ReportFailure{message_->failure()}); }

Step Session::send_pending() {
  authenticated_ = true;
  Step step{.send = v1::EnrolResponse()};
  *step.send->mutable_pending() = std::move(std::get<Begun>(*answer_).operation);
  return step;
}

Step Session::send_issued() {
  Step step{.send = v1::EnrolResponse()};
  *step.send->mutable_issued() = std::move(std::get<Issued>(*answer_).issued);
  return step;
}

Step Session::end_done() {
  Step step{.send = v1::EnrolResponse(), .then = Step::Then::kEnd};
  step.send->mutable_done()->set_revoked(std::get<Done>(*answer_).revoked);
  return step;
}

Step Session::end(Error why, bool to_record) {
  state_ = State::kEnded;
  Step step{.then = Step::Then::kEnd};
  step.outcome = tl::unexpected<Error>(std::move(why));
  step.to_record = to_record;
  return step;
}

}  // namespace capf::rpc::enrol
