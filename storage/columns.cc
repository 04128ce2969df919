#include "storage/columns.h"

namespace capf::storage {

// PostgreSQL writes bytea as \x and hexadecimal digits.
Bytes Columns::bytes() {
  const std::string value = text();
  if (!value.starts_with("\\x")) throw std::range_error("no bytea in column " + std::to_string(position_ - 1));
  return parse_hex(std::string_view(value).substr(2)).value();
}

// Without heap memory, because one CRL may have a million of them.
SerialNumber Columns::serial() {
  const pqxx::field field = next();
  const std::string_view text(field.c_str(), field.size());
  const auto value = [](char digit) { return digit <= '9' ? digit - '0' : digit - 'a' + 10; };
  if (!text.starts_with("\\x") || text.size() < 4 || text.size() > 2 + 2 * kLongestSerial || text.size() % 2 != 0) {
    throw std::range_error("no serial number in column " + std::to_string(position_ - 1));
  }
  std::array<std::uint8_t, kLongestSerial> octets{};
  const std::size_t size = (text.size() - 2) / 2;
  for (std::size_t i = 0; i < size; ++i) {
    octets[i] = static_cast<std::uint8_t>(value(text[2 + 2 * i]) << 4 | value(text[3 + 2 * i]));
  }
  return SerialNumber(BytesView(octets).first(size));
}

}  // namespace capf::storage
