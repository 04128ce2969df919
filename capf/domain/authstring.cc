#include "capf/domain/authstring.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace capf {
namespace {

constexpr std::size_t kGeneratedDigits = 8;
constexpr std::uint32_t kGeneratedStrings = 100'000'000;

}  // namespace

Status check_auth_string(std::string_view digits) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  if (digits.size() < 4 || digits.size() > 10 || !std::all_of(digits.begin(), digits.end(), is_digit)) {
    return fail(Reason::kInvalidAuthString);
  }
  return {};
}

Secret generate_auth_string(Botan::RandomNumberGenerator& random) {
  // Numbers from the last, partial run of 10^8 are drawn again, so that each string is as likely as any other.
  constexpr std::uint32_t kEnd = std::uint32_t{0xFFFFFFFF} / kGeneratedStrings * kGeneratedStrings;
  std::uint32_t number = kEnd;
  while (number >= kEnd) {
    std::array<std::uint8_t, 4> octets;
    random.randomize(octets.data(), octets.size());
    number = 0;
    for (const std::uint8_t octet : octets) number = number << 8 | octet;
  }
  number %= kGeneratedStrings;
  Botan::secure_vector<std::uint8_t> digits(kGeneratedDigits);
  for (std::size_t i = kGeneratedDigits; i-- > 0; number /= 10)
    digits[i] = static_cast<std::uint8_t>('0' + number % 10);
  return Secret(std::move(digits));
}

}  // namespace capf
