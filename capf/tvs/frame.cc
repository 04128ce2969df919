#include "capf/tvs/frame.h"

#include <utility>

namespace capf::tvs {

//   0        1        2        3        4                                   8                 10
//   +--------+--------+--------+--------+--------+--------+--------+--------+--------+--------+----- - - -
//   |  0x57  |  0x01  | message| filler |   session, echoed by the server   | length of elements| elements
//   +--------+--------+--------+--------+--------+--------+--------+--------+--------+--------+----- - - -
Taken take_frame(BytesView data, std::size_t longest) {
  if (!data.empty() && data[0] != kProtocolId) return Malformed{"the message does not begin with 0x57"};
  if (data.size() > 1 && data[1] != kVersion) return Malformed{"the protocol's version is not 1"};
  if (data.size() < kHeaderSize) return More{kHeaderSize};
  const std::size_t length = read_16(data, 8);
  if (length > longest) return Malformed{"the message is too long"};
  if (data.size() < kHeaderSize + length) return More{kHeaderSize + length};
  return Frame{data[2], read_32(data, 4), data.subspan(kHeaderSize, length)};
}

FrameWriter::FrameWriter(std::uint8_t message, std::uint32_t session) : out_{kProtocolId, kVersion, message, 0} {
  append_16(out_, session >> 16);
  append_16(out_, session & 0xFFFF);
  append_16(out_, 0);
}

void FrameWriter::put(std::uint8_t tag, BytesView value) {
  fits_ = fits_ && out_.size() - kHeaderSize + 3 + value.size() <= kLongestElements;
  if (!fits_) return;
  out_.push_back(tag);
  append_16(out_, value.size());
  out_.insert(out_.end(), value.begin(), value.end());
}

std::optional<Bytes> FrameWriter::finish() {
  if (!fits_) return std::nullopt;
  const std::size_t length = out_.size() - kHeaderSize;
  out_[8] = static_cast<std::uint8_t>(length >> 8);
  out_[9] = static_cast<std::uint8_t>(length);
  return std::move(out_);
}

}  // namespace capf::tvs
