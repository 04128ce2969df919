#include "capf/base/element.h"

namespace capf {

std::size_t read_16(BytesView data, std::size_t at) { return static_cast<std::size_t>(data[at]) << 8 | data[at + 1]; }

std::uint32_t read_32(BytesView data, std::size_t at) {
  return static_cast<std::uint32_t>(read_16(data, at) << 16 | read_16(data, at + 2));
}

void append_16(Bytes& out, std::size_t value) {
  out.push_back(static_cast<std::uint8_t>(value >> 8));
  out.push_back(static_cast<std::uint8_t>(value));
}

//   0        1                 3
//   +--------+--------+--------+----- - - -
//   |   tag  |      length     | value
//   +--------+--------+--------+----- - - -
std::optional<Element> ElementReader::next() {
  if (rest_.empty() || broken_) return std::nullopt;
  if (rest_.size() < 3 || rest_.size() - 3 < read_16(rest_, 1)) {
    broken_ = true;
    return std::nullopt;
  }
  const Element element{rest_[0], rest_.subspan(3, read_16(rest_, 1))};
  rest_ = rest_.subspan(3 + element.value.size());
  return element;
}

}  // namespace capf
