#include "capf/ca/authstring.h"

#include <algorithm>

#include <botan/mac.h>

namespace capf::ca {
namespace {

constexpr std::size_t kGeneratedDigits = 8;
constexpr std::uint32_t kGeneratedStrings = 100'000'000;
constexpr std::size_t kKeySize = 32;

template <std::size_t kOctets>
std::array<std::uint8_t, kOctets> big_endian(std::uint64_t number) {
  std::array<std::uint8_t, kOctets> octets;
  for (std::size_t i = kOctets; i-- > 0; number >>= 8) octets[i] = static_cast<std::uint8_t>(number);
  return octets;
}

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

Result<StringKey> StringKey::make(Secret key) {
  if (key.view().size() != kKeySize) {
    return fail(Reason::kInvalidConfiguration, "the site key for authentication strings has 32 octets");
  }
  return StringKey(std::move(key));
}

// HMAC input: operation (8 octets) | size of the name (4) | name | size of the digits (4) | digits
Bytes StringKey::mac(std::int64_t operation_id, const DeviceName& device, std::string_view digits) const {
  const auto hmac = Botan::MessageAuthenticationCode::create_or_throw("HMAC(SHA-256)");
  hmac->set_key(key_.view().data(), key_.view().size());
  const auto operation = big_endian<8>(static_cast<std::uint64_t>(operation_id));
  hmac->update(operation.data(), operation.size());
  for (const std::string_view part : {std::string_view(device.text()), digits}) {
    const auto size = big_endian<4>(part.size());
    hmac->update(size.data(), size.size());
    hmac->update(as_bytes(part).data(), part.size());
  }
  Bytes mac(hmac->output_length());
  hmac->final(mac.data());
  return mac;
}

}  // namespace capf::ca
