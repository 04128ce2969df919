#include "capf/ca/authstring.h"

#include <array>

#include <botan/mac.h>

namespace capf::ca {
namespace {

constexpr std::size_t kKeySize = 32;

template <std::size_t kOctets>
std::array<std::uint8_t, kOctets> big_endian(std::uint64_t number) {
  std::array<std::uint8_t, kOctets> octets;
  for (std::size_t i = kOctets; i-- > 0; number >>= 8) octets[i] = static_cast<std::uint8_t>(number);
  return octets;
}

}  // namespace

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
