#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include <botan/mem_ops.h>

namespace capf {

/// Memory that is wiped before it is given back: also when a container grows, shrinks or is moved.
template <class T>
struct WipingAllocator {
  using value_type = T;

  WipingAllocator() = default;
  template <class Other>
  // NOLINTNEXTLINE(google-explicit-constructor): containers convert it
  WipingAllocator(const WipingAllocator<Other>&) noexcept {}

  T* allocate(std::size_t count) { return std::allocator<T>().allocate(count); }
  void deallocate(T* at, std::size_t count) noexcept {
    Botan::secure_scrub_memory(at, count * sizeof(T));
    std::allocator<T>().deallocate(at, count);
  }

  friend bool operator==(const WipingAllocator&, const WipingAllocator&) noexcept { return true; }
};

/// Octets that may have a secret among them. Strangers fill many of these, so they are not locked in memory as a Secret
/// is, of which there is little.
using WipedBytes = std::vector<std::uint8_t, WipingAllocator<std::uint8_t>>;

/// Removes the first octets, and wipes the places from which the others move up.
inline void remove_front(WipedBytes& octets, std::size_t count) {
  if (count == 0) return;
  const std::size_t left = octets.size() - count;
  std::copy(octets.begin() + static_cast<std::ptrdiff_t>(count), octets.end(), octets.begin());
  Botan::secure_scrub_memory(octets.data() + left, count);
  octets.resize(left);
}

}  // namespace capf
