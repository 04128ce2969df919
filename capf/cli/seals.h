#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "capf/base/bytes.h"
#include "capf/base/time.h"
#include "capf/v1/admin.pb.h"

namespace capf::cli {

/// Seals that somebody saw before, by number: what a log, or the output of an earlier check, has of
/// "number=12 sha256=<64 digits>". A line "audit.recovered number=12" takes back those with a greater number that came
/// before it: the site went on from a backup.
using Anchors = std::map<std::int64_t, std::string>;
Anchors read_anchors(std::string_view text);
/// Of a seal, in hexadecimal: what the next one has as `previous`.
std::string sha256_of(const v1::AuditSeal& seal);

/// Checks the record as it is sealed, seal by seal, with code of its own (capf/domain/seal.h says what is signed), and
/// trusts nothing but the public audit key and the anchors: not the server that brings the events, not the owner of its
/// database.
class SealVerifier {
 public:
  /// @param public_key PEM
  SealVerifier(std::string public_key, Anchors anchors)
      : public_key_(std::move(public_key)), anchors_(std::move(anchors)) {}

  /// The next one, in order.
  void take(const v1::SealedBatch& batch);
  /// Judges the events behind the server's last seal: they wait for seconds, and belong to transactions that have
  /// begun.
  void take_unsealed(const v1::ListSealsResponse& rest, TimePoint now);
  /// After the last one: whether the chain is as long as the anchors say, and begins where it should.
  void finish();

  /// What is wrong, in words.
  const std::vector<std::string>& findings() const { return findings_; }
  /// What was wrong, and the audit key has signed that it is known.
  const std::vector<std::string>& remarks() const { return remarks_; }
  std::int64_t first() const { return first_; }  ///< 0: there is none
  std::int64_t last() const { return last_; }
  std::int64_t events() const { return events_; }
  /// "number=12 sha256=<64 digits>" of the last one that is not made up; empty without one.
  std::string anchor() const;

 private:
  void find(std::int64_t number, const std::string& what);
  std::optional<std::string> remark(const v1::SealedBatch& batch, const std::string& kind) const;
  std::vector<std::string> faults_of_times(const v1::SealedBatch& batch) const;

  const std::string public_key_;
  const Anchors anchors_;
  std::vector<std::string> findings_;
  std::vector<std::string> remarks_;
  std::int64_t first_ = 0;
  std::int64_t last_ = 0;
  std::int64_t events_ = 0;
  std::string first_previous_;
  std::string last_sha256_;
  std::int64_t chained_ = 0;  ///< the last one that is not made up
  std::int64_t last_at_ = 0;  ///< when that was made, in microseconds
};

}  // namespace capf::cli
