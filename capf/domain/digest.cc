#include "capf/domain/digest.h"

#include <cstddef>

#include "capf/base/utf8.h"

namespace capf {
namespace {

constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
constexpr std::size_t kGeneratedCharacters = 24;

/// Whether it is UTF-8 of so many characters, none of them a control.
bool is_text(std::string_view text, int least, int most) {
  if (find_not_utf8(text)) return false;
  int count = 0;
  for (std::string_view rest = text; !rest.empty() && count <= most; ++count) {
    const char32_t c = take_code_point(rest);
    if (c < 0x20 || (c >= 0x7f && c < 0xa0)) return false;
  }
  return count >= least && count <= most;
}

}  // namespace

Status check_digest_user(std::string_view name) {
  const bool good =
      is_text(name, 1, 64) && name.find(':') == std::string_view::npos && name.front() != ' ' && name.back() != ' ';
  if (!good) return fail(Reason::kInvalidDigestUser);
  return {};
}

Status check_digest_password(std::string_view password) {
  if (!is_text(password, 8, 30)) return fail(Reason::kInvalidPassword);
  return {};
}

Status check_realm(std::string_view realm) {
  if (!is_text(realm, 1, 128)) {
    return fail(Reason::kInvalidConfiguration, "a realm has 1 to 128 printable characters");
  }
  return {};
}

Secret generate_digest_password(Botan::RandomNumberGenerator& random) {
  // Octets of the last, partial run of letters are drawn again, so that each letter is as likely as any other.
  constexpr std::size_t kEnd = 256 / kLetters.size() * kLetters.size();
  Botan::secure_vector<std::uint8_t> password;
  password.reserve(kGeneratedCharacters);
  while (password.size() < kGeneratedCharacters) {
    const std::size_t octet = random.next_byte();
    if (octet < kEnd) password.push_back(static_cast<std::uint8_t>(kLetters[octet % kLetters.size()]));
  }
  return Secret(std::move(password));
}

}  // namespace capf
