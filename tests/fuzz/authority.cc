#include "capf/ca/certificate.h"
#include "capf/ca/key.h"
#include "tests/fuzz/der.h"
#include "tests/support/data.h"

using namespace capf;

namespace {

void check(const Result<ca::ImportedAuthority>& authority) {
  if (!authority) return;
  CAPF_INVARIANT(authority->key && authority->chain.size() < 10);
  const auto outline = ca::read_outline(authority->certificate);
  const Bytes key = authority->key->public_key();
  CAPF_INVARIANT(outline && std::equal(key.begin(), key.end(), outline->public_key.begin(), outline->public_key.end()));
  for (const Bytes& der : authority->chain) CAPF_INVARIANT(ca::scan_certificate(der));
}

}  // namespace

// The first option chooses the key to which the certificates are brought, or the first element as the key, in PKCS #8.
// The other elements are the certificates, as DER and PEM.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::DerInput input = fuzz::read_input({data, size});
  Bytes der;
  std::string pem;
  std::string key;
  for (const BytesView element : input.elements) {
    if (key.empty()) {
      key = ca::to_pem(element);
      for (std::size_t at = 0; (at = key.find("CERTIFICATE", at)) != std::string::npos;)
        key.replace(at, 11, "PRIVATE KEY");
    } else {
      der.insert(der.end(), element.begin(), element.end());
      pem += ca::to_pem(element);
    }
  }
  check(ca::import_pem(der, as_bytes(key), Secret()));
  if (input.options[1] % 2 == 1) check(ca::import_pem(as_bytes(pem), as_bytes(key), Secret()));
  if (input.options[0] % 4 == 0) {
    check(ca::import_pem({data, size}, {data, size}, Secret()));
  } else {
    static const std::array<std::string, 3> kKeys{"p-256", "p-384", "rsa-2048"};
    check(ca::import_certificates(der, test::read_key(kKeys[input.options[0] % 4U - 1])));
  }
  return 0;
}
