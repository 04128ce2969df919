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
#include <utility>
#include <vector>

#include <botan/rng.h>

#include "capf/base/log.h"
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
  std::size_t queue = 4096;     ///< requests that wait; further ones are answered tryLater
  std::size_t answers = 16384;  ///< kept in the cache at most
};

/// An answer of OCSP.
struct OcspAnswer {
  Bytes der;
  std::string_view status;  ///< "good", "revoked", "unknown", or an error as RFC 6960 spells it
  bool keep = false;        ///< HTTP caches may keep it as long as this server does
};

/// Answers OCSP requests about the LSCs of this site, by the primary database as it is now. Queries and signing run on
/// threads of its own; a request that is in the cache is answered at once. Threads: any.
class Responder {
 public:
  using Reply = std::function<void(std::shared_ptr<const OcspAnswer>)>;

  /// @param published the CRLs that the database must not be behind: it would call revoked certificates good.
  /// @param high_water likewise, for everything else that is signed
  Responder(Database& database, const PublishedCrls& published, const HighWater& high_water, const Clock& clock,
            Botan::RandomNumberGenerator& random, const ResponderSettings& settings);
  ~Responder() { stop(); }
  Responder(const Responder&) = delete;
  Responder& operator=(const Responder&) = delete;

  /// To be called from time to time: makes, renews and records the responder's certificate of each issuer, and stops
  /// answering for issuers that are not named. On a standby DATABASE_READ_ONLY: then every request is answered
  /// tryLater.
  Status keep(const std::vector<PublishingIssuer>& issuers);
  /// The expiries of the responder's certificates, as of the last keep().
  std::vector<Expiry> expiries() const;
  /// Calls `reply` once, at once or from another thread; must not block there.
  void answer(BytesView request, Reply reply);
  /// Requests that wait are answered tryLater.
  void stop();
  std::chrono::seconds cache() const { return settings_.cache; }

 private:
  using Signers = std::vector<std::shared_ptr<const ca::OcspSigner>>;
  using Moment = std::chrono::steady_clock::time_point;
  struct Question {
    Bytes request;
    Reply reply;  ///< empty once it was called

    void give(std::shared_ptr<const OcspAnswer> answer) { std::exchange(reply, nullptr)(std::move(answer)); }
  };
  struct Kept {
    std::shared_ptr<const OcspAnswer> answer;
    Moment until;
  };

  void work();
  /// @return false where the threads are to end
  bool serve_some();
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
  LogLimit unsigned_{1};  ///< a second
  std::vector<std::thread> threads_;
};

}  // namespace capf::service
