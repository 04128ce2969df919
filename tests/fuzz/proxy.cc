#include "capf/net/proxy.h"

// Read as it comes, a header never asks for less than it has, nor for more than the limit; and a whole header is whole
// for each way in which it is cut.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace capf;
  std::size_t known = 0;
  for (;;) {
    const auto header = net::read_proxy_header({data, known});
    if (!header) return 0;
    if (header->needs == 0) {
      for (std::size_t i = 0; i < known; ++i) {
        const auto part = net::read_proxy_header({data, i});
        CAPF_INVARIANT(part && part->needs > i && part->needs <= known);
      }
      return 0;
    }
    CAPF_INVARIANT(header->needs > known && header->needs <= net::kLargestProxyHeader && !header->source);
    if (header->needs > size) return 0;
    known = header->needs;
  }
}
