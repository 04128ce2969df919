#include "capf/domain/seal.h"

#include "capf/base/error.h"

namespace capf {
namespace {

template <int kOctets>
void put_number(Bytes& out, std::uint64_t value) {
  for (int shift = 8 * (kOctets - 1); shift >= 0; shift -= 8) out.push_back(static_cast<std::uint8_t>(value >> shift));
}

void put(Bytes& out, BytesView field) {
  put_number<4>(out, field.size());
  out.insert(out.end(), field.begin(), field.end());
}
void put(Bytes& out, const std::string& field) { put(out, as_bytes(field)); }
void put(Bytes& out, std::uint64_t number) {
  put_number<4>(out, 8);
  put_number<8>(out, number);
}
void put(Bytes& out, std::int64_t number) { put(out, static_cast<std::uint64_t>(number)); }
void put(Bytes& out, TimePoint time) { put(out, std::int64_t{time.time_since_epoch().count()}); }

}  // namespace

std::string_view to_string(RemarkKind kind) {
  switch (kind) {
    case RemarkKind::kTimes: return "times";
    case RemarkKind::kMadeUp: return "made_up";
  }
  CAPF_INVARIANT(false);
}

std::optional<RemarkKind> parse_remark_kind(std::string_view text) {
  if (text == "times") return RemarkKind::kTimes;
  if (text == "made_up") return RemarkKind::kMadeUp;
  return std::nullopt;
}

std::optional<std::string> fault_of_times(const AuditSeal& seal, std::span<const AuditRecord> events,
                                          const std::optional<TimePoint>& previous) {
  int ahead = 0;
  int behind = 0;
  for (const AuditRecord& event : events) {
    if (event.at > seal.sealed_at) ++ahead;
    if (previous && event.at < *previous - kLongestTransaction) ++behind;
  }
  const bool back = previous && seal.sealed_at < *previous;
  if (ahead == 0 && behind == 0 && !back) return std::nullopt;
  std::string words = "made at " + to_rfc3339(seal.sealed_at);
  if (back) words += ", before the seal before it (" + to_rfc3339(*previous) + ")";
  if (ahead > 0) words += ", with " + std::to_string(ahead) + " events of later";
  if (behind > 0) words += ", with " + std::to_string(behind) + " events of long before the seal before it";
  return words;
}

Sha256 content_of(std::span<const AuditRecord> events) {
  Bytes batch;
  for (const AuditRecord& record : events) {
    Bytes event;
    put(event, record.id);
    put(event, record.at);
    for (const std::string* text :
         {&record.actor_kind, &record.actor, &record.address, &record.action, &record.subject}) {
      put(event, *text);
    }
    put(event, record.operation_id);
    for (const std::string* text : {&record.outcome, &record.reason, &record.detail}) put(event, *text);
    put(batch, event);
  }
  return sha256(batch);
}

Bytes seal_text(const AuditSeal& seal) {
  Bytes text;
  put(text, std::string("capf audit seal 1"));
  put(text, seal.number);
  put(text, seal.sealed_at);
  put(text, std::int64_t{seal.events});
  put(text, seal.last.transaction);
  put(text, seal.last.id);
  put(text, BytesView(seal.content));
  put(text, BytesView(seal.previous));
  return text;
}

Bytes remark_text(const SealRemark& remark, const AuditSeal& seal) {
  Bytes text;
  put(text, std::string("capf audit remark 1"));
  put(text, remark.number);
  put(text, BytesView(sha256(seal_text(seal))));
  put(text, std::string(to_string(remark.kind)));
  put(text, remark.words);
  return text;
}

}  // namespace capf
