#include <google/protobuf/stubs/logging.h>

#include "capf/rpc/convert.h"

using namespace capf;

namespace {

/// A message of this kind from its octets; nothing where they are none.
template <class Message>
std::optional<Message> read(BytesView octets) {
  Message message;
  if (!message.ParseFromArray(octets.data(), static_cast<int>(octets.size()))) return std::nullopt;
  return message;
}

void check_text(const std::string& text) {
  for (const char c : text) CAPF_INVARIANT(static_cast<unsigned char>(c) >= 0x20 && c != 0x7F);
}

void check_revocation(BytesView octets) {
  const auto request = read<v1::RevokeSelectionRequest>(octets);
  if (!request) return;
  const auto wanted = rpc::selection_from(*request);
  if (!wanted) return;
  CAPF_INVARIANT(wanted->selection.names_any() && wanted->count >= 0);
  CAPF_INVARIANT(wanted->selection.serials.size() == static_cast<std::size_t>(request->selection().serials_size()));
  CAPF_INVARIANT(wanted->selection.held == (wanted->reason != RevocationReason::kCertificateHold));
}

void check_phones(BytesView octets) {
  const auto request = read<v1::AddPhonesRequest>(octets);
  if (!request) return;
  const auto phones = rpc::phones_from(*request);
  if (!phones) return;
  CAPF_INVARIANT(phones->size() == static_cast<std::size_t>(request->devices_size()) && !phones->empty());
  for (const auto& phone : *phones) check_text(phone.model);
}

void check_change(BytesView octets) {
  const auto request = read<v1::ChangePhonesRequest>(octets);
  if (!request) return;
  const auto change = rpc::change_from(*request);
  CAPF_INVARIANT(!change || change->check());
  const auto bulk = rpc::bulk_from(request->selection(), request->count(), request->cursor());
  if (!bulk) return;
  CAPF_INVARIANT(bulk->selection.check() && bulk->count >= 0);
  CAPF_INVARIANT(bulk->selection.devices.size() == static_cast<std::size_t>(request->selection().devices_size()));
  CAPF_INVARIANT(request->cursor() == (bulk->cursor ? rpc::to_text(*bulk->cursor) : ""));
}

void check_import(BytesView octets) {
  const auto request = read<v1::ImportPhonesRequest>(octets);
  if (!request) return;
  const auto batch = rpc::import_from(request->phones(), request->update());
  if (!batch) return;
  CAPF_INVARIANT(batch->phones.size() == static_cast<std::size_t>(request->phones_size()) && !batch->phones.empty());
  for (const ImportedPhone& phone : batch->phones) {
    if (!phone.check()) continue;
    check_text(phone.model + phone.description.value_or(""));
    CAPF_INVARIANT(!phone.tags || phone.tags->size() <= kMostTags);
  }
}

void check_schedule(BytesView octets) {
  const auto request = read<v1::ScheduleOperationsRequest>(octets);
  if (!request) return;
  const auto schedule = rpc::schedule_from(*request);
  const std::string& wiped = request->auth_string();
  CAPF_INVARIANT(wiped.find_first_not_of('\0') == std::string::npos);
  if (!schedule) return;
  CAPF_INVARIANT(!schedule->auth_string || schedule->auth == AuthMode::kString);
  CAPF_INVARIANT(schedule->key.check() && !schedule->devices.empty());
}

void check_bulk(BytesView octets) {
  const auto request = read<v1::ScheduleSelectionRequest>(octets);
  if (!request) return;
  const auto schedule = rpc::schedule_from(*request);
  for (const v1::DeviceString& each : request->strings()) {
    CAPF_INVARIANT(each.digits().find_first_not_of('\0') == std::string::npos);
  }
  if (!schedule) return;
  CAPF_INVARIANT(schedule->run.empty() || schedule->run.size() == kRunOctets);
  CAPF_INVARIANT(schedule->strings.size() == static_cast<std::size_t>(request->strings_size()));
  CAPF_INVARIANT(schedule->phones.selection.check() && schedule->plan.key.check());
}

void check_anchors(BytesView octets) {
  const auto request = read<v1::AddAnchorsRequest>(octets);
  if (!request) return;
  const auto anchors = rpc::anchors_from(*request);
  if (!anchors) return;
  CAPF_INVARIANT(anchors->min_rsa_bits >= 1024 && anchors->min_rsa_bits <= 4096);
  CAPF_INVARIANT(anchors->files.size() == static_cast<std::size_t>(request->certificates_size()));
}

void check_filters(BytesView octets, TimePoint now) {
  if (const auto request = read<v1::ListPhonesRequest>(octets)) {
    const auto selection = rpc::selection_from(request->selection());
    CAPF_INVARIANT(!selection || selection->check());
    const auto page = rpc::from_proto(request->page());
    CAPF_INVARIANT(!page || (page->limit >= 1 && page->limit <= 1000));
  }
  if (const auto request = read<v1::ListOperationsRequest>(octets)) static_cast<void>(rpc::filter_from(*request));
  if (const auto request = read<v1::ListPendingRequest>(octets)) {
    const auto filter = rpc::filter_from(*request, now);
    CAPF_INVARIANT(!filter || !filter->created_before || *filter->created_before <= now);
  }
  if (const auto request = read<v1::ListCertificatesRequest>(octets)) static_cast<void>(rpc::filter_from(*request));
  if (const auto request = read<v1::ListAuditRequest>(octets)) {
    const auto filter = rpc::filter_from(*request);
    if (filter && filter->subject) check_text(*filter->subject);
  }
  if (const auto request = read<v1::VerifyCertificatesRequest>(octets)) static_cast<void>(rpc::cursor_from(*request));
  if (const auto request = read<v1::RecoverSiteRequest>(octets)) {
    const auto confirmed = rpc::confirmed_from(*request);
    CAPF_INVARIANT(!confirmed || confirmed->anchors.size() == static_cast<std::size_t>(request->anchors_size()));
  }
}

void check_cursor(BytesView octets) {
  const std::string text(as_text(octets));
  if (const auto cursor = rpc::cursor_from(text)) {
    CAPF_INVARIANT(text == std::to_string(cursor->transaction) + '.' + std::to_string(cursor->id));
  }
}

}  // namespace

// The first octet chooses the administrators' request as which the rest is parsed.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const TimePoint kNow = parse_rfc3339("2026-06-01T12:00:00Z").value();
  // Protobuf would write a line for every text that is not UTF-8.
  [[maybe_unused]] static const auto kBefore = google::protobuf::SetLogHandler(nullptr);
  if (size == 0) return 0;
  const BytesView octets(data + 1, size - 1);
  switch (data[0] % 6) {
    case 0: check_revocation(octets); break;
    case 1:
      check_phones(octets);
      check_change(octets);
      check_import(octets);
      break;
    case 2:
      check_schedule(octets);
      check_bulk(octets);
      break;
    case 3: check_anchors(octets); break;
    case 4: check_filters(octets, kNow); break;
    case 5: check_cursor(octets); break;
  }
  return 0;
}
