#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "capf/base/bytes.h"
#include "capf/base/error.h"
#include "capf/domain/seal.h"

namespace capf {

enum class WithdrawalKind : std::uint8_t {
  kAdministrator,
  kCertificate,
  kKey,
  kRemovedPhone,
  kBlockedPhone,
  kTrustedParty,
  kTrustedCertificate,
};
std::string_view to_string(WithdrawalKind kind);
std::optional<WithdrawalKind> parse_withdrawal_kind(std::string_view text);
/// Whether it concerns a phone, as opposed to what a digest names.
bool is_of_phone(WithdrawalKind kind);

/// Something that was taken away for good, or given back: a disabled administrator, a blocked certificate, a
/// compromised key, a removed or blocked phone, a trunk or bridge that is not trusted any more, or not as far as it
/// was, and a certificate of others that is not. It is kept in the database and, as far as a server has seen it, in a
/// file beside that server's keys.
struct Withdrawal {
  ChangeCursor place;
  WithdrawalKind kind = WithdrawalKind::kAdministrator;
  bool undone = false;
  Sha256 sha256{};            ///< of the certificate, key, or kind and name of the party; zero for phones
  std::int64_t phone_id = 0;  ///< of phones
  std::string device;         ///< of phones
  std::string block;          ///< of a blocked certificate or a party: its row, as JSON in one line

  bool operator==(const Withdrawal&) const = default;
  /// One line: "<transaction> <id> <kind> done|undone <SHA-256> -", or with the phone's id and name in their place; the
  /// row of those that have one follows.
  std::string to_line() const;
  /// Reads a line of to_line(); absent for any other text.
  static std::optional<Withdrawal> parse_line(std::string_view line);
};

/// Leaves out the entries that say nothing any more. The last one of each administrator, certificate, key or phone
/// stays, unless it was undone, and so does the journal's very last one, because it marks the place. In their order.
std::vector<Withdrawal> condense(const std::vector<Withdrawal>& journal);

}  // namespace capf
