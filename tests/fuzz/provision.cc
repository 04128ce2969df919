#include <array>
#include <fstream>
#include <iterator>

#include "capf/phone/configuration.h"
#include "capf/phone/encrypted.h"
#include "capf/phone/trust_list.h"
#include "capf/phone/vouching.h"

using namespace capf;

namespace {

std::string read(const std::string& path) {
  std::ifstream file(std::string(CAPF_TEST_DATA) + "/phone-files/certs/" + path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void check_list(BytesView file, const std::string& name) {
  const auto list = phone::read_trust_list({file.begin(), file.end()}, name);
  if (!list) return;
  const phone::Certificate& signer = list->signer_certificate();
  CAPF_INVARIANT(phone::Certificate::read(signer.der())->serial() == signer.serial());
  phone::TrustLists lists;
  lists.itl = *list;
  CAPF_INVARIANT(lists.has(signer, {phone::Role::kSast}));
}

void check_file(BytesView file, const std::string& name) {
  static const auto kKey = client::PrivateKey::parse(read("phone_rsa2048.key")).value();
  const auto header = phone::read_header(file, name);
  if (!header) return;
  CAPF_INVARIANT(header->before.size() + 3 + header->signature.size() + header->behind.size() == file.size());
  CAPF_INVARIANT(header->body.size() < header->behind.size());
  CAPF_INVARIANT(!header->encryption || header->kind == phone::Header::Kind::kEncrypted);
  const auto plain = phone::decrypt(*header, kKey);
  CAPF_INVARIANT(!plain || plain->view().size() < header->body.size());
}

}  // namespace

// Anything that a server may send to a phone that provisions itself: a trust list, a file, a configuration, an answer
// of TVS.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const BytesView input(data, size);
  for (const char* name : {"CTLFile.tlv", "ITLFile.tlv"}) check_list(input, name);
  for (const char* name : {"SEP001122334455.cnf.xml.sgn", "SEP001122334455.cnf.xml.enc.sgn"}) check_file(input, name);
  const auto configuration = phone::read_configuration(input);
  CAPF_INVARIANT(!configuration || (configuration->capf.size() <= 5 && configuration->tvs.size() <= 5));
  constexpr std::array<std::uint8_t, 10> kVerify{0x57, 1, 1, 0, 0, 0, 0, 1, 0, 0};
  constexpr std::array<std::uint8_t, 10> kQuery{0x57, 1, 3, 0, 0, 0, 0, 1, 0, 0};
  const auto verified = phone::read_answer(input, kVerify);
  CAPF_INVARIANT(!verified || !verified->certificate);
  const auto found = phone::read_answer(input, kQuery);
  CAPF_INVARIANT(!found || found->valid == found->certificate.has_value());
  return 0;
}
