#include "capf/phone/desk.h"

#include <utility>

#include "capf/phone/proof.h"

namespace capf::phone {
namespace {

using wire::Command;
using wire::Message;

/// The certificate that a phone proves or hands over, and its type.
struct Shown {
  Bytes certificate;
  std::uint8_t type = wire::kTypeLsc;
  Secret key_pem;
};

Result<Shown> given_certificate(const Phone& phone) {
  CAPF_LET(const auto given, client::parse_certificates(phone.server.certificate_pem));
  if (given.empty()) return fail(Reason::kInvalidCertificate);
  return Shown{given.front(), wire::kTypeMic, phone.server.key_pem};
}

Result<Proof> prove_shown(const Shown& shown, const std::string& device, std::optional<std::uint32_t> session_id) {
  CAPF_LET(const auto key, client::PrivateKey::parse(shown.key_pem.text()));
  return prove(key, shown.certificate, device, session_id);
}

/// The certificate of the command line, or else the LSC; the reverse where the phone prefers its LSC.
Result<std::optional<Shown>> find_shown(const Phone& phone, const Folder& folder) {
  CAPF_LET(auto lsc, folder.installed(phone.device));
  const bool is_given = !phone.server.certificate_pem.empty();
  if (lsc && (!is_given || phone.prefer_lsc)) return Shown{lsc->certificates.front(), wire::kTypeLsc, lsc->key_pem};
  if (!is_given) return std::nullopt;
  CAPF_LET(Shown given, given_certificate(phone));
  if (lsc && lsc->certificates.front() == given.certificate) given.type = wire::kTypeLsc;
  return given;
}

client::KeyKind wanted_key(const Message& message) {
  using Type = client::KeyKind::Type;
  if (message.key_type == wire::kKeyEc) {
    return {Type::kEc, message.curve ? wire::curve_bits(*message.curve).value_or(0) : 0};
  }
  return {Type::kRsa, message.key_size.value_or(0)};
}

}  // namespace

void DeskPhone::restart() {
  session_id_.reset();
  asked_ = false;
  key_.reset();
  failure_.reset();
}

Result<Bytes> DeskPhone::answer(const Message& message) {
  const auto out_of_turn = [&] {
    return fail(Reason::kMessageUnexpected, "the server sent " + wire::describe(message.command) + " out of turn");
  };
  if (message.command == Command::kAuthRequest) {
    if (session_id_) return out_of_turn();
    session_id_ = message.session_id;
    return authenticate();
  }
  if (session_id_ != message.session_id) return out_of_turn();
  asked_ = true;
  switch (message.command) {
    case Command::kKeyGenerateRequest: return generate(message);
    case Command::kStoreRequest: return key_ ? store(message) : out_of_turn();
    case Command::kFetchRequest: return hand_over();
    case Command::kDeleteRequest: return remove();
    case Command::kAuthRequest:
    case Command::kAuthResponse:
    case Command::kKeyGenerateResponse:
    case Command::kStoreResponse:
    case Command::kFetchResponse:
    case Command::kDeleteResponse:
    case Command::kEndSession:
    case Command::kRequestInProgress: break;
  }
  return out_of_turn();
}

Message DeskPhone::reply(Command command) const {
  Message message;
  message.command = command;
  message.session_id = session_id_.value_or(0);
  return message;
}

Result<Bytes> DeskPhone::say(Command command) const {
  Message message = reply(command);
  message.reason = failure_ ? wire::kReasonInvalidElement : wire::kReasonUpdated;
  return wire::encode(message);
}

Result<Bytes> DeskPhone::in_progress() const { return wire::encode(reply(Command::kRequestInProgress)); }

Result<Bytes> DeskPhone::authenticate() {
  Message auth = reply(Command::kAuthResponse);
  auth.reason = wire::kReasonUpdated;
  auth.version = version_;
  auth.device = phone_.device;
  auth.password = phone_.auth_string ? phone_.auth_string->text() : std::string_view();
  std::optional<Shown> shown;
  // With a string, the LSC is not needed.
  if (!phone_.auth_string || !phone_.server.certificate_pem.empty()) {
    CAPF_LET(shown, find_shown(phone_, folder_));
  }
  if (!shown) return wire::encode(auth);

  Shown fresh = *shown;
  if (phone_.prefer_lsc && !phone_.server.certificate_pem.empty()) {
    CAPF_LET(fresh, given_certificate(phone_));
  }
  const bool is_one = fresh.certificate == shown->certificate;
  const std::optional<std::uint32_t> challenge = sudi_ ? session_id_ : std::nullopt;
  CAPF_LET(const Proof proof, prove_shown(*shown, phone_.device, is_one ? challenge : std::nullopt));
  std::optional<Proof::Sudi> sudi = proof.sudi;
  if (!is_one) {
    CAPF_LET(const Proof beside, prove_shown(fresh, phone_.device, challenge));
    sudi = beside.sudi;
  }
  auth.certificate = wire::CertificateElement{shown->type, shown->certificate};
  auth.signed_data = proof.sha1_signature;
  auth.sha2_signed_data = wire::Sha2Signature{wire::kHashSha512, proof.sha512_signature};
  if (sudi) auth.sudi = wire::Sudi{fresh.certificate, sudi->sha1_signature, sudi->sha512_signature};
  return wire::encode(auth);
}

Result<Bytes> DeskPhone::generate(const Message& message) {
  auto key = keys_.make(wanted_key(message));
  if (!key) {
    failure_ = std::move(key).error();
    return say(Command::kKeyGenerateResponse);
  }
  key_ = *std::move(key);
  const Bytes public_key = key_->public_key();
  Message response = reply(Command::kKeyGenerateResponse);
  response.public_key = public_key;
  return wire::encode(response);
}

Result<Bytes> DeskPhone::store(const Message& message) {
  auto installed = install(message);
  if (installed) {
    done_ = *std::move(installed);
  } else {
    failure_ = std::move(installed).error();
  }
  return say(Command::kStoreResponse);
}

Result<Done> DeskPhone::install(const Message& message) {
  if (!message.certificate) return fail(Reason::kInvalidCertificate, "the server sent no certificate to store");
  const BytesView certificate = message.certificate->der;
  CAPF_LET(const auto facts, client::read_certificate(certificate));
  if (facts.public_key != key_->public_key()) {
    return fail(Reason::kInvalidCertificate, "the server issued a certificate for another key");
  }
  if (!folder_.certificate_path(phone_.device).empty()) {
    // The pending request keeps the key until certificate and key are both in their files.
    PendingRequest pending;
    pending.key_pem = key_file(*key_, keys_);
    CAPF_LET(pending.request, key_->certification_request(phone_.device));
    CAPF_TRY(folder_.keep(phone_.device, pending));
    CAPF_TRY(folder_.install(phone_.device, client::certificate_pem(certificate), pending.key_pem));
    CAPF_TRY(folder_.forget_pending(phone_.device));
  }
  return installed_words(phone_.device, facts, folder_);
}

Result<Bytes> DeskPhone::hand_over() {
  CAPF_LET(const auto shown, find_shown(phone_, folder_));
  if (!shown) {
    failure_ =
        fail(Reason::kInvalidCertificate, "there is no certificate to hand over: neither an LSC nor --certificate")
            .value();
    return say(Command::kFetchResponse);
  }
  Message response = reply(Command::kFetchResponse);
  response.reason = wire::kReasonUpdated;
  response.certificate = wire::CertificateElement{shown->type, shown->certificate};
  done_ = Done{phone_.device + " troubleshoot succeeded certificates=1"};
  return wire::encode(response);
}

Result<Bytes> DeskPhone::remove() {
  if (Status removed = folder_.remove(phone_.device); !removed) {
    failure_ = std::move(removed).error();
  } else {
    done_ = Done{phone_.device + " delete succeeded"};
  }
  return say(Command::kDeleteResponse);
}

Result<Done> DeskPhone::end(const Message& message) {
  if (failure_) return fail(*failure_);
  const std::uint8_t reason = message.reason.value_or(wire::kReasonInvalidElement);
  switch (reason) {
    case wire::kReasonNoAction:
    case wire::kReasonUpdated:
      if (done_) return *done_;
      return fail(Reason::kNoPendingOperation);
    case wire::kReasonInvalidElement:
      if (asked_) {
        return fail(Reason::kOperationEnded,
                    "the server refused what followed the authentication: it ended the session with reason 7");
      }
      return fail(Reason::kAuthenticationFailed,
                  "the server refused what the phone shows, or has an operation that it cannot do: it ended the "
                  "session with reason 7");
    case wire::kReasonUnknownDevice: return fail(Reason::kUnknownDevice);
    default:
      return fail(Reason::kMessageUnexpected, "the server ended the session with reason " + std::to_string(reason));
  }
}

}  // namespace capf::phone
