#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <vector>

#include <botan/hmac_drbg.h>

#include "capf/ca/crl.h"
#include "tests/support/data.h"

// CRLs of the imported authority of tests/data.

namespace capf::test {

/// The issuer of authority/self.pem, whose key is rsa-2048.
inline IssuerRecord crl_issuer(const std::string& path = "authority/self.pem") {
  IssuerRecord made;
  made.id = 3;
  made.der = read_der(path);
  const auto facts = ca::read_certificate(made.der).value();
  made.subject = facts.subject;
  made.sha256 = facts.sha256;
  made.not_before = facts.not_before;
  made.not_after = facts.not_after;
  made.active = true;
  return made;
}

inline Revocation revocation(std::uint8_t number, RevocationReason reason,
                             const std::string& at = "2026-05-01T10:20:30Z") {
  Bytes serial(16, number);
  serial[0] = static_cast<std::uint8_t>(0x40 + number);
  return {SerialNumber(serial), parse_rfc3339(at).value(), reason};
}

inline ca::CrlTerms crl_terms() {
  return {300, test_now(), test_now() + std::chrono::hours{168}, "http://capf.example.com:3807/crl/3/0.crl"};
}

inline Status write_crl(const std::filesystem::path& path, const std::vector<Revocation>& entries,
                        const ca::CrlTerms& terms = crl_terms(), const IssuerRecord& issuer = crl_issuer(),
                        const std::string& key = "rsa-2048") {
  Botan::HMAC_DRBG random("SHA-256");
  random.initialize_with(Bytes(32, 's').data(), 32);
  CAPF_LET(ca::CrlBuilder builder, ca::CrlBuilder::begin(path));
  for (const Revocation& entry : entries) CAPF_TRY(builder.add(entry));
  return builder.finish(terms, issuer, *read_key(key), random);
}

inline Bytes file_bytes(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace capf::test
