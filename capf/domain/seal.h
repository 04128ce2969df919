#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "capf/base/bytes.h"
#include "capf/base/error.h"
#include "capf/base/time.h"

// How the record is sealed. Every field is its length in octets (4, big-endian) and its octets; numbers and times
// (microseconds since 1970) have 8 octets, big-endian, two's complement. Text is UTF-8 as it stands in the database.
//
//   event    id | at | actor_kind | actor | address | action | subject | operation_id | outcome | reason | detail
//   content  SHA-256 over the batch's events in their order, each as one field
//   seal     "capf audit seal 1" | number | sealed_at | events | last transaction | last id | content | previous
//   sha256   SHA-256 over the seal: the next one's `previous`. The first one's is 32 zero octets.
//   signature  ECDSA on P-256 with SHA-256 over the seal, in DER
//   remark   "capf audit remark 1" | number | SHA-256 of the seal | kind | words; signed in the same way

namespace capf {

/// An event word for word as it stands in the database: nothing of it may be lost on the way to its digest.
struct AuditRecord {
  std::int64_t id = 0;
  TimePoint at;
  std::string actor_kind;
  std::string actor;
  std::string address;
  std::string action;
  std::string subject;
  std::int64_t operation_id = 0;  ///< 0 where there is none
  std::string outcome;
  std::string reason;  ///< empty where there is none
  std::string detail;
};

/// Where events stand in the record. Events become readable in the order of their transactions' ends, so an id alone
/// would lose some.
struct ChangeCursor {
  std::uint64_t transaction = 0;
  std::int64_t id = 0;
};

struct AuditSeal {
  std::int64_t number = 0;  ///< 1, 2, … without gaps
  TimePoint sealed_at;      ///< by the database's clock; before that of the seal before only with a remark
  int events = 0;
  ChangeCursor last;  ///< the last event that it covers
  Sha256 content{};
  Sha256 previous{};
  Sha256 sha256{};  ///< of itself
  Bytes signature;
};

/// kTimes: the seal, or events that it covers, are of a time at which a clock was wrong. kMadeUp: the audit key has not
/// signed it, so that it covers nothing and the chain goes past it.
enum class RemarkKind : std::uint8_t { kTimes, kMadeUp };
std::string_view to_string(RemarkKind kind);
std::optional<RemarkKind> parse_remark_kind(std::string_view text);

/// What the holder of the audit key says of one seal beside the chain, so that a verifier tells a fault that is known
/// from a new one. A remark that is not signed says nothing.
struct SealRemark {
  std::int64_t number = 0;  ///< of the seal
  RemarkKind kind = RemarkKind::kTimes;
  std::string words;  ///< up to 500 characters
  Bytes signature;
};

/// A transaction is so long at most: an event that was sealed later than that after its time was dated back.
inline constexpr std::chrono::hours kLongestTransaction{1};
/// Judges the times of a seal and of its events. @return what is wrong, in words; nothing where they are in order.
/// @param previous when the seal before was made; absent for the first one.
std::optional<std::string> fault_of_times(const AuditSeal& seal, std::span<const AuditRecord> events,
                                          const std::optional<TimePoint>& previous);

/// A batch is at most so large, so that it fits into one message.
inline constexpr int kLargestBatch = 500;

Sha256 content_of(std::span<const AuditRecord> events);
/// What is signed, and what `sha256` is made of.
Bytes seal_text(const AuditSeal& seal);
Bytes remark_text(const SealRemark& remark, const AuditSeal& seal);

/// An event with its place in the record.
struct PlacedRecord {
  ChangeCursor place;
  AuditRecord record;
};

/// Events that no seal covers.
struct UnsealedEvents {
  std::int64_t count = 0;
  std::optional<TimePoint> oldest;
  /// Those whose transactions have numbers that the database has not given out yet: somebody has made them up.
  std::int64_t made_up = 0;
};

class SealStore {
 public:
  virtual ~SealStore() = default;
  /// At the start, before anything is written: places in the record go on from the greatest one, also where the
  /// database was restored into another cluster. @return whether it was.
  virtual Result<bool> adopt_cluster() = 0;
  /// Nobody else adds a seal before this transaction ends.
  virtual Status lock() = 0;
  virtual Result<std::optional<AuditSeal>> last() = 0;
  virtual Result<std::optional<AuditSeal>> find(std::int64_t number) = 0;
  /// Those with a greater number, in order.
  virtual Result<std::vector<AuditSeal>> list(std::int64_t after, int limit) = 0;
  /// @param seal its number follows the greatest one on record.
  virtual Status add(const AuditSeal& seal) = 0;
  virtual Status add_remark(const SealRemark& remark) = 0;
  /// Those of seals `first` to `last`, by number, a few of each at most.
  virtual Result<std::vector<SealRemark>> remarks(std::int64_t first, std::int64_t last) = 0;
  /// Whether an event could be written now. Errors: INTERNAL where its place in the record cannot be given.
  virtual Status try_place() = 0;
  /// Events after `after` that no running transaction can still precede, in order.
  virtual Result<std::vector<PlacedRecord>> unsealed(const ChangeCursor& after, int limit) = 0;
  /// Events after `after`, up to and with `last`, in order.
  virtual Result<std::vector<PlacedRecord>> events(const ChangeCursor& after, const ChangeCursor& last, int limit) = 0;
  virtual Result<UnsealedEvents> after(const ChangeCursor& cursor) = 0;
  /// SubjectPublicKeyInfo of the site's audit key.
  virtual Result<std::optional<Bytes>> key() = 0;
  /// @return false where there is one already.
  virtual Result<bool> set_key(BytesView spki) = 0;
};

}  // namespace capf
