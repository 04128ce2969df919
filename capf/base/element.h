#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "capf/base/bytes.h"

// The elements of the phones' protocols, CAPF and TVS, and of phones' files; and their numbers, which are big-endian.
// They are read without copies, allocations or exceptions.

namespace capf {

// The octets must be there.
std::size_t read_16(BytesView data, std::size_t at);
std::uint32_t read_32(BytesView data, std::size_t at);
/// Appends the two lowest octets.
void append_16(Bytes& out, std::size_t value);

/// A message of which not enough octets are there yet.
struct More {
  std::size_t size = 0;  ///< octets needed in all before the next try
};

/// Octets that can never become a message.
struct Malformed {
  std::string_view why;  ///< words of our own, for people
};

struct Element {
  std::uint8_t tag = 0;
  BytesView value;
};

/// Walks over the elements of a message, in their order.
class ElementReader {
 public:
  explicit ElementReader(BytesView elements) : rest_(elements) {}

  /// The next one; nothing at the end, and where the next one runs past the end: then broken() is true.
  std::optional<Element> next();
  bool broken() const { return broken_; }

 private:
  BytesView rest_;
  bool broken_ = false;
};

}  // namespace capf
