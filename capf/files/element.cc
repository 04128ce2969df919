#include "capf/files/element.h"

#include "capf/base/utf8.h"

namespace capf::files {
namespace {

constexpr std::size_t kHead = 3;  // tag and length

std::string element_words(std::uint8_t tag) { return "element " + std::to_string(tag); }

}  // namespace

tl::unexpected<Error> malformed(const std::string& what) { return fail(Reason::kFileMalformed, what); }

std::optional<std::uint8_t> ElementReader::peek() const {
  if (at_end()) return std::nullopt;
  return data_[taken_];
}

Result<Element> ElementReader::next() {
  const BytesView left = rest();
  if (left.size() < kHead) return malformed("the file ends in the middle of an element");
  const std::size_t length = read_16(left, 1);
  if (length > left.size() - kHead) return malformed(element_words(left[0]) + " runs past its end");
  taken_ += kHead + length;
  return Element{left[0], left.subspan(kHead, length)};
}

Result<BytesView> ElementReader::take(std::uint8_t tag) {
  const auto found = peek();
  if (!found) return malformed(element_words(tag) + " is missing");
  if (*found != tag) return malformed(element_words(*found) + " stands in the place of " + element_words(tag));
  CAPF_LET(const Element element, next());
  return element.value;
}

Result<Elements> read_elements(BytesView data) {
  Elements elements;
  ElementReader reader(data);
  while (!reader.at_end()) {
    CAPF_LET(const Element element, reader.next());
    if (!elements.emplace(element.tag, element.value).second) {
      return malformed(element_words(element.tag) + " is there twice");
    }
  }
  return elements;
}

Result<Elements> read_container(BytesView data, std::initializer_list<std::uint8_t> tags) {
  CAPF_LET(Elements elements, read_elements(data));
  for (const std::uint8_t tag : tags) {
    if (!elements.contains(tag)) return malformed(element_words(tag) + " is missing");
  }
  if (elements.size() != tags.size()) return malformed("an element holds one that does not belong there");
  return elements;
}

Result<std::uint32_t> read_number(BytesView value, std::size_t size) {
  if (value.size() != size) return malformed("a number does not have its " + std::to_string(size) + " octets");
  std::uint32_t number = 0;
  for (const std::uint8_t octet : value) number = number << 8 | octet;
  return number;
}

Result<std::string> read_text(BytesView value) {
  if (value.empty() || value.back() != 0) return malformed("a text does not end in NUL");
  const std::string_view text = as_text(value.first(value.size() - 1));
  if (text.find('\0') != std::string_view::npos) return malformed("a text has a NUL inside");
  if (find_not_utf8(text)) return malformed("a text is not UTF-8");
  return std::string(text);
}

void put(Bytes& out, std::uint8_t tag, BytesView value) {
  CAPF_INVARIANT(value.size() <= 0xFFFF);
  out.push_back(tag);
  append_16(out, value.size());
  out.insert(out.end(), value.begin(), value.end());
}

void put_number(Bytes& out, std::uint8_t tag, std::uint32_t number, std::size_t size) {
  Bytes value;
  for (std::size_t i = size; i-- > 0;) value.push_back(static_cast<std::uint8_t>(number >> (8 * i)));
  put(out, tag, value);
}

void put_text(Bytes& out, std::uint8_t tag, std::string_view text) {
  Bytes value(text.begin(), text.end());
  value.push_back(0);
  put(out, tag, value);
}

}  // namespace capf::files
