#include "capf/net/hello.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::size_t needs = capf::net::hello_needs({data, size});
  CAPF_INVARIANT(needs == 0 || needs > size);
  return 0;
}
