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

/// Seals seen before, by number: from "number=12 sha256=<64 digits>" in a log or in the output of an earlier check. A
/// line "audit.recovered number=12" cancels earlier lines with a greater number, because the site continued from a
/// backup.
using Anchors = std::map<std::int64_t, std::string>;
Anchors read_anchors(std::string_view text);
/// The SHA-256 of a seal, in hexadecimal: the next one's `previous`.
std::string sha256_of(const v1::AuditSeal& seal);

/// Checks the record seal by seal, with code of its own (capf/domain/seal.h says what is signed). It trusts only the
/// public audit key and the anchors, not the server that sends the events or the owner of its database.
class SealVerifier {
 public:
  /// @param public_key PEM
  SealVerifier(std::string public_key, Anchors anchors)
      : public_key_(std::move(public_key)), anchors_(std::move(anchors)) {}

  /// The next one, in order.
  void take(const v1::SealedBatch& batch);
  /// Checks the events after the server's last seal: they must be seconds old, and of transactions that have begun.
  void take_unsealed(const v1::ListSealsResponse& rest, TimePoint now);
  /// After the last one: whether the chain is as long as the anchors say, and begins where it should.
  void finish();

  /// The faults, in words.
  const std::vector<std::string>& findings() const { return findings_; }
  /// Faults that the audit key has signed as known.
  const std::vector<std::string>& remarks() const { return remarks_; }
  std::int64_t first() const { return first_; }  ///< 0: no seal
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
  std::int64_t last_at_ = 0;  ///< when it was made, in microseconds
};

}  // namespace capf::cli
