#include "capf/tvs/dialogue.h"

using namespace capf::tvs;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const capf::BytesView input(data, size);
  const auto heard = hear(input);
  if (const auto* more = std::get_if<More>(&heard)) {
    CAPF_INVARIANT(more->size > size && more->size <= kHeaderSize + kLongestAccepted);
  }
  const auto* question = std::get_if<Question>(&heard);
  if (question == nullptr) return 0;
  CAPF_INVARIANT(!question->device.empty() && question->device.size() <= kLongestDevice);
  if (const auto* query = std::get_if<Query>(&question->what)) {
    CAPF_INVARIANT(query->serial.size() <= kLongestSerial && !query->issuer.empty());
    CAPF_INVARIANT(is_same_name(query->issuer, query->issuer) || query->issuer.find(';') != std::string_view::npos);
  }
  const Answer answer{Outcome::kValid, capf::Bytes(16384, 0x30), {capf::TrustRole::kTvs}, std::chrono::hours(1)};
  const auto said = take_frame(encode(*question, answer));
  CAPF_INVARIANT(std::get<Frame>(said).session == question->session);
  return 0;
}
