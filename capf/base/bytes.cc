#include "capf/base/bytes.h"

#include <algorithm>

#include <botan/hash.h>
#include <botan/hex.h>
#include <botan/mem_ops.h>

namespace capf {

Sha256 sha256(BytesView data) {
  auto hash = Botan::HashFunction::create_or_throw("SHA-256");
  hash->update(data.data(), data.size());
  Sha256 digest;
  hash->final(digest.data());
  return digest;
}

std::string to_hex(BytesView data) { return Botan::hex_encode(data.data(), data.size(), false); }

Result<Bytes> parse_hex(std::string_view text) {
  const auto digit = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); };
  if (text.size() % 2 != 0 || !std::all_of(text.begin(), text.end(), digit)) {
    return fail(Reason::kInvalidRequest, "not an even number of hexadecimal digits");
  }
  return Botan::hex_decode(text.data(), text.size());
}

bool equal_in_constant_time(BytesView a, BytesView b) {
  return a.size() == b.size() && Botan::constant_time_compare(a.data(), b.data(), a.size());
}

Result<Sha256> to_sha256(BytesView data) {
  Sha256 digest;
  if (data.size() != digest.size()) return fail(Reason::kInvalidRequest, "a SHA-256 has 32 octets");
  std::copy(data.begin(), data.end(), digest.begin());
  return digest;
}

}  // namespace capf
