#include "capf/wire/clerk.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "capf/base/log.h"
#include "capf/base/metrics.h"
#include "capf/ca/proof.h"

namespace capf::wire {
namespace {

ca::ProofHash hash_of(std::uint8_t code) {
  if (code == kHashSha256) return ca::ProofHash::kSha256;
  return code == kHashSha512 ? ca::ProofHash::kSha512 : ca::ProofHash::kSha1;  // SHA-1 is refused there
}

ca::ProofClaim claim_of(const ProofElements& proof) {
  ca::ProofClaim claim;
  claim.certificate = proof.certificate.der;
  claim.sha1_signature = proof.signed_data;
  claim.sha2_signature = proof.sha2_signed_data.signature;
  claim.sha2_hash = hash_of(proof.sha2_signed_data.hash);
  if (proof.sudi) {
    claim.sudi = {proof.sudi->certificate, proof.sudi->sha1_signature, proof.sudi->sha512_signature};
  }
  return claim;
}

/// Counts refusals of strangers, hands them to the thread that writes them down, and logs some. Threads: any.
class Tally {
 public:
  Tally(service::Attempts& attempts, Metrics* metrics) : attempts_(attempts), metrics_(metrics) {}

  void add(const Address& address, const Error& why) {
    if (metrics_ != nullptr) metrics_->count_refusal(why.reason);
    attempts_.add(address, why);
    const auto left_out = lines_.admit(std::chrono::steady_clock::now());
    if (!left_out) return;
    log_info(
        "wire.refused",
        {{"address", address.to_string()}, {"reason", why.reason}, {"message", why.message}, {"left_out", *left_out}});
  }

  /// Logs that the end of a session is neither counted nor on record.
  void lose(const std::exception& failure) {
    const auto left_out = lost_.admit(std::chrono::steady_clock::now());
    if (left_out) log_error("record.failed", {{"cause", failure.what()}, {"left_out", *left_out}});
  }

  /// Anybody may come in a traced device's name: of many sessions in a second only some are traced.
  bool may_trace() { return traces_.admit(std::chrono::steady_clock::now()).has_value(); }

 private:
  service::Attempts& attempts_;
  Metrics* const metrics_;
  LogLimit lines_{10};
  LogLimit lost_{1};
  LogLimit traces_{5};
};

class Clerk final : public Desk {
 public:
  Clerk(service::Enrolment& enrolment, std::shared_ptr<Tally> tally, const Address& peer, std::uint32_t session_id)
      : enrolment_(enrolment), tally_(std::move(tally)), peer_(peer), session_id_(session_id) {}

  Answer answer(const Question& question) override {
    try {
      return std::visit([this](const auto& asked) { return serve(asked); }, question);
    } catch (const std::exception& error) {
      return fail_internal(error.what()).value();
    }
  }

  bool traced() const override { return traced_; }

  void refused(const Error& why) override {
    try {
      if (caller_ && caller_->begun) return enrolment_.broke_off(*caller_, why);
      tally_->add(peer_, why);
    } catch (const std::exception& error) {
      tally_->lose(error);
    }
  }

 private:
  Answer serve(const Begin& begin) {
    service::Caller caller{begin.device, {}, {}, peer_, rules::Transport::kWire};
    if (begin.password) caller.auth_string.emplace(*begin.password);
    if (begin.proof) prove(*begin.proof, caller);
    caller.on_found = [this](const Phone& phone) { traced_ = phone.traced_until && tally_->may_trace(); };
    caller_.emplace(std::move(caller));
    auto answer = enrolment_.begin(*caller_);
    if (caller_->auth_string) caller_->auth_string.emplace();  // the session needs to know only that there was one
    if (!answer) return begin_error(answer.error());
    caller_->begun = std::move(answer->begun);
    caller_->on_found = {};
    return Begun{answer->operation.kind, answer->operation.key, answer->operation.failures};
  }

  void prove(const ProofElements& proof, service::Caller& caller) const {
    auto proven = ca::verify_proof(claim_of(proof), caller.device, session_id_);
    if (!proven) {
      caller.bad_proof = std::move(proven).error();
      const auto keep = [&](BytesView der) { caller.unproven.emplace_back(der.begin(), der.end()); };
      keep(proof.certificate.der);
      if (proof.sudi) keep(proof.sudi->certificate);
      return;
    }
    service::PresentedCertificate presented;
    presented.leaf = std::move(proven->certificate);
    presented.fresh = proven->fresh;
    presented.second = std::move(proven->sudi);
    presented.called_mic = proof.certificate.type == kTypeMic;
    caller.certificate.emplace(std::move(presented));
  }

  /// The wire protocol has messages for "unknown device" and "nothing pending", so the true reason is answered in these
  /// two cases.
  static Error begin_error(const Error& error) {
    const Reason reason = error.true_reason();
    const bool has_message = reason == Reason::kUnknownDevice || reason == Reason::kNoPendingOperation;
    return has_message ? fail(reason, error.message, error.cause).value() : error;
  }

  Answer serve(const Issue& issue) {
    auto issued = enrolment_.issue(*caller_, issue.public_key, Possession::kNone);
    if (!issued) return std::move(issued).error();
    issued_ = sha256(issued->certificate);
    return Issued{std::move(issued->certificate)};
  }

  Answer serve(const Confirm&) { return done(enrolment_.confirm(*caller_, issued_)); }

  Answer serve(const GiveUp&) {
    const auto revoked = enrolment_.give_up(*caller_);
    if (!revoked) return revoked.error();
    return Done{};
  }

  Answer serve(const HandOver& hand) {
    const BytesView der = hand.certificate.der;
    return done(enrolment_.hand_over(*caller_, {Bytes(der.begin(), der.end())}));
  }

  Answer serve(const ReportFailure& report) {
    using What = ReportFailure::What;
    using rules::PhoneFailure;
    std::string detail;
    if (report.reason) {
      detail = "the phone's reason is " + std::to_string(*report.reason);
    } else if (report.what == What::kKeyGeneration) {
      detail = "not in time";
    }
    const auto failure = [&] {
      switch (report.what) {
        case What::kKeyGeneration: return PhoneFailure::kKeyGeneration;
        case What::kStore: return PhoneFailure::kStore;
        case What::kDelete: return PhoneFailure::kDelete;
        case What::kFetch: return PhoneFailure::kFetch;
        case What::kNoEc: return PhoneFailure::kNoEc;
      }
      CAPF_INVARIANT(false);
    }();
    return done(enrolment_.report_failure(*caller_, failure, detail));
  }

  static Answer done(Status status) {
    if (!status) return std::move(status).error();
    return Done{};
  }

  service::Enrolment& enrolment_;
  const std::shared_ptr<Tally> tally_;
  const Address peer_;
  const std::uint32_t session_id_;
  std::optional<service::Caller> caller_;
  Sha256 issued_{};
  bool traced_ = false;
};

}  // namespace

OpenDesk open_clerks(service::Enrolment& enrolment, service::Attempts& attempts, Metrics* metrics) {
  return [&enrolment, tally = std::make_shared<Tally>(attempts, metrics)](
             const Address& peer, std::uint32_t session_id) -> std::unique_ptr<Desk> {
    return std::make_unique<Clerk>(enrolment, tally, peer, session_id);
  };
}

}  // namespace capf::wire
