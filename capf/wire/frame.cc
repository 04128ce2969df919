#include "capf/wire/frame.h"

namespace capf::wire {

//   0        1        2                                   6                 8
//   +--------+--------+--------+--------+--------+--------+--------+--------+----- - - -
//   |  0x55  | command|     session id, big-endian        | length of elements| elements
//   +--------+--------+--------+--------+--------+--------+--------+--------+----- - - -
Taken take_frame(BytesView data, std::size_t longest) {
  if (!data.empty() && data[0] != kProtocolId) return Malformed{"the message does not begin with 0x55"};
  if (data.size() < kHeaderSize) return More{kHeaderSize};
  const std::size_t length = read_16(data, 6);
  if (length > longest) return Malformed{"the message is too long"};
  if (data.size() < kHeaderSize + length) return More{kHeaderSize + length};
  return Frame{data[1], read_32(data, 2), data.subspan(kHeaderSize, length)};
}

FrameWriter::FrameWriter(Bytes& out, std::uint8_t command, std::uint32_t session_id) : out_(out), start_(out.size()) {
  out_.push_back(kProtocolId);
  out_.push_back(command);
  append_16(out_, session_id >> 16);
  append_16(out_, session_id & 0xFFFF);
  append_16(out_, 0);
}

void FrameWriter::put(std::uint8_t tag, BytesView first, BytesView second, BytesView third) {
  const std::size_t length = first.size() + second.size() + third.size();
  fits_ = fits_ && out_.size() - start_ - kHeaderSize + 3 + length <= kLongestElements;
  if (!fits_) return;
  out_.push_back(tag);
  append_16(out_, length);
  for (const BytesView part : {first, second, third}) out_.insert(out_.end(), part.begin(), part.end());
}

bool FrameWriter::finish() {
  if (!fits_) {
    out_.resize(start_);
    return false;
  }
  const std::size_t length = out_.size() - start_ - kHeaderSize;
  out_[start_ + 6] = static_cast<std::uint8_t>(length >> 8);
  out_[start_ + 7] = static_cast<std::uint8_t>(length);
  return true;
}

}  // namespace capf::wire
