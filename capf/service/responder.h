#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include <botan/rng.h>

#include "capf/ca/ocsp.h"
#include "capf/domain/expiry.h"
#include "capf/service/highwater.h"
#include "capf/service/publisher.h"

namespace capf::service {

struct ResponderSettings {
  std::chrono::seconds cache{2};        ///< how long an answer without a nonce is given again
  std::chrono::minutes validity{5};     ///< from thisUpdate to nextUpdate
  std::chrono::hours certificate{336};  ///< how long the responder's certificates are valid; renewed after half of it
  int threads = 2;
  std::size_t queue = 4096;     ///< requests that wait; further ones hear tryLater
  std::size_t answers = 16384;  ///< that are kept at once
};

/// An answer of OCSP.
struct OcspAnswer {
  Bytes der;
  std::string_view status;  ///< "good", "revoked", "unknown", or an error as RFC 6960 spells it
  bool keep = false;        ///< others may keep it for as long as we do
};

/// Answers about the LSCs of this site, by what stands in the primary database now. Asking and signing run on threads
/// of its own; what was answered a moment ago is answered at once. Threads: any.
class Responder {
 public:
  using Reply = std::function<void(std::shared_ptr<const OcspAnswer>)>;

  /// @param published whose marks the database must not be behind: it would call revoked certificates good.
  /// @param high_water likewise, of everything else that is signed
  Responder(Database& database, const PublishedCrls& published, const HighWater& high_water, const Clock& clock,
            Botan::RandomNumberGenerator& random, const ResponderSettings& settings);
  ~Responder() { stop(); }
  Responder(const Responder&) = delete;
  Responder& operator=(const Responder&) = delete;

  /// To be called from time to time: makes and renews the responder's certificate of each issuer, on record; of those
  /// that are not named it answers no more. On a standby DATABASE_READ_ONLY, and tryLater is all that anybody hears.
  Status keep(const std::vector<PublishingIssuer>& issuers);
  /// Of the responder's certificates, after keep().
  std::vector<Expiry> expiries() const;
  /// Calls `reply` once, at once or from another thread; must not block there.
  void answer(BytesView request, Reply reply);
  /// What waits hears tryLater.
  void stop();
  std::chrono::seconds cache() const { return settings_.cache; }

 private:
  using Signers = std::vector<std::shared_ptr<const ca::OcspSigner>>;
  using Moment = std::chrono::steady_clock::time_point;
  struct Question {
    Bytes request;
    Reply reply;
  };
  struct Kept {
    std::shared_ptr<const OcspAnswer> answer;
    Moment until;
  };

  void work();
  void answer_all(std::vector<Question>& questions);
  void remember(const Bytes& request, const std::shared_ptr<const OcspAnswer>& answer, Moment asked);
  Result<std::shared_ptr<const ca::OcspSigner>> renew(const PublishingIssuer& issuer, TimePoint now);

  Database& database_;
  const PublishedCrls& published_;
  const HighWater& high_water_;
  const Clock& clock_;
  Botan::RandomNumberGenerator& random_;
  const ResponderSettings settings_;
  mutable std::mutex mutex_;
  std::condition_variable asked_;
  bool stopping_ = false;
  std::deque<Question> questions_;
  std::shared_ptr<const Signers> signers_ = std::make_shared<const Signers>();
  std::mutex kept_mutex_;
  std::unordered_map<std::string, Kept> kept_;
  std::vector<std::thread> threads_;
};

}  // namespace capf::service
