#include "capf/service/commonprimes.h"

#include <limits>
#include <set>
#include <utility>
#include <vector>

#include "capf/base/log.h"
#include "capf/ca/certificate.h"
#include "capf/ca/common.h"
#include "capf/domain/certificate_store.h"
#include "capf/domain/key_store.h"
#include "capf/domain/lease_store.h"

namespace capf::service {
namespace {

const char* const kJob = "common_primes";
/// A transaction that lasts may write a certificate down with an id before those that are seen already.
constexpr std::chrono::minutes kSettling{10};
constexpr int kPage = 500;
constexpr int kPagesAtOnce = 200;  ///< where hardly any key is RSA

}  // namespace

/// RSA keys of certificates that follow each other on record, and their moduli in the same order, no two the same.
struct CommonPrimes::Batch {
  std::vector<Certificate> certificates;
  std::vector<Bytes> moduli;
  std::int64_t last = 0;  ///< id of the last certificate that was looked at
  bool at_end = false;
};

Result<CommonPrimes::Batch> CommonPrimes::read(std::int64_t after, std::int64_t through, const Batch* without) const {
  Batch batch;
  batch.last = after;
  std::set<Bytes> seen;
  if (without != nullptr) seen.insert(without->moduli.begin(), without->moduli.end());
  for (int page = 0; page < kPagesAtOnce && batch.moduli.size() < together_ && !batch.at_end && !stopping_; ++page) {
    TimePoint settled;
    CAPF_LET(auto certificates, in_read(database_, [&](Transaction& tx) {
               settled = tx.now() - kSettling;
               return tx.certificates().list({}, {batch.last, kPage});
             }));
    batch.at_end = certificates.size() < kPage;
    for (Certificate& certificate : certificates) {
      if (certificate.id > through || certificate.issued_at > settled) {
        batch.at_end = true;
        break;
      }
      if (batch.moduli.size() == together_) {
        batch.at_end = false;
        break;
      }
      batch.last = certificate.id;
      auto modulus = ca::rsa_modulus(certificate.der);
      if (!modulus || !seen.insert(*modulus).second) continue;
      batch.moduli.push_back(*std::move(modulus));
      batch.certificates.push_back(std::move(certificate));
    }
  }
  return batch;
}

Result<std::optional<int>> CommonPrimes::run(std::chrono::hours period) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(period);
  const std::string tail = holder_.substr(holder_.size() - std::min<std::size_t>(holder_.size(), 60));
  // The lease runs out when the next comparison is due; nobody prolongs it.
  CAPF_LET(const bool due, in_write(database_, [&](Transaction& tx) {
             return tx.leases().take(kJob, to_rfc3339(tx.now()) + ' ' + tail, static_cast<int>(seconds.count()));
           }));
  if (!due) return std::nullopt;
  int revoked = 0;
  for (bool more = true; more && !stopping_;) {
    CAPF_LET(const int some, compare_next(more));
    revoked += some;
  }
  return revoked;
}

/// Compares the next batch with itself and with all before it.
Result<int> CommonPrimes::compare_next(bool& more) {
  CAPF_LET(const std::int64_t place, in_read(database_, [](Transaction& tx) { return tx.leases().place(kJob); }));
  CAPF_LET(const Batch fresh, read(place, std::numeric_limits<std::int64_t>::max(), nullptr));
  more = !fresh.at_end;
  int revoked = 0;
  if (!fresh.moduli.empty()) {
    const ca::ModulusTree tree(fresh.moduli);
    CAPF_LET(revoked, revoke(tree.within(), fresh, fresh));
    for (std::int64_t before = 0; before < place && !stopping_;) {
      CAPF_LET(const Batch others, read(before, place, &fresh));
      CAPF_LET(const int some, revoke(tree.with(others.moduli), fresh, others));
      revoked += some;
      before = others.at_end ? place : others.last;
    }
  }
  if (stopping_ || fresh.last == place) return revoked;
  CAPF_TRY(database_.write([&](Transaction& tx) { return tx.leases().set_place(kJob, fresh.last); }));
  log_info("keys.compared", {{"moduli", fresh.moduli.size()}, {"revoked", revoked}});
  return revoked;
}

Result<int> CommonPrimes::revoke(const std::vector<ca::CommonPrime>& pairs, const Batch& first, const Batch& second) {
  int revoked = 0;
  for (const ca::CommonPrime& pair : pairs) {
    const Certificate& one = first.certificates[pair.first];
    const Certificate& other = second.certificates[pair.second];
    if (pair.breaks_first) {
      CAPF_LET(const bool done, revoke(one, other));
      revoked += done ? 1 : 0;
    }
    if (pair.breaks_second) {
      CAPF_LET(const bool done, revoke(other, one));
      revoked += done ? 1 : 0;
    }
  }
  return revoked;
}

/// @return false where that is done already, or the key is none that can be taken back.
Result<bool> CommonPrimes::revoke(const Certificate& broken, const Certificate& by) {
  CAPF_LET(const ca::CertificateFacts facts, ca::read_certificate(broken.der));
  CAPF_LET(const auto known, in_read(database_, [&](Transaction& tx) { return tx.keys().find(facts.key); }));
  if (known && known->compromised) return false;
  const std::string words = "of " + broken.device + ", serial " + serial_text(broken.serial) +
                            ": it has a prime in common with that of " + by.device + ", serial " +
                            serial_text(by.serial);
  const auto answer = certificates_.revoke_key(Actor{}, facts.key, words);
  if (!answer && answer.error().reason != Reason::kKeyReserved) return fail(answer.error());
  log_error("key.common_prime", {{"device", broken.device},
                                 {"serial", serial_text(broken.serial)},
                                 {"other", by.device},
                                 {"other_serial", serial_text(by.serial)},
                                 {"blocked", answer ? answer->blocked_device.value_or("") : ""},
                                 {"words", answer ? "revoked as compromised" : answer.error().message}});
  return answer.has_value();
}

}  // namespace capf::service
