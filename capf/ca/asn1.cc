#include "capf/ca/asn1.h"

namespace capf::ca {
namespace {

constexpr int kDeepest = 16;

bool is_well_formed(BytesView data, int depth) {
  DerReader reader(data);
  while (!reader.at_end()) {
    const auto element = reader.next();
    if (!element) return false;
    const bool constructed = (element->tag & 0x20) != 0;
    if (constructed && (depth == kDeepest || !is_well_formed(element->content, depth + 1))) return false;
  }
  return true;
}

}  // namespace

std::optional<std::uint8_t> DerReader::peek() const {
  if (rest_.empty()) return std::nullopt;
  return rest_.front();
}

//   +-----+-----------------+---------+
//   | tag | length          | content |    length: one octet below 128, else 0x80 + n and n octets, big-endian
//   +-----+-----------------+---------+
std::optional<DerElement> DerReader::next() {
  if (rest_.size() < 2 || (rest_[0] & 0x1F) == 0x1F) return std::nullopt;
  std::size_t header = 2;
  std::size_t length = rest_[1];
  if (length >= 0x80) {
    const std::size_t octets = length & 0x7F;
    if (octets == 0 || octets > 4 || rest_.size() < 2 + octets || rest_[2] == 0) return std::nullopt;
    length = 0;
    for (std::size_t i = 0; i < octets; ++i) length = length << 8 | rest_[2 + i];
    if (length < 0x80) return std::nullopt;
    header += octets;
  }
  if (rest_.size() - header < length) return std::nullopt;
  const DerElement element{rest_[0], rest_.subspan(header, length), rest_.first(header + length)};
  rest_ = rest_.subspan(header + length);
  return element;
}

std::optional<DerElement> DerReader::take(std::uint8_t tag) {
  if (peek() != tag) return std::nullopt;
  return next();
}

bool is_one_der_element(BytesView data) {
  DerReader reader(data);
  return reader.next() && reader.at_end() && is_well_formed(data, 0);
}

// X.690 8.3.2
//    If the contents octets of an integer value encoding consist of more than one octet, then the bits of the first
//    octet and bit 8 of the second octet shall not all be ones; and shall not all be zero.
std::optional<BytesView> read_unsigned(const DerElement& element) {
  const BytesView content = element.content;
  if (element.tag != kInteger || content.empty() || (content[0] & 0x80) != 0) return std::nullopt;
  if (content.size() == 1 || content[0] != 0) return content;
  if ((content[1] & 0x80) == 0) return std::nullopt;
  return content.subspan(1);
}

int count_bits(BytesView number) {
  while (!number.empty() && number[0] == 0) number = number.subspan(1);
  if (number.empty()) return 0;
  int bits = static_cast<int>(number.size() - 1) * 8;
  for (unsigned top = number[0]; top != 0; top >>= 1) ++bits;
  return bits;
}

std::optional<TimePoint> read_time(const DerElement& element) {
  using namespace std::chrono;
  std::string_view text = as_text(element.content);
  const std::size_t year_digits = element.tag == kUtcTime ? 2 : 4;
  if ((element.tag != kUtcTime && element.tag != kGeneralizedTime) || text.size() != year_digits + 11 ||
      text.back() != 'Z') {
    return std::nullopt;
  }
  const auto take = [&text](std::size_t digits) {
    int value = 0;
    for (std::size_t i = 0; i < digits; ++i) {
      if (text[i] < '0' || text[i] > '9') return -1;
      value = value * 10 + (text[i] - '0');
    }
    text.remove_prefix(digits);
    return value;
  };
  int fields[6];
  for (std::size_t i = 0; i < 6; ++i) {
    fields[i] = take(i == 0 ? year_digits : 2);
    if (fields[i] < 0) return std::nullopt;
  }
  // RFC 5280 4.1.2.5.1
  //    Where YY is greater than or equal to 50, the year SHALL be interpreted as 19YY.
  if (year_digits == 2) fields[0] += fields[0] >= 50 ? 1900 : 2000;
  const year_month_day date{year{fields[0]}, month{static_cast<unsigned>(fields[1])},
                            day{static_cast<unsigned>(fields[2])}};
  if (!date.ok() || fields[3] > 23 || fields[4] > 59 || fields[5] > 59) return std::nullopt;
  return TimePoint{sys_days{date}} + hours{fields[3]} + minutes{fields[4]} + seconds{fields[5]};
}

// Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm, signatureValue }
Bytes der_header(std::uint8_t tag, std::uint64_t size) {
  Bytes octets{tag};
  if (size < 0x80) {
    octets.push_back(static_cast<std::uint8_t>(size));
    return octets;
  }
  int count = 0;
  for (std::uint64_t rest = size; rest != 0; rest >>= 8) ++count;
  octets.push_back(static_cast<std::uint8_t>(0x80 | count));
  for (int i = count - 1; i >= 0; --i) octets.push_back(static_cast<std::uint8_t>(size >> (8 * i)));
  return octets;
}

// TBSCertificate ::= SEQUENCE { version [0], serialNumber, signature, issuer, validity, subject,
//                               subjectPublicKeyInfo, issuerUniqueID [1], subjectUniqueID [2], extensions [3] }
std::optional<CertificateOutline> read_outline(BytesView der) {
  CertificateOutline outline;
  DerReader file(der);
  const auto certificate = file.take(kSequence);
  if (!certificate || !file.at_end()) return std::nullopt;

  DerReader outer(certificate->content);
  const auto tbs = outer.take(kSequence);
  const auto algorithm = outer.take(kSequence);
  const auto signature = outer.take(kBitString);
  if (!tbs || !algorithm || !signature || !outer.at_end()) return std::nullopt;
  const auto algorithm_oid = DerReader(algorithm->content).take(kOid);
  if (!algorithm_oid) return std::nullopt;
  outline.algorithm = algorithm_oid->content;

  DerReader fields(tbs->content);
  if (const auto version = fields.take(kContext0)) {
    DerReader inside(version->content);
    const auto number = inside.take(kInteger);
    if (!number || !inside.at_end() || number->content.size() != 1 || number->content[0] > 2) return std::nullopt;
    outline.version = number->content[0] + 1;
  }
  const auto serial = fields.take(kInteger);
  const auto inner_algorithm = fields.take(kSequence);
  const auto issuer = fields.take(kSequence);
  const auto validity = fields.take(kSequence);
  const auto subject = fields.take(kSequence);
  const auto public_key = fields.take(kSequence);
  if (!serial || serial->content.empty() || !inner_algorithm || !issuer || !validity || !subject || !public_key) {
    return std::nullopt;
  }
  DerReader times(validity->content);
  const auto not_before = times.next();
  const auto not_after = times.next();
  if (!not_before || !not_after || !times.at_end()) return std::nullopt;
  fields.take(kContext1Primitive);
  fields.take(kContext2Primitive);
  if (const auto extensions = fields.take(kContext3)) {
    DerReader inside(extensions->content);
    const auto list = inside.take(kSequence);
    if (!list || !inside.at_end()) return std::nullopt;
    outline.extensions = list->content;
  }
  if (!fields.at_end()) return std::nullopt;

  outline.serial = serial->content;
  outline.issuer = issuer->whole;
  outline.subject = subject->whole;
  outline.public_key = public_key->whole;
  outline.not_before = *not_before;
  outline.not_after = *not_after;
  return outline;
}

}  // namespace capf::ca
