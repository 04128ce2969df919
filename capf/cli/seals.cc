#include "capf/cli/seals.h"

#include <algorithm>
#include <regex>

#include "capf/client/key.h"

namespace capf::cli {
namespace {

/// An event may become readable so long after its time, because its transaction may take so long.
constexpr std::int64_t kLongestTransaction = 3600LL * 1'000'000;
/// An event that is unsealed for longer is a fault: a server seals every few seconds all that no running transaction
/// can precede.
constexpr std::int64_t kLongestUnsealed = 600LL * 1'000'000;

std::string big_endian(std::uint64_t value, int octets) {
  std::string text;
  for (int i = octets - 1; i >= 0; --i) text += static_cast<char>(value >> (8 * i) & 0xff);
  return text;
}
std::string field(const std::string& octets) { return big_endian(octets.size(), 4) + octets; }
std::string field(std::int64_t number) { return field(big_endian(static_cast<std::uint64_t>(number), 8)); }
std::int64_t microseconds(const google::protobuf::Timestamp& time) {
  return time.seconds() * 1'000'000 + time.nanos() / 1000;
}

std::string encoded(const v1::AuditEvent& event) {
  return field(event.id()) + field(microseconds(event.at())) + field(event.actor_kind()) + field(event.actor()) +
         field(event.address()) + field(event.action()) + field(event.subject()) + field(event.operation_id()) +
         field(event.outcome()) + field(event.reason()) + field(event.detail());
}

std::string encoded(const v1::AuditSeal& seal) {
  return field(std::string("capf audit seal 1")) + field(seal.number()) + field(microseconds(seal.sealed_at())) +
         field(seal.events()) + field(static_cast<std::int64_t>(seal.last_transaction())) + field(seal.last_id()) +
         field(seal.content()) + field(seal.previous());
}

std::string digest(const std::string& octets) { return std::string(as_text(sha256(as_bytes(octets)))); }
std::string hex(const std::string& octets) { return to_hex(as_bytes(octets)); }

}  // namespace

Anchors read_anchors(std::string_view text) {
  // A server's line, whose values may quote anything; this command's own output, as a table and as JSON.
  static const std::string seal = "number=([0-9]{1,18}) sha256=([0-9a-f]{64})";
  static const std::regex patterns[]{std::regex("^[^\"=]*audit\\.sealed " + seal + "(?![0-9a-f])"),
                                     std::regex("^\\s*(?:anchor\\s+)?" + seal + "\\s*$"),
                                     std::regex("^[^\\\\]*\"anchor\": ?\"" + seal + "\"")};
  static const std::regex recovered("^[^\"=]*audit\\.recovered number=([0-9]{1,18})(?![0-9])");
  Anchors anchors;
  std::size_t start = 0;
  while (start < text.size()) {
    const std::size_t end = std::min(text.find('\n', start), text.size());
    const std::string line(text.substr(start, std::min<std::size_t>(end - start, 4096)));
    std::smatch found;
    for (const std::regex& pattern : patterns) {
      if (std::regex_search(line, found, pattern)) anchors[std::stoll(found[1])] = found[2];
    }
    if (std::regex_search(line, found, recovered))
      anchors.erase(anchors.upper_bound(std::stoll(found[1])), anchors.end());
    start = end + 1;
  }
  return anchors;
}

std::string sha256_of(const v1::AuditSeal& seal) { return hex(digest(encoded(seal))); }

void SealVerifier::find(std::int64_t number, const std::string& what) {
  findings_.push_back("seal " + std::to_string(number) + ": " + what);
}

/// The words of a remark that the audit key has signed.
std::optional<std::string> SealVerifier::remark(const v1::SealedBatch& batch, const std::string& kind) const {
  for (const v1::SealRemark& remark : batch.remarks()) {
    const std::string text = field(std::string("capf audit remark 1")) + field(batch.seal().number()) +
                             field(digest(encoded(batch.seal()))) + field(remark.kind()) + field(remark.words());
    if (remark.kind() == kind && client::is_signature(public_key_, as_bytes(text), as_bytes(remark.signature())))
      return remark.words();
  }
  return std::nullopt;
}

/// Compares with the time of the seal before, which a dated event cannot move.
std::vector<std::string> SealVerifier::faults_of_times(const v1::SealedBatch& batch) const {
  std::vector<std::string> faults;
  const std::int64_t sealed_at = microseconds(batch.seal().sealed_at());
  if (sealed_at < last_at_) faults.emplace_back("was made before the one before it");
  bool after = false;
  bool before = false;
  for (const v1::AuditEvent& event : batch.events()) {
    const std::int64_t at = microseconds(event.at());
    after = after || at > sealed_at;
    before = before || at < last_at_ - kLongestTransaction;
  }
  if (after) faults.emplace_back("covers an event of after it");
  if (before) faults.emplace_back("covers an event that was dated back");
  return faults;
}

void SealVerifier::take(const v1::SealedBatch& batch) {
  const v1::AuditSeal& seal = batch.seal();
  const std::string text = encoded(seal);
  const bool is_signed = client::is_signature(public_key_, as_bytes(text), as_bytes(seal.signature()));
  if (last_ == 0) first_ = seal.number();
  if (last_ != 0 && seal.number() != last_ + 1) {
    find(seal.number(), "follows " + std::to_string(last_) + ": seals are missing");
  }
  last_ = seal.number();
  const auto made_up = is_signed ? std::nullopt : remark(batch, "made_up");
  if (made_up && batch.events().empty()) {
    remarks_.push_back("seal " + std::to_string(seal.number()) + ": is made up: " + *made_up);
    return;
  }
  if (chained_ == 0) {
    first_previous_ = hex(seal.previous());
    if (first_ == 1 && seal.previous() != std::string(32, '\0')) find(seal.number(), "is said to follow another one");
  } else if (hex(seal.previous()) != last_sha256_) {
    find(seal.number(), "does not continue the chain");
  }
  if (!is_signed) find(seal.number(), "is not signed by the audit key");
  std::string content;
  for (const v1::AuditEvent& event : batch.events()) content += field(encoded(event));
  if (batch.events_size() != seal.events()) {
    find(seal.number(), "covers " + std::to_string(seal.events()) + " events, and " +
                            (batch.events_size() < seal.events() ? "fewer" : "more") + " are there");
  } else if (digest(content) != seal.content()) {
    find(seal.number(), "its events are not those that were sealed");
  }
  if (const auto faults = faults_of_times(batch); !faults.empty()) {
    if (const auto words = remark(batch, "times")) {
      remarks_.push_back("seal " + std::to_string(seal.number()) + ": a clock was wrong: " + *words);
    } else {
      for (const std::string& fault : faults) find(seal.number(), fault);
    }
  }
  last_at_ = microseconds(seal.sealed_at());
  events_ += batch.events_size();
  chained_ = seal.number();
  last_sha256_ = hex(digest(text));
  if (const auto anchor = anchors_.find(last_); anchor != anchors_.end() && anchor->second != last_sha256_) {
    find(last_, "is not the one that the anchor names");
  }
}

void SealVerifier::take_unsealed(const v1::ListSealsResponse& rest, TimePoint now) {
  if (rest.made_up() > 0) {
    findings_.push_back(std::to_string(rest.made_up()) + " events are of transactions that have not begun yet");
  }
  if (!rest.has_oldest_unsealed()) return;
  const std::int64_t age = now.time_since_epoch().count() - microseconds(rest.oldest_unsealed());
  if (age > kLongestUnsealed) {
    findings_.push_back(std::to_string(rest.unsealed()) + " events are not sealed, the oldest for " +
                        std::to_string(age / 60'000'000) + " minutes");
  }
}

void SealVerifier::finish() {
  if (!anchors_.empty() && anchors_.rbegin()->first > last_) {
    findings_.push_back("the record was cut short: it ends with seal " + std::to_string(last_) +
                        ", and the anchor names seal " + std::to_string(anchors_.rbegin()->first));
  }
  if (first_ <= 1) return;
  const auto before = anchors_.find(first_ - 1);
  if (before == anchors_.end()) {
    findings_.push_back("the record begins with seal " + std::to_string(first_) +
                        ": those before must be in the archive (--archive), or the one before in --anchor");
  } else if (before->second != first_previous_) {
    find(first_, "does not follow the one that the anchor names");
  }
}

std::string SealVerifier::anchor() const {
  return chained_ == 0 ? std::string() : "number=" + std::to_string(chained_) + " sha256=" + last_sha256_;
}

}  // namespace capf::cli
