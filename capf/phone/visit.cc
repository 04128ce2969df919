#include "capf/phone/visit.h"

#include <vector>

#include "capf/base/time.h"
#include "capf/client/key.h"
#include "capf/phone/confirmation.h"
#include "capf/phone/site_link.h"

namespace capf::phone {
namespace {

constexpr int kDefaultRsaBits = 2048;
constexpr int kDefaultEcBits = 384;
constexpr int kMostAbove = 8;  ///< certificates above an LSC

class Visit {
 public:
  Visit(const Phone& phone, const Folder& folder, KeySource& keys, SiteLink* kept)
      : phone_(phone), folder_(folder), keys_(keys), kept_(kept) {}

  Result<Done> run() {
    CAPF_LET(installed_, folder_.installed(phone_.device));
    CAPF_LET(auto finished, finish_what_was_cut());
    if (finished) return *std::move(finished);

    if (kept_ != nullptr) return ask(*kept_);
    client::Endpoint endpoint = phone_.server;
    if (endpoint.certificate_pem.empty() && installed_) show(endpoint, *installed_);
    SiteLink server(endpoint, phone_.tries);
    return ask(server);
  }

 private:
  Result<Done> ask(SiteLink& server) {
    if (phone_.enrol) return enrol(server);
    v1::GetPendingOperationRequest request;
    *request.mutable_credential() = credential();
    CAPF_LET(const auto answer, server.call(request));
    if (!answer.authenticated()) {
      return fail(Reason::kCredentialMissing,
                  "nothing was shown that proves the device: give --string or --certificate");
    }
    if (!answer.has_operation()) {
      CAPF_TRY(folder_.forget_pending(phone_.device));
      return fail(Reason::kNoPendingOperation);
    }
    switch (answer.operation().kind()) {
      case v1::OPERATION_KIND_INSTALL: return install(server, answer.operation());
      case v1::OPERATION_KIND_DELETE: return give_up(server);
      case v1::OPERATION_KIND_TROUBLESHOOT: return hand_over(server);
      default: return fail(Reason::kOperationKind, "this phone does not know the pending operation");
    }
  }

  /// The dialogue in one call. What is lost of its end is asked for by the calls that may be repeated.
  Result<Done> enrol(SiteLink& server) {
    const auto done = server.enrol(credential(), [this](const v1::EnrolResponse& heard) -> Result<v1::EnrolRequest> {
      if (heard.has_pending()) return begin(heard.pending());
      if (heard.has_issued() && kind_ == v1::OPERATION_KIND_INSTALL && request_) return store(heard.issued());
      return fail(Reason::kMessageUnexpected, "this phone does not know the server's message, or it is out of turn");
    });
    if (failure_) return tl::unexpected<Error>(*failure_);
    if (!done && !lost_end(done.error())) return give_back(done.error());
    switch (kind_) {
      case v1::OPERATION_KIND_INSTALL:
        if (!facts_) return ended_early();
        CAPF_TRY(done ? folder_.forget_pending(phone_.device) : confirm(stored_));
        return installed_words(phone_.device, *facts_, folder_);
      case v1::OPERATION_KIND_DELETE:
        if (!done) return give_up(server);
        CAPF_TRY(folder_.remove(phone_.device));
        return deleted(done->revoked());
      case v1::OPERATION_KIND_TROUBLESHOOT: return handed_over();
      default: return ended_early();
    }
  }

  static tl::unexpected<Error> ended_early() {
    return fail(Reason::kMessageUnexpected, "the server said that the dialogue is done before it was");
  }

  /// Whether the server may have done what the phone asked for last, and its answer did not arrive.
  bool lost_end(const Error& error) const {
    const bool asked = kind_ == v1::OPERATION_KIND_INSTALL ? facts_.has_value() : kind_ == v1::OPERATION_KIND_DELETE;
    return asked && (may_be_repeated(error.code()) || error.reason == Reason::kNoPendingOperation ||
                     error.reason == Reason::kAuthenticationFailed);
  }

  /// A key that was refused is not offered again.
  tl::unexpected<Error> give_back(const Error& error) {
    if (!may_be_repeated(error.code()) && error.code() != Code::kUnauthenticated) {
      request_.reset();
      if (Status forgotten = folder_.forget_pending(phone_.device); !forgotten) {
        return tl::unexpected<Error>(std::move(forgotten).error());
      }
    }
    return tl::unexpected<Error>(error);
  }

  Result<v1::EnrolRequest> begin(const v1::PendingOperation& operation) {
    kind_ = operation.kind();
    v1::EnrolRequest said;
    switch (kind_) {
      case v1::OPERATION_KIND_INSTALL: return offer(operation);
      case v1::OPERATION_KIND_DELETE: said.mutable_give_up(); return said;
      case v1::OPERATION_KIND_TROUBLESHOOT: {
        CAPF_LET(const auto certificates, certificates_to_hand_over());
        for (const Bytes& each : certificates) {
          said.mutable_certificates()->add_certificates(std::string(as_text(each)));
        }
        handed_ = certificates.size();
        return said;
      }
      default: return fail(Reason::kOperationKind, "this phone does not know the pending operation");
    }
  }

  /// The same key as in a dialogue of this operation that broke, or else a new one.
  Result<v1::EnrolRequest> offer(const v1::PendingOperation& operation) {
    if (!request_) {
      CAPF_LET(request_, folder_.pending(phone_.device));
    }
    if (!request_ || request_->operation_id != operation.id()) {
      auto made = new_request(operation);
      if (!made) return report(v1::ReportFailureRequest::FAILURE_KEY_GENERATION, std::move(made).error());
      request_ = *std::move(made);
    }
    v1::EnrolRequest said;
    said.set_certification_request(std::string(as_text(request_->request)));
    return said;
  }

  Result<v1::EnrolRequest> store(const v1::EnrolIssued& issued) {
    v1::IssueCertificateResponse answer;
    answer.set_certificate(issued.certificate());
    *answer.mutable_chain() = issued.chain();
    stored_ = {};
    stored_.key_pem = request_->key_pem;
    auto facts = read_answer(answer, *request_, stored_);
    if (!facts) return report(v1::ReportFailureRequest::FAILURE_STORE, std::move(facts).error());
    CAPF_LET(const auto key, client::PrivateKey::parse(stored_.key_pem.text()));
    CAPF_LET(const Bytes signature,
             confirm_stored(key, phone_.device, as_bytes(issued.certificate()), as_bytes(issued.nonce())));
    if (Status kept = folder_.install(phone_.device, stored_.certificate_pem, stored_.key_pem); !kept) {
      return report(v1::ReportFailureRequest::FAILURE_STORE, std::move(kept).error());
    }
    facts_ = *std::move(facts);
    v1::EnrolRequest said;
    said.set_confirmation(std::string(as_text(signature)));
    return said;
  }

  /// The phone's own result is the same if the report fails.
  v1::EnrolRequest report(v1::ReportFailureRequest::Failure failure, Error error) {
    failure_ = std::move(error);
    v1::EnrolRequest said;
    said.set_failure(failure);
    return said;
  }

  static void show(client::Endpoint& endpoint, const Installed& lsc) {
    endpoint.certificate_pem = lsc.certificate_pem;
    endpoint.key_pem = lsc.key_pem;
  }

  v1::Credential credential() const {
    v1::Credential credential;
    credential.set_device(phone_.device);
    if (phone_.auth_string) credential.set_auth_string(std::string(phone_.auth_string->text()));
    return credential;
  }

  /// The new certificate was stored, but perhaps never confirmed. Confirm it first: GetPendingOperation with it would
  /// confirm it too, and then find none.
  Result<std::optional<Done>> finish_what_was_cut() {
    CAPF_LET(const auto under_way, folder_.pending(phone_.device));
    if (!under_way || !installed_) return std::nullopt;
    CAPF_LET(const auto facts, client::read_certificate(installed_->certificates.front()));
    if (facts.public_key != under_way->public_key) return std::nullopt;
    const Status confirmed = confirm(*installed_);
    if (confirmed) return installed_words(phone_.device, facts, folder_);
    if (confirmed.error().code() == Code::kUnavailable) return fail(confirmed.error());
    CAPF_TRY(folder_.forget_pending(phone_.device));
    return std::nullopt;
  }

  Result<Done> install(SiteLink& server, const v1::PendingOperation& operation) {
    CAPF_LET(const PendingRequest wanted, make_request(server, operation));
    v1::IssueCertificateRequest request;
    *request.mutable_credential() = credential();
    request.set_certification_request(std::string(as_text(wanted.request)));
    const auto answer = server.call(request);
    if (!answer) return give_back(answer.error());

    Installed lsc;
    lsc.key_pem = wanted.key_pem;
    auto facts = read_answer(*answer, wanted, lsc);
    if (!facts) return gives_up(server, v1::ReportFailureRequest::FAILURE_STORE, std::move(facts).error());
    if (Status stored = folder_.install(phone_.device, lsc.certificate_pem, lsc.key_pem); !stored) {
      return gives_up(server, v1::ReportFailureRequest::FAILURE_STORE, std::move(stored).error());
    }
    CAPF_TRY(confirm(lsc));
    return installed_words(phone_.device, *facts, folder_);
  }

  /// The request of an earlier try while its operation is under way, or else a new key. An operation whose certificate
  /// a call of Enrol has fetched again is in progress.
  Result<PendingRequest> make_request(SiteLink& server, const v1::PendingOperation& operation) {
    CAPF_LET(auto earlier, folder_.pending(phone_.device));
    if (earlier && operation.state() != v1::OPERATION_STATE_PENDING) {
      // A renewal had no number yet when its request was made.
      const bool renewal = earlier->operation_id == 0 && operation.self_service();
      if (renewal || earlier->operation_id == operation.id()) return *std::move(earlier);
    }
    auto made = new_request(operation);
    if (!made && made.error().reason == Reason::kKeyGenerationFailed) {
      return gives_up(server, v1::ReportFailureRequest::FAILURE_KEY_GENERATION, std::move(made).error());
    }
    return made;
  }

  Result<PendingRequest> new_request(const v1::PendingOperation& operation) {
    CAPF_LET(const auto made, keys_.make(wanted_key(operation.key())));
    const client::PrivateKey* const key = &made;
    PendingRequest pending;
    pending.operation_id = operation.id();
    pending.key_pem = key_file(*key, keys_);
    pending.public_key = key->public_key();
    CAPF_LET(pending.request, key->certification_request(phone_.device));
    CAPF_TRY(folder_.keep(phone_.device, pending));
    return pending;
  }

  /// Checks that the certificate is for our key, and by the issuer that came with it; and that the phone can read again
  /// what it keeps of the others.
  static Result<client::CertificateFacts> read_answer(const v1::IssueCertificateResponse& answer,
                                                      const PendingRequest& wanted, Installed& lsc) {
    const BytesView certificate = as_bytes(answer.certificate());
    if (answer.chain().empty()) return fail(Reason::kInvalidCertificate, "the server sent no issuer");
    if (answer.chain_size() > kMostAbove) {
      return fail(Reason::kInvalidCertificate,
                  "the server sent more than " + std::to_string(kMostAbove) + " certificates above the phone's");
    }
    CAPF_LET(client::CertificateFacts facts, client::read_issued(certificate, as_bytes(answer.chain(0))));
    if (facts.public_key != wanted.public_key) {
      return fail(Reason::kInvalidCertificate, "the server issued a certificate for another key");
    }
    lsc.certificates.emplace_back(certificate.begin(), certificate.end());
    lsc.certificate_pem = client::certificate_pem(certificate);
    for (const std::string& above : answer.chain()) {
      if (&above != &answer.chain(0)) CAPF_TRY(client::read_certificate(as_bytes(above)));
      lsc.certificate_pem += client::certificate_pem(as_bytes(above));
    }
    return facts;
  }

  /// Confirms over a connection with the new certificate, which proves that key and certificate work.
  Status confirm(const Installed& lsc) {
    v1::ConfirmCertificateRequest request;
    const Sha256 digest = sha256(lsc.certificates.front());
    request.set_sha256(std::string(as_text(digest)));
    if (kept_ != nullptr) {
      *request.mutable_credential() = credential();
      CAPF_TRY(kept_->call(request));
      return folder_.forget_pending(phone_.device);
    }
    client::Endpoint endpoint = phone_.server;
    show(endpoint, lsc);
    SiteLink server(endpoint, phone_.tries);
    request.mutable_credential()->set_device(phone_.device);
    CAPF_TRY(server.call(request));
    return folder_.forget_pending(phone_.device);
  }

  Result<Done> give_up(SiteLink& server) {
    v1::DeleteCertificateRequest request;
    *request.mutable_credential() = credential();
    CAPF_LET(const auto answer, server.call(request));
    CAPF_TRY(folder_.remove(phone_.device));
    return deleted(answer.revoked());
  }

  Done deleted(int revoked) const {
    return Done{phone_.device + " delete succeeded revoked=" + std::to_string(revoked)};
  }
  Done handed_over() const {
    return Done{phone_.device + " troubleshoot succeeded certificates=" + std::to_string(handed_)};
  }

  Result<std::vector<Bytes>> certificates_to_hand_over() const {
    std::vector<Bytes> certificates;
    if (installed_) certificates.push_back(installed_->certificates.front());
    if (!phone_.server.certificate_pem.empty()) {
      CAPF_LET(const auto shown, client::parse_certificates(phone_.server.certificate_pem));
      if (!shown.empty() && (certificates.empty() || certificates.front() != shown.front())) {
        certificates.push_back(shown.front());
      }
    }
    if (certificates.empty()) {
      return fail(Reason::kInvalidCertificate,
                  "there is no certificate to hand over: neither an LSC nor --certificate");
    }
    return certificates;
  }

  Result<Done> hand_over(SiteLink& server) {
    CAPF_LET(const auto certificates, certificates_to_hand_over());
    v1::HandOverCertificatesRequest request;
    *request.mutable_credential() = credential();
    for (const Bytes& certificate : certificates) request.add_certificates(std::string(as_text(certificate)));
    CAPF_TRY(server.call(request));
    handed_ = certificates.size();
    return handed_over();
  }

  /// Reports to the server what the phone could not do; the phone's own result is the same if that fails.
  tl::unexpected<Error> gives_up(SiteLink& server, v1::ReportFailureRequest::Failure failure, Error error) {
    v1::ReportFailureRequest request;
    *request.mutable_credential() = credential();
    request.set_failure(failure);
    static_cast<void>(server.call(request));
    return fail(std::move(error));
  }

  const Phone& phone_;
  const Folder& folder_;
  KeySource& keys_;
  SiteLink* const kept_;
  std::optional<Installed> installed_;
  std::size_t handed_ = 0;  ///< certificates

  // Of a dialogue in one call:
  v1::OperationKind kind_ = v1::OPERATION_KIND_UNSPECIFIED;
  std::optional<PendingRequest> request_;
  Installed stored_;
  std::optional<client::CertificateFacts> facts_;  ///< of `stored_`, once it is in the folder
  std::optional<Error> failure_;                   ///< what the phone could not do
};

}  // namespace

Done installed_words(const std::string& device, const client::CertificateFacts& facts, const Folder& folder) {
  std::string line = device + " install succeeded serial=" + facts.serial + " not_after=" + to_rfc3339(facts.not_after);
  const std::string path = folder.certificate_path(device);
  if (!path.empty()) line += " file=" + path;
  return Done{line};
}

client::KeyKind wanted_key(const v1::KeyPolicy& policy) {
  const bool ec = policy.order() == v1::KEY_ORDER_EC || policy.order() == v1::KEY_ORDER_EC_RSA;
  if (ec) return {client::KeyKind::Type::kEc, policy.ec_bits() == 0 ? kDefaultEcBits : policy.ec_bits()};
  return {client::KeyKind::Type::kRsa, policy.rsa_bits() == 0 ? kDefaultRsaBits : policy.rsa_bits()};
}

Result<Done> visit(const Phone& phone, const Folder& folder, KeySource& keys, SiteLink* kept) {
  return Visit(phone, folder, keys, kept).run();
}

}  // namespace capf::phone
