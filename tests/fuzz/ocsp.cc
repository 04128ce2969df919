#include "capf/ca/ocsp.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto request = capf::ca::OcspRequest::parse({data, size});
  if (!request) return 0;
  CAPF_INVARIANT(size <= capf::ca::kLargestOcspRequest);
  CAPF_INVARIANT(!request->ids().empty() && request->ids().size() <= capf::ca::kMostOcspSerials);
  return 0;
}
