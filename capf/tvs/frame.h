#pragma once

#include <cstdint>
#include <optional>
#include <variant>

#include "capf/base/element.h"

// The outer form of the Trust Verification Service's protocol: what `capf/tvs/README.md` calls a message, before its
// elements are interpreted. Without copies or exceptions.

namespace capf::tvs {

inline constexpr std::uint8_t kProtocolId = 0x57;
inline constexpr std::uint8_t kVersion = 1;
inline constexpr std::size_t kHeaderSize = 10;
/// The most that the length field can express.
inline constexpr std::size_t kLongestElements = 65535;
/// The most that this server accepts: twice a certificate of the largest size that it reads.
inline constexpr std::size_t kLongestAccepted = std::size_t{40} * 1024;

/// One message, within the octets that were read.
struct Frame {
  std::uint8_t message = 0;
  std::uint32_t session = 0;  ///< the phone's, echoed in the answer
  BytesView elements;

  std::size_t size() const { return kHeaderSize + elements.size(); }
};

using capf::Malformed;
using capf::More;
using Taken = std::variant<More, Frame, Malformed>;

/// The message at the front of `data`; octets behind it are ignored.
/// @param longest more octets of elements than these are malformed as soon as the header says so.
Taken take_frame(BytesView data, std::size_t longest = kLongestElements);

/// One message, element by element.
class FrameWriter {
 public:
  FrameWriter(std::uint8_t message, std::uint32_t session);

  void put(std::uint8_t tag, BytesView value);
  /// @return the message; nothing where its elements are longer than kLongestElements.
  [[nodiscard]] std::optional<Bytes> finish();

 private:
  Bytes out_;
  bool fits_ = true;
};

}  // namespace capf::tvs
