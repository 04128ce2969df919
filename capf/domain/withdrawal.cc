#include "capf/domain/withdrawal.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <set>
#include <tuple>

#include "capf/base/error.h"

namespace capf {
namespace {

constexpr std::array kKinds{
    WithdrawalKind::kAdministrator,     WithdrawalKind::kCertificate,  WithdrawalKind::kKey,
    WithdrawalKind::kRemovedPhone,      WithdrawalKind::kBlockedPhone, WithdrawalKind::kTrustedParty,
    WithdrawalKind::kTrustedCertificate};

/// Takes the text up to the next space, and that space, off the front.
std::string_view take_word(std::string_view& line) {
  const std::size_t end = std::min(line.find(' '), line.size());
  const std::string_view word = line.substr(0, end);
  line.remove_prefix(std::min(end + 1, line.size()));
  return word;
}

template <class Number>
bool read_number(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

}  // namespace

std::string_view to_string(WithdrawalKind kind) {
  switch (kind) {
    case WithdrawalKind::kAdministrator: return "administrator";
    case WithdrawalKind::kCertificate: return "certificate";
    case WithdrawalKind::kKey: return "key";
    case WithdrawalKind::kRemovedPhone: return "removed_phone";
    case WithdrawalKind::kBlockedPhone: return "blocked_phone";
    case WithdrawalKind::kTrustedParty: return "trusted_party";
    case WithdrawalKind::kTrustedCertificate: return "trusted_certificate";
  }
  CAPF_INVARIANT(false);
}

std::optional<WithdrawalKind> parse_withdrawal_kind(std::string_view text) {
  for (const WithdrawalKind kind : kKinds) {
    if (to_string(kind) == text) return kind;
  }
  return std::nullopt;
}

bool is_of_phone(WithdrawalKind kind) {
  return kind == WithdrawalKind::kRemovedPhone || kind == WithdrawalKind::kBlockedPhone;
}

std::string Withdrawal::to_line() const {
  std::string line = std::to_string(place.transaction) + ' ' + std::to_string(place.id) + ' ' +
                     std::string(to_string(kind)) + (undone ? " undone " : " done ");
  line += is_of_phone(kind) ? std::to_string(phone_id) + ' ' + device : to_hex(sha256) + " -";
  if (!block.empty()) line += ' ' + block;
  return line;
}

std::optional<Withdrawal> Withdrawal::parse_line(std::string_view line) {
  Withdrawal withdrawal;
  if (!read_number(take_word(line), withdrawal.place.transaction)) return std::nullopt;
  if (!read_number(take_word(line), withdrawal.place.id)) return std::nullopt;
  const auto kind = parse_withdrawal_kind(take_word(line));
  if (!kind) return std::nullopt;
  withdrawal.kind = *kind;
  const std::string_view state = take_word(line);
  if (state != "done" && state != "undone") return std::nullopt;
  withdrawal.undone = state == "undone";
  const std::string_view what = take_word(line);
  const std::string_view device = take_word(line);
  if (is_of_phone(*kind)) {
    if (!read_number(what, withdrawal.phone_id) || device.empty()) return std::nullopt;
    withdrawal.device = device;
  } else {
    const auto octets = parse_hex(what);
    if (!octets || octets->size() != withdrawal.sha256.size()) return std::nullopt;
    std::copy(octets->begin(), octets->end(), withdrawal.sha256.begin());
  }
  withdrawal.block = line;
  return withdrawal;
}

std::vector<Withdrawal> condense(const std::vector<Withdrawal>& journal) {
  using Subject = std::tuple<WithdrawalKind, Sha256, std::int64_t, std::string>;
  std::set<Subject> seen;
  std::vector<Withdrawal> counting;
  for (auto entry = journal.rbegin(); entry != journal.rend(); ++entry) {
    const bool newest = seen.insert({entry->kind, entry->sha256, entry->phone_id, entry->device}).second;
    if (entry == journal.rbegin() || (newest && !entry->undone)) counting.push_back(*entry);
  }
  std::reverse(counting.begin(), counting.end());
  return counting;
}

}  // namespace capf
