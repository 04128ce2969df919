#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "capf/base/bytes.h"
#include "capf/rpc/admission/gate.h"

namespace capf::rpc {

/// One direction of a stream, after its header block: the octets that have come and were not yet passed on. Threads:
/// one at a time.
struct Flow {
  Bytes octets;
  std::size_t taken = 0;  ///< of them
  bool ended = false;     ///< no more octets come after these (and the trailers)
  Gate::Fields trailers;

  std::size_t size() const { return octets.size() - taken; }
  /// Drops what was taken once it is half of them: a flow that is never empty would keep all that ever came.
  void add(BytesView more) {
    if (taken >= size()) {
      octets.erase(octets.begin(), octets.begin() + static_cast<std::ptrdiff_t>(taken));
      taken = 0;
    }
    octets.insert(octets.end(), more.begin(), more.end());
  }
  /// Moves up to `most` octets to `into`. @return how many
  std::size_t take(std::uint8_t* into, std::size_t most) {
    const std::size_t count = std::min(most, size());
    std::copy_n(octets.begin() + static_cast<std::ptrdiff_t>(taken), count, into);
    taken += count;
    if (size() == 0) clear();
    return count;
  }
  /// Drops the octets that were not taken too.
  void clear() {
    octets = {};
    taken = 0;
  }
};

}  // namespace capf::rpc
