#include "capf/ca/digest.h"

#include <botan/hash.h>
#include <botan/hex.h>

namespace capf::ca {
namespace {

Secret hash(const char* algorithm, std::string_view user, std::string_view realm, const Secret& password) {
  const auto hash = Botan::HashFunction::create_or_throw(algorithm);
  for (const std::string_view part : {user, std::string_view(":"), realm, std::string_view(":"), password.text()}) {
    hash->update(as_bytes(part).data(), part.size());
  }
  const Botan::secure_vector<std::uint8_t> digest = hash->final();
  Botan::secure_vector<std::uint8_t> digits(2 * digest.size());
  Botan::hex_encode(reinterpret_cast<char*>(digits.data()), digest.data(), digest.size(), false);
  return Secret(std::move(digits));
}

}  // namespace

Ha1 make_ha1(std::string_view user, std::string_view realm, const Secret& password) {
  CAPF_INVARIANT(user.find(':') == std::string_view::npos);
  return {.md5 = hash("MD5", user, realm, password),
          .sha256 = hash("SHA-256", user, realm, password),
          // FIPS 180-4 5.3.6.2: its own initial value. The example of RFC 7616 3.9.2 is SHA-512 cut to 256 bits.
          .sha512_256 = hash("SHA-512-256", user, realm, password)};
}

}  // namespace capf::ca
