#include "capf/service/fetch_notes.h"

#include <charconv>
#include <optional>
#include <utility>

#include "capf/domain/page.h"
#include "capf/domain/phone_fetch_store.h"

namespace capf::service {
namespace {

constexpr std::size_t kMostNotes = 100'000;

std::optional<std::int64_t> number_of(std::string_view generation) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(generation.data(), generation.data() + generation.size(), number);
  if (error != std::errc{} || end != generation.data() + generation.size()) return std::nullopt;
  return number;
}

}  // namespace

void FetchNotes::add(const files::FileRequest& request, const PhoneFile& file, const Address& peer, TimePoint at) {
  if (!request.device) return;
  const std::lock_guard lock(mutex_);
  if (notes_.size() >= kMostNotes && !notes_.contains(*request.device)) return;
  PhoneFetch& note = notes_[*request.device];
  if (request.wanted == files::Wanted::kConfiguration) {
    note.configuration = file.generation;
  } else if (request.list == files::ListKind::kItl) {
    note.itl_generation = number_of(file.generation);
  } else {
    note.ctl_generation = number_of(file.generation);
  }
  note.fetched_at = at;
  note.address = peer;
}

Status FetchNotes::write() {
  while (true) {
    Notes batch = take_batch();
    if (batch.empty()) return {};
    const Status written = database_.write([&](Transaction& tx) { return tx.phone_fetches().record(batch); });
    if (written) continue;
    put_back(std::move(batch));
    return written;
  }
}

FetchNotes::Notes FetchNotes::take_batch() {
  Notes batch;
  const std::lock_guard lock(mutex_);
  while (!notes_.empty() && batch.size() < kPhonesInBatch) batch.insert(notes_.extract(notes_.begin()));
  return batch;
}

/// Notes that came meanwhile are newer, and stay.
void FetchNotes::put_back(Notes notes) {
  const std::lock_guard lock(mutex_);
  notes_.merge(notes);
}

}  // namespace capf::service
