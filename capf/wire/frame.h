#pragma once

#include <cstdint>
#include <variant>

#include "capf/base/element.h"

// The CAPF protocol's outer form, versions 2 and 3: what `capf/wire/README.md` calls a message, before its elements are
// interpreted. Without copies, allocations or exceptions.

namespace capf::wire {

inline constexpr std::uint8_t kProtocolId = 0x55;
inline constexpr std::size_t kHeaderSize = 8;
/// The most that the length field can express.
inline constexpr std::size_t kLongestElements = 65535;
/// The most that this server accepts: two certificates of the largest size that it reads, and their signatures.
inline constexpr std::size_t kLongestAccepted = std::size_t{40} * 1024;

/// One message, within the octets that were read.
struct Frame {
  std::uint8_t command = 0;
  std::uint32_t session_id = 0;
  BytesView elements;

  std::size_t size() const { return kHeaderSize + elements.size(); }
};

using capf::Malformed;
using capf::More;
using Taken = std::variant<More, Frame, Malformed>;

/// The message at the front of `data`; octets behind it are ignored.
/// @param longest more octets of elements than these are malformed as soon as the header says so.
Taken take_frame(BytesView data, std::size_t longest = kLongestElements);

/// Appends one message to a buffer, element by element.
class FrameWriter {
 public:
  FrameWriter(Bytes& out, std::uint8_t command, std::uint32_t session_id);

  void put(std::uint8_t tag, BytesView value) { put(tag, {}, value, {}); }
  /// One element whose value is in three parts.
  void put(std::uint8_t tag, BytesView first, BytesView second, BytesView third);
  /// Writes the length into the header. @return false where the elements are too long: then the message is removed
  /// again.
  [[nodiscard]] bool finish();

 private:
  Bytes& out_;
  std::size_t start_;
  bool fits_ = true;
};

}  // namespace capf::wire
