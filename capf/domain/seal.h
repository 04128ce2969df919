#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "capf/base/bytes.h"
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
/// What the times of a seal and of its events say against it, in words; nothing where they are in order.
/// @param previous when the seal before was made; absent for the first one.
std::optional<std::string> fault_of_times(const AuditSeal& seal, std::span<const AuditRecord> events,
                                          const std::optional<TimePoint>& previous);

/// A batch is at most so large, so that it fits into one message.
inline constexpr int kLargestBatch = 500;

Sha256 content_of(std::span<const AuditRecord> events);
/// What is signed, and what `sha256` is made of.
Bytes seal_text(const AuditSeal& seal);
Bytes remark_text(const SealRemark& remark, const AuditSeal& seal);

}  // namespace capf
