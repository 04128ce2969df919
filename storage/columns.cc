#include "storage/columns.h"

namespace capf::storage {

// PostgreSQL writes bytea as \x and hexadecimal digits.
Bytes Columns::bytes() {
  const std::string value = text();
  if (!value.starts_with("\\x")) throw std::range_error("no bytea in column " + std::to_string(position_ - 1));
  return parse_hex(std::string_view(value).substr(2)).value();
}

}  // namespace capf::storage
