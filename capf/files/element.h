#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "capf/base/bytes.h"
#include "capf/base/element.h"

// The elements of trust lists, signed and encrypted files. Source: specs/phone-files.md 2.
//
//   +-----+--------+--------+-------…
//   | tag |     length      | value
//   +-----+--------+--------+-------…
//
// The length is big-endian and counts the value alone. Numbers are big-endian; texts are UTF-8 with one NUL behind
// them.

namespace capf::files {

/// Takes elements off the front of some octets, which must outlive them. Errors: FILE_MALFORMED.
class ElementReader {
 public:
  explicit ElementReader(BytesView data) : data_(data) {}

  bool at_end() const { return taken_ == data_.size(); }
  /// The tag of the next element, if there is one.
  std::optional<std::uint8_t> peek() const;
  /// How many octets are taken.
  std::size_t taken() const { return taken_; }
  BytesView rest() const { return data_.subspan(taken_); }
  Result<Element> next();
  /// The value of the next element, which must have this tag.
  Result<BytesView> take(std::uint8_t tag);

 private:
  BytesView data_;
  std::size_t taken_ = 0;
};

/// Elements in any order, each tag once.
using Elements = std::map<std::uint8_t, BytesView>;
Result<Elements> read_elements(BytesView data);
/// The elements of a container, which holds exactly these tags.
Result<Elements> read_container(BytesView data, std::initializer_list<std::uint8_t> tags);

/// A number of exactly `size` octets, 4 at most.
Result<std::uint32_t> read_number(BytesView value, std::size_t size);
/// UTF-8 with one NUL, at its end; without it.
Result<std::string> read_text(BytesView value);

/// Append one element. Values have at most 65535 octets.
void put(Bytes& out, std::uint8_t tag, BytesView value);
void put_number(Bytes& out, std::uint8_t tag, std::uint32_t number, std::size_t size);
void put_text(Bytes& out, std::uint8_t tag, std::string_view text);

tl::unexpected<Error> malformed(const std::string& what);

}  // namespace capf::files
