#include "capf/wire/session.h"

#include <utility>

namespace capf::wire {
namespace {

/// How many *request in progress* an unauthenticated phone may send.
constexpr int kMostInProgress = 3;
/// And an authenticated one: one in each second, and so many at once.
constexpr std::chrono::seconds kOneInProgress{1};
constexpr std::chrono::seconds kInProgressAtOnce{10};

}  // namespace

/// The events that the table distinguishes.
enum class Session::Input : std::uint8_t {
  // from the phone
  kAuthResponse,
  kKey,
  kKeyFailed,
  kStored,
  kStoreRefused,
  kCertificate,
  kFetchRefused,
  kDeleted,
  kDeleteRefused,
  kInProgress,
  kBreach,  ///< a message against the rules
  // from the service
  kInstall,
  kInstallWithoutEc,  ///< EC only, and the phone has RSA only
  kTroubleshoot,
  kDelete,
  kIssued,
  kDone,
  kNothingPending,
  kUnknownDevice,
  kRefused,
  kCannotSay,
  // from the connection
  kTimeout,
  kClosed,
};

struct Session::Transition {
  State from;
  Input input;
  State to;
  Step (Session::*action)();
};

// The whole dialogue. A message of the phone without a row here is out of turn: it is refused like a breach.
const Session::Transition Session::kTransitions[] = {
    {State::kAuth, Input::kAuthResponse, State::kBegin, &Session::ask_begin},
    {State::kBegin, Input::kInstall, State::kKey, &Session::ask_key},
    {State::kBegin, Input::kInstallWithoutEc, State::kReport, &Session::report},
    {State::kBegin, Input::kTroubleshoot, State::kFetch, &Session::ask_fetch},
    {State::kBegin, Input::kDelete, State::kDelete, &Session::ask_delete},
    {State::kBegin, Input::kNothingPending, State::kEnded, &Session::end_no_action},
    {State::kBegin, Input::kUnknownDevice, State::kEnded, &Session::end_unknown},

    {State::kKey, Input::kKey, State::kIssue, &Session::ask_issue},
    {State::kKey, Input::kKeyFailed, State::kReport, &Session::report},
    {State::kKey, Input::kTimeout, State::kReport, &Session::report_late},
    {State::kIssue, Input::kIssued, State::kStore, &Session::send_certificate},
    {State::kStore, Input::kStored, State::kConfirm, &Session::ask_confirm},
    {State::kStore, Input::kStoreRefused, State::kReport, &Session::report},
    {State::kConfirm, Input::kDone, State::kEnded, &Session::end_updated},

    {State::kFetch, Input::kCertificate, State::kHandOver, &Session::ask_hand_over},
    {State::kFetch, Input::kFetchRefused, State::kReport, &Session::report},
    {State::kHandOver, Input::kDone, State::kEnded, &Session::end_no_action},

    {State::kDelete, Input::kDeleted, State::kGiveUp, &Session::ask_give_up},
    {State::kDelete, Input::kDeleteRefused, State::kReport, &Session::report},
    {State::kGiveUp, Input::kDone, State::kEnded, &Session::end_updated},

    {State::kReport, Input::kDone, State::kEnded, &Session::end_refused},

    {State::kAuth, Input::kInProgress, State::kAuth, &Session::keep_waiting},
    {State::kKey, Input::kInProgress, State::kKey, &Session::keep_waiting},
    {State::kStore, Input::kInProgress, State::kStore, &Session::keep_waiting},
    {State::kFetch, Input::kInProgress, State::kFetch, &Session::keep_waiting},
    {State::kDelete, Input::kInProgress, State::kDelete, &Session::keep_waiting},
};

Step Session::take(Input input) {
  if (state_ == State::kEnded) return nothing();
  for (const Transition& transition : kTransitions) {
    if (transition.from != state_ || transition.input != input) continue;
    state_ = transition.to;
    return (this->*transition.action)();
  }
  switch (input) {
    case Input::kAuthResponse:
    case Input::kKey:
    case Input::kKeyFailed:
    case Input::kStored:
    case Input::kStoreRefused:
    case Input::kCertificate:
    case Input::kFetchRefused:
    case Input::kDeleted:
    case Input::kDeleteRefused:
    case Input::kInProgress:
      refuse_as(Reason::kMessageUnexpected, "the phone sent " + describe(message_.command) + " out of turn");
      [[fallthrough]];
    case Input::kBreach:
    case Input::kRefused: return end_refused();
    case Input::kTimeout: return give_up_waiting();
    case Input::kClosed: refuse_as(Reason::kPhoneCommunication, "the phone closed the connection"); break;
    case Input::kInstall:
    case Input::kInstallWithoutEc:
    case Input::kTroubleshoot:
    case Input::kDelete:
    case Input::kIssued:
    case Input::kDone:
    case Input::kNothingPending:
    case Input::kUnknownDevice:  // the service answered a question that it was not asked
    case Input::kCannotSay: break;
  }
  return break_off();
}

Session::Session(std::uint32_t id, const SessionSettings& settings)
    : id_(id), settings_(settings), in_progress_pace_(kInProgressAtOnce, 1) {}

Step Session::start() {
  Message auth = request(Command::kAuthRequest);
  auth.version = kVersion3;
  return say(auth, settings_.first_answer);
}

Step Session::receive(BytesView data, net::Pace::Moment now) {
  if (state_ == State::kEnded) return nothing();
  now_ = now;
  message_ = Message{};
  const Taken taken = take_frame(data, kLongestAccepted);
  if (std::holds_alternative<More>(taken)) return keep_waiting();
  if (const auto* malformed = std::get_if<Malformed>(&taken)) {
    return take(refuse_as(Reason::kMessageMalformed, std::string(malformed->why)));
  }
  const Frame& frame = std::get<Frame>(taken);
  const auto read = read_message(frame);
  Input input = Input::kBreach;
  if (const auto* malformed = std::get_if<Malformed>(&read)) {
    refuse_as(Reason::kMessageMalformed,
              describe(static_cast<Command>(frame.command)) + ": " + std::string(malformed->why));
  } else if (message_ = std::get<Message>(read); message_.session_id != id_) {
    refuse_as(Reason::kMessageMalformed, "the session id is not that of this session");
  } else {
    input = classify(message_);
  }
  Step step = take(input);
  if (step.then == Step::Then::kAsk && data.size() > frame.size()) {
    refuse_as(Reason::kMessageUnexpected, "the phone sent a message before it was asked");
    step = end_refused();
  }
  step.used = frame.size();
  return step;
}

Step Session::answer(const Answer& answer) {
  answer_ = &answer;
  Step step = take(classify(answer));
  answer_ = nullptr;
  return step;
}

Step Session::timeout() { return take(Input::kTimeout); }
Step Session::closed() { return take(Input::kClosed); }

Session::Input Session::refuse_as(Reason reason, std::string words) {
  refused_ = Error{reason, std::move(words), {}};
  return Input::kBreach;
}

Session::Input Session::classify(const Message& message) {
  // Every answer but the one with a key says in its reason whether the phone did it.
  const auto outcome = [&](Input done, Input not_done, ReportFailure::What what) {
    if (!message.reason) {
      return refuse_as(Reason::kMessageMalformed, describe(message.command) + " without a reason");
    }
    if (*message.reason == kReasonUpdated) return done;
    failure_ = ReportFailure{what, message.reason};
    return not_done;
  };
  using What = ReportFailure::What;
  switch (message.command) {
    case Command::kAuthResponse: return classify_auth(message);
    case Command::kKeyGenerateResponse:
      if (message.public_key && message.reason.value_or(kReasonUpdated) == kReasonUpdated) return Input::kKey;
      if (message.reason == kReasonUpdated) {
        return refuse_as(Reason::kMessageMalformed, "key_generate_response without a key");
      }
      return outcome(Input::kKeyFailed, Input::kKeyFailed, What::kKeyGeneration);
    case Command::kStoreResponse: return outcome(Input::kStored, Input::kStoreRefused, What::kStore);
    case Command::kDeleteResponse: return outcome(Input::kDeleted, Input::kDeleteRefused, What::kDelete);
    case Command::kFetchResponse: {
      const Input input = outcome(Input::kCertificate, Input::kFetchRefused, What::kFetch);
      if (input != Input::kCertificate || message.certificate) return input;
      return refuse_as(Reason::kMessageMalformed, "fetch_response without a certificate");
    }
    case Command::kRequestInProgress: return classify_in_progress();
    case Command::kAuthRequest:
    case Command::kKeyGenerateRequest:
    case Command::kStoreRequest:
    case Command::kFetchRequest:
    case Command::kDeleteRequest:
    case Command::kEndSession: break;
  }
  return refuse_as(Reason::kMessageUnexpected, "a phone does not send " + describe(message.command));
}

Session::Input Session::classify_in_progress() {
  bool too_often = false;
  if (authenticated()) {
    in_progress_pace_.spend(kOneInProgress, now_);
    too_often = in_progress_pace_.ready() > now_;
  } else {
    too_often = ++in_progress_ > kMostInProgress;
  }
  if (!too_often) return Input::kInProgress;
  return refuse_as(Reason::kMessageUnexpected, "the phone sent " + describe(message_.command) + " too often");
}

Session::Input Session::classify_auth(const Message& message) {
  if (message.reason && *message.reason != kReasonUpdated) {
    return refuse_as(Reason::kPhoneRefused,
                     "the phone answers the auth request with reason " + std::to_string(*message.reason));
  }
  const std::uint8_t version = message.version.value_or(0);
  if (version != kVersion2 && version != kVersion3) {
    return refuse_as(Reason::kMessageMalformed, "the phone speaks neither version 2 nor version 3");
  }
  if (!message.device) return refuse_as(Reason::kMessageMalformed, "auth_response without a device name");
  auto device = DeviceName::parse(*message.device);
  if (!device) return refuse_as(device.error().reason, device.error().message);
  device_ = *std::move(device);
  version_ = version;
  return Input::kAuthResponse;
}

Session::Input Session::classify(const Answer& answer) {
  if (std::holds_alternative<Issued>(answer)) return Input::kIssued;
  if (std::holds_alternative<Done>(answer)) return Input::kDone;
  if (const auto* begun = std::get_if<Begun>(&answer)) {
    begun_ = *begun;
    switch (begun->kind) {
      case OperationKind::kDelete: return Input::kDelete;
      case OperationKind::kTroubleshoot: return Input::kTroubleshoot;
      case OperationKind::kInstall: break;
    }
    if (begun->key.order != KeyOrder::kEc || version_ == kVersion3) return Input::kInstall;
    failure_ = ReportFailure{ReportFailure::What::kNoEc, {}};
    return Input::kInstallWithoutEc;
  }
  const Error& error = std::get<Error>(answer);
  if (may_be_repeated(error.code()) || is_servers_fault(error.code())) return Input::kCannotSay;
  if (state_ != State::kBegin || settings_.conceal_devices) return Input::kRefused;
  if (error.reason == Reason::kUnknownDevice) return Input::kUnknownDevice;
  return error.reason == Reason::kNoPendingOperation ? Input::kNothingPending : Input::kRefused;
}

Step Session::ask_begin() {
  Begin begin{*device_, version_, {}, {}};
  if (message_.password && !message_.password->empty()) begin.password = message_.password;
  // Where there is any part of a proof, the proof must be complete.
  if (message_.certificate || message_.signed_data || message_.sha2_signed_data || message_.sudi) {
    begin.proof =
        ProofElements{message_.certificate.value_or(CertificateElement{}), message_.signed_data.value_or(BytesView{}),
                      message_.sha2_signed_data.value_or(Sha2Signature{}), message_.sudi};
  }
  return ask(std::move(begin));
}

bool Session::wants_ec() const {
  if (version_ != kVersion3) return false;
  switch (begun_->key.order) {
    case KeyOrder::kRsa: return false;
    case KeyOrder::kEc: return true;
    case KeyOrder::kEcRsa: return begun_->failures == 0;
  }
  return false;
}

Step Session::ask_key() {
  Message key = request(Command::kKeyGenerateRequest);
  if (wants_ec()) {
    key.key_type = kKeyEc;
    key.curve = curve_of_bits(begun_->key.ec_bits);
  } else {
    key.key_size = static_cast<std::uint16_t>(begun_->key.rsa_bits);
    if (version_ == kVersion3) key.key_type = kKeyRsa;
  }
  return say(key, settings_.key_generation);
}

Step Session::ask_issue() { return ask(Issue{*message_.public_key}); }

Step Session::send_certificate() {
  Message store = request(Command::kStoreRequest);
  store.certificate_type = kTypeLsc;
  store.certificate = CertificateElement{kTypeLsc, std::get<Issued>(*answer_).certificate};
  return say(store, settings_.answer);
}

Step Session::ask_confirm() { return ask(Confirm{}); }
Step Session::ask_fetch() { return say(request(Command::kFetchRequest), settings_.answer); }
Step Session::ask_hand_over() { return ask(HandOver{*message_.certificate}); }
Step Session::ask_delete() { return say(request(Command::kDeleteRequest), settings_.answer); }
Step Session::ask_give_up() { return ask(GiveUp{}); }
Step Session::report() { return ask(*std::exchange(failure_, std::nullopt)); }
Step Session::report_late() { return ask(ReportFailure{ReportFailure::What::kKeyGeneration, {}}); }
Step Session::keep_waiting() { return {}; }
Step Session::end_updated() { return say_end(kReasonUpdated); }
Step Session::end_no_action() { return say_end(kReasonNoAction); }
Step Session::end_unknown() { return say_end(kReasonUnknownDevice); }
Step Session::end_refused() { return say_end(kReasonInvalidElement); }

Step Session::give_up_waiting() {
  refuse_as(Reason::kPhoneCommunication, "the phone did not answer in time");
  return break_off();
}

Step Session::break_off() {
  Step step = nothing();
  state_ = State::kEnded;
  step.refused = std::exchange(refused_, std::nullopt);
  return step;
}

Step Session::nothing() {
  Step step;
  step.then = Step::Then::kClose;
  return step;
}

Step Session::say(const Message& message, Duration wait) {
  auto octets = encode(message);
  if (!octets) return break_off();  // larger than any of our certificates
  Step step;
  step.send = *std::move(octets);
  step.wait = wait;
  return step;
}

Step Session::say_end(std::uint8_t reason) {
  Message end = request(Command::kEndSession);
  end.reason = reason;
  Step step = say(end, {});
  step.then = Step::Then::kClose;
  step.wait.reset();
  state_ = State::kEnded;
  step.refused = std::exchange(refused_, std::nullopt);
  return step;
}

Step Session::ask(Question question) {
  Step step;
  step.then = Step::Then::kAsk;
  step.ask = std::move(question);
  return step;
}

}  // namespace capf::wire
