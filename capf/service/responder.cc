#include "capf/service/responder.h"

#include <algorithm>
#include <optional>

#include "capf/base/contained.h"
#include "capf/base/log.h"
#include "capf/ca/certificate.h"
#include "capf/domain/audit_store.h"
#include "capf/domain/certificate_store.h"
#include "capf/domain/key_store.h"
#include "capf/domain/policy.h"
#include "capf/service/steps.h"

namespace capf::service {
namespace {

constexpr std::size_t kQuestionsAtOnce = 64;
constexpr std::size_t kLargestKeptRequest = 512;

std::shared_ptr<const OcspAnswer> error_answer(ca::OcspError error) {
  const auto word = [&] {
    switch (error) {
      case ca::OcspError::kMalformedRequest: return "malformedRequest";
      case ca::OcspError::kInternalError: return "internalError";
      case ca::OcspError::kTryLater: return "tryLater";
      case ca::OcspError::kUnauthorized: return "unauthorized";
    }
    CAPF_INVARIANT(false);
  };
  return std::make_shared<const OcspAnswer>(OcspAnswer{ca::encode_ocsp_error(error), word(), false});
}

/// A question with its parsed request.
struct Pending {
  std::size_t question;
  ca::OcspRequest request;
  std::shared_ptr<const ca::OcspSigner> signer;
  std::vector<ca::OcspStatus> statuses;
};

ca::OcspStatus status_of(const std::vector<SerialStatus>& found, const std::optional<SerialNumber>& serial) {
  ca::OcspStatus status;
  if (!serial) return status;
  const auto record =
      std::find_if(found.begin(), found.end(), [&](const SerialStatus& s) { return s.serial == *serial; });
  if (record == found.end()) return status;
  if (!record->revoked_at) {
    status.state = ca::OcspStatus::State::kGood;
    return status;
  }
  return {ca::OcspStatus::State::kRevoked, *record->revoked_at,
          record->reason.value_or(RevocationReason::kUnspecified)};
}

/// The worst of the statuses, for the metrics.
std::string_view word_of(const std::vector<ca::OcspStatus>& statuses) {
  std::string_view word = "good";
  for (const ca::OcspStatus& status : statuses) {
    if (status.state == ca::OcspStatus::State::kRevoked) return "revoked";
    if (status.state == ca::OcspStatus::State::kUnknown) word = "unknown";
  }
  return word;
}

}  // namespace

Responder::Responder(Database& database, const PublishedCrls& published, const HighWater& high_water,
                     const Clock& clock, Botan::RandomNumberGenerator& random, const ResponderSettings& settings)
    : database_(database),
      published_(published),
      high_water_(high_water),
      clock_(clock),
      random_(random),
      settings_(settings) {
  try {
    for (int i = 0; i < settings.threads; ++i) threads_.emplace_back([this] { work(); });
  } catch (...) {
    stop();  // those that there are
    throw;
  }
}

Status Responder::keep(const std::vector<PublishingIssuer>& issuers) {
  CAPF_LET(const TimePoint now, in_read(database_, [&](Transaction& tx) -> Result<TimePoint> {
             CAPF_TRY(check_clock(tx, clock_));
             CAPF_TRY(check_primary(tx));
             return tx.now();
           }));
  std::shared_ptr<const Signers> present;
  {
    const std::lock_guard lock(mutex_);
    present = signers_;
  }
  Signers next;
  Status status;
  for (const PublishingIssuer& issuer : issuers) {
    const auto found = std::find_if(present->begin(), present->end(),
                                    [&](const auto& signer) { return signer->issuer_id() == issuer.record.id; });
    if (found != present->end() && !(*found)->due(now)) {
      next.push_back(*found);
      continue;
    }
    auto renewed = renew(issuer, now);
    if (renewed) {
      next.push_back(*std::move(renewed));
      continue;
    }
    if (found != present->end()) next.push_back(*found);
    status = fail(std::move(renewed).error());
  }
  const std::lock_guard lock(mutex_);
  signers_ = std::make_shared<const Signers>(std::move(next));
  return status;
}

std::vector<Expiry> Responder::expiries() const {
  std::shared_ptr<const Signers> present;
  {
    const std::lock_guard lock(mutex_);
    present = signers_;
  }
  std::vector<Expiry> expiries;
  for (const auto& signer : *present) {
    const auto facts = ca::read_certificate(signer->certificate());
    if (!facts) continue;
    Expiry expiry;
    expiry.kind = ExpiryKind::kOcsp;
    expiry.name = facts->issuer;
    expiry.not_after = facts->not_after;
    expiry.renews_at = signer->renew_at();
    expiries.push_back(std::move(expiry));
  }
  return expiries;
}

// Records the certificate before its first use.
Result<std::shared_ptr<const ca::OcspSigner>> Responder::renew(const PublishingIssuer& issuer, TimePoint now) {
  CAPF_LET(auto signer, ca::OcspSigner::make(issuer.record, issuer.key, now, settings_.certificate, random_));
  CAPF_LET(const auto facts, ca::read_certificate(signer->certificate()));
  const Status recorded = database_.write([&](Transaction& tx) -> Status {
    CAPF_TRY(published_.check(tx));
    CAPF_LET(const KeyRecord record, tx.keys().claim(facts.key, KeyOwner::kSite, 0));
    if (record.owner != KeyOwner::kSite) return fail(Reason::kKeyReserved);
    return tx.audit().add(done(Actor{}, "ocsp.certify", issuer.record.subject,
                               "serial " + serial_text(facts.serial) + ", until " + to_rfc3339(facts.not_after)));
  });
  CAPF_TRY(recorded);
  log_info("ocsp.certified", {{"issuer", issuer.record.id}, {"until", to_rfc3339(facts.not_after)}});
  return signer;
}

void Responder::answer(BytesView request, Reply reply) {
  if (request.size() > ca::kLargestOcspRequest) return reply(error_answer(ca::OcspError::kMalformedRequest));
  if (!high_water_.check()) return reply(error_answer(ca::OcspError::kTryLater));
  if (request.size() <= kLargestKeptRequest) {
    std::shared_ptr<const OcspAnswer> kept;
    {
      const std::lock_guard lock(kept_mutex_);
      const auto found = kept_.find(std::string(as_text(request)));
      if (found != kept_.end() && std::chrono::steady_clock::now() < found->second.until) kept = found->second.answer;
    }
    if (kept) return reply(std::move(kept));
  }
  {
    const std::lock_guard lock(mutex_);
    if (!stopping_ && questions_.size() < settings_.queue) {
      questions_.push_back({Bytes(request.begin(), request.end()), std::move(reply)});
      asked_.notify_one();
      return;
    }
  }
  reply(error_answer(ca::OcspError::kTryLater));
}

void Responder::stop() {
  std::deque<Question> left;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    left.swap(questions_);
  }
  asked_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  for (const Question& question : left) question.reply(error_answer(ca::OcspError::kTryLater));
}

void Responder::work() {
  for (bool more = true; more;) run_contained("ocsp.failed", [&] { more = serve_some(); });
}

bool Responder::serve_some() {
  std::vector<Question> questions;
  {
    std::unique_lock lock(mutex_);
    asked_.wait(lock, [&] { return stopping_ || !questions_.empty(); });
    if (stopping_) return false;
    // Takes a share of the waiting questions, so that the other threads sign as well.
    const std::size_t share = questions_.size() / static_cast<std::size_t>(settings_.threads) + 1;
    const std::size_t most = std::min(share, kQuestionsAtOnce);
    questions.reserve(most);
    while (!questions_.empty() && questions.size() < most) {
      questions.push_back(std::move(questions_.front()));
      questions_.pop_front();
    }
  }
  run_contained("ocsp.failed", [&] { answer_all(questions); });
  for (Question& question : questions) {
    if (!question.reply) continue;
    run_contained("ocsp.failed", [&] { question.give(error_answer(ca::OcspError::kInternalError)); });
  }
  return true;
}

/// Answers all of them by one query of the database.
void Responder::answer_all(std::vector<Question>& questions) {
  const Moment asked = std::chrono::steady_clock::now();
  std::shared_ptr<const Signers> signers;
  {
    const std::lock_guard lock(mutex_);
    signers = signers_;
  }
  std::vector<Pending> pending;
  for (std::size_t i = 0; i < questions.size(); ++i) {
    auto request = ca::OcspRequest::parse(questions[i].request);
    if (!request) {
      questions[i].give(error_answer(ca::OcspError::kMalformedRequest));
      continue;
    }
    const auto signer = std::find_if(signers->begin(), signers->end(), [&](const auto& one) {
      return std::all_of(request->ids().begin(), request->ids().end(),
                         [&](const auto& id) { return one->answers_for(id); });
    });
    if (signer == signers->end()) {
      questions[i].give(error_answer(signers->empty() ? ca::OcspError::kTryLater : ca::OcspError::kUnauthorized));
    } else {
      pending.push_back({i, *std::move(request), *signer, {}});
    }
  }

  TimePoint now;
  const Status seen = pending.empty() ? Status() : database_.read([&](Transaction& tx) -> Status {
    now = tx.now();
    CAPF_TRY(check_clock(tx, clock_));
    CAPF_TRY(check_primary(tx));
    CAPF_TRY(published_.check(tx));
    for (const auto& signer : *signers) {
      std::vector<SerialNumber> serials;
      for (const Pending& one : pending) {
        if (one.signer != signer) continue;
        for (const auto& id : one.request.ids()) {
          if (id.serial) serials.push_back(*id.serial);
        }
      }
      std::vector<SerialStatus> found;
      if (!serials.empty()) {
        CAPF_LET(found, tx.certificates().statuses(signer->issuer_id(), serials));
      }
      for (Pending& one : pending) {
        if (one.signer != signer) continue;
        one.statuses.clear();
        for (const auto& id : one.request.ids()) one.statuses.push_back(status_of(found, id.serial));
      }
    }
    return {};
  });
  if (!seen) log_debug("ocsp.unanswered", {{"reason", seen.error().reason}, {"cause", seen.error().cause}});
  const TimePoint produced = std::chrono::floor<std::chrono::seconds>(now);
  for (const Pending& one : pending) {
    Question& question = questions[one.question];
    if (!seen) {
      question.give(error_answer(ca::OcspError::kTryLater));
      continue;
    }
    auto der = one.signer->sign(one.request, one.statuses, produced, produced + settings_.validity);
    if (!der) {
      const auto left_out = unsigned_.admit(std::chrono::steady_clock::now());
      if (left_out) log_error("ocsp.unsigned", der.error(), {{"left_out", *left_out}});
      question.give(error_answer(ca::OcspError::kInternalError));
      continue;
    }
    const bool keep = !one.request.has_nonce();
    const auto answer = std::make_shared<const OcspAnswer>(OcspAnswer{*std::move(der), word_of(one.statuses), keep});
    if (keep) remember(question.request, answer, asked);
    question.give(answer);
  }
}

void Responder::remember(const Bytes& request, const std::shared_ptr<const OcspAnswer>& answer, Moment asked) {
  if (settings_.cache.count() == 0 || request.size() > kLargestKeptRequest) return;
  const std::lock_guard lock(kept_mutex_);
  if (kept_.size() >= settings_.answers) {
    std::erase_if(kept_, [&](const auto& entry) { return entry.second.until <= asked; });
    if (kept_.size() >= settings_.answers) kept_.clear();
  }
  kept_[std::string(as_text(request))] = {answer, asked + settings_.cache};
}

}  // namespace capf::service
