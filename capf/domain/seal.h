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
// (microseconds since 1970) have 8 octets, big-endian, two's complement. Text is UTF-8 as in the database.
//
//   event    id | at | actor_kind | actor | address | action | subject | operation_id | outcome | reason | detail
//   content  SHA-256 over the batch's events in their order, each as one field
//   seal     "capf audit seal 1" | number | sealed_at | events | last transaction | last id | content | previous
//   sha256   SHA-256 over the seal: the next one's `previous`. The first one's is 32 zero octets.
//   signature  ECDSA on P-256 with SHA-256 over the seal, in DER
//   remark   "capf audit remark 1" | number | SHA-256 of the seal | kind | words; signed in the same way

namespace capf {

/// An event word for word as in the database, because its digest covers every octet.
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

/// A position in the record. Events become readable in the order of their transactions' ends, so an id alone would lose
/// some.
struct ChangeCursor {
  bool operator==(const ChangeCursor&) const = default;

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

/// kTimes: the seal, or events that it covers, were made while a clock was wrong. kMadeUp: the audit key has not signed
/// it, so it covers nothing and the chain skips it.
enum class RemarkKind : std::uint8_t { kTimes, kMadeUp };
std::string_view to_string(RemarkKind kind);
std::optional<RemarkKind> parse_remark_kind(std::string_view text);

/// A statement of the audit key's holder on one seal, beside the chain, so that a verifier tells a known fault from a
/// new one. An unsigned remark counts for nothing.
struct SealRemark {
  std::int64_t number = 0;  ///< of the seal
  RemarkKind kind = RemarkKind::kTimes;
  std::string words;  ///< up to 500 characters
  Bytes signature;
};

/// The longest duration of a transaction: an event sealed later than this after its time was dated back.
inline constexpr std::chrono::hours kLongestTransaction{1};
/// Judges the times of a seal and of its events. @return the fault, in words; nothing where they are in order.
/// @param previous when the seal before was made; absent for the first one.
std::optional<std::string> fault_of_times(const AuditSeal& seal, std::span<const AuditRecord> events,
                                          const std::optional<TimePoint>& previous);

/// The most events in a batch, so that it fits into one message.
inline constexpr int kLargestBatch = 500;

Sha256 content_of(std::span<const AuditRecord> events);
/// The octets that are signed, and of which `sha256` is the digest.
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
  /// Events whose transaction numbers the database has not given out yet: they are forged.
  std::int64_t made_up = 0;
};

}  // namespace capf
