#include "capf/client/key.h"
#include "capf/client/site.h"
#include "capf/phone/folder.h"

using namespace capf;

namespace {

void check_certificate(BytesView der) {
  const auto facts = client::read_certificate(der);
  if (!facts) return;
  CAPF_INVARIANT(!facts->serial.empty() && facts->serial.find_first_not_of("0123456789abcdef") == std::string::npos);
  const auto again = client::parse_certificates(client::certificate_pem(der));
  CAPF_INVARIANT(again && again->size() == 1);
  const auto key = client::public_key_of_file(as_text(der));
  CAPF_INVARIANT(key && *key == facts->public_key);
}

void check_certificates(std::string_view pem) {
  const auto certificates = client::parse_certificates(pem);
  if (!certificates) return;
  for (const Bytes& der : *certificates) check_certificate(der);
  for (std::size_t i = 1; i < certificates->size(); ++i) {
    static_cast<void>(client::read_issued((*certificates)[i - 1], (*certificates)[i]));
  }
}

void check_key(std::string_view pem) {
  const auto key = client::PrivateKey::parse(pem);
  if (!key) return;
  const auto again = client::PrivateKey::parse(key->pem().text());
  CAPF_INVARIANT(again && again->public_key() == key->public_key());
}

void check_request(BytesView der) {
  const auto key = client::public_key_of_request(der);
  const auto again = client::parse_request(client::request_pem(der));
  CAPF_INVARIANT(!key || (again && client::public_key_of_request(*again) == *key));
}

void check_pending(std::string_view text) {
  const auto pending = phone::decode(text);
  if (!pending) return;
  const Secret written = phone::encode(*pending);
  const auto again = phone::decode(written.text());
  CAPF_INVARIANT(again && again->operation_id == pending->operation_id && again->request == pending->request);
}

void check_addresses(std::string_view text) {
  const auto addresses = client::parse_addresses(text);
  if (!addresses) return;
  std::string together;
  for (const std::string& address : *addresses) together += (together.empty() ? "" : ",") + address;
  CAPF_INVARIANT(together == text && addresses->size() <= client::kMostAddresses);
}

}  // namespace

// The first octet chooses how to read the rest: as one of the inputs of clients from files, servers and the command
// line.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const BytesView octets(data + 1, size - 1);
  const std::string_view text = as_text(octets);
  switch (data[0] % 7) {
    case 0: check_certificate(octets); break;
    case 1: check_certificates(text); break;
    case 2: check_key(text); break;
    case 3: check_request(octets); break;
    case 4: check_pending(text); break;
    case 5: check_addresses(text); break;
    case 6: static_cast<void>(client::public_key_of_file(text)); break;
  }
  return 0;
}
