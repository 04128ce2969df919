#include "capf/domain/serial.h"

namespace capf {
namespace {

BytesView without_leading_zeros(BytesView octets) {
  while (octets.size() > 1 && octets.front() == 0) octets = octets.subspan(1);
  return octets;
}

}  // namespace

Result<SerialNumber> SerialNumber::parse(std::string_view text) {
  const auto octets = parse_hex(text.size() % 2 == 0 ? std::string(text) : '0' + std::string(text));
  if (!octets || octets->empty()) return fail(Reason::kInvalidSerial);
  const BytesView serial = without_leading_zeros(*octets);
  if (serial.size() > kLongestSerial) return fail(Reason::kInvalidSerial);
  return SerialNumber(serial);
}

std::string serial_text(BytesView serial) { return to_hex(without_leading_zeros(serial)); }

}  // namespace capf
