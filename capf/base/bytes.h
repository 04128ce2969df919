#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "capf/base/error.h"

namespace capf {

using Bytes = std::vector<std::uint8_t>;
using BytesView = std::span<const std::uint8_t>;
/// SHA-256 of something: 32 octets.
using Sha256 = std::array<std::uint8_t, 32>;

Sha256 sha256(BytesView data);
/// Lower case, two digits an octet.
std::string to_hex(BytesView data);
/// Either case, an even number of digits. Errors: INVALID_REQUEST.
Result<Bytes> parse_hex(std::string_view text);
/// Takes as long for any two inputs of the same size; sizes are not secret.
bool equal_in_constant_time(BytesView a, BytesView b);

inline BytesView as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
inline std::string_view as_text(BytesView data) { return {reinterpret_cast<const char*>(data.data()), data.size()}; }
/// 32 octets to a Sha256. Errors: INVALID_REQUEST for any other size.
Result<Sha256> to_sha256(BytesView data);

}  // namespace capf
