#pragma once

#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "capf/base/bytes.h"
#include "capf/base/time.h"

// A reader of DER (X.690) that copies nothing and trusts nothing: to look at a stranger's input before a library parses
// it, and at names octet for octet. And a writer of elements.

namespace capf::ca {

/// Identifier octets.
enum DerTag : std::uint8_t {
  kBoolean = 0x01,
  kInteger = 0x02,
  kBitString = 0x03,
  kOctetString = 0x04,
  kNull = 0x05,
  kOid = 0x06,
  kUtf8String = 0x0C,
  kPrintableString = 0x13,
  kIa5String = 0x16,
  kUtcTime = 0x17,
  kGeneralizedTime = 0x18,
  kSequence = 0x30,
  kSet = 0x31,
  kContext0 = 0xA0,
  kContext1Primitive = 0x81,
  kContext2Primitive = 0x82,
  kContext3 = 0xA3,
};

struct DerElement {
  std::uint8_t tag = 0;
  BytesView content;
  BytesView whole;  ///< identifier, length and content
};

/// Takes elements off the front of some octets. Definite and shortest lengths only, tags of one octet.
class DerReader {
 public:
  explicit DerReader(BytesView data) : rest_(data) {}

  bool at_end() const { return rest_.empty(); }
  /// The tag of the next element, if there is one.
  std::optional<std::uint8_t> peek() const;
  /// The next element; nothing where there is none or it is malformed.
  std::optional<DerElement> next();
  /// Takes the next element if it has this tag.
  std::optional<DerElement> take(std::uint8_t tag);

 private:
  BytesView rest_;
};

/// One element with nothing behind it, whose constructed parts are whole down to a depth of 16.
bool is_one_der_element(BytesView data);

/// A non-negative INTEGER in its shortest form, without the sign octet; nothing for a negative or padded one.
std::optional<BytesView> read_unsigned(const DerElement& element);
/// How many bits a big-endian number has.
int count_bits(BytesView number);

/// RFC 5280 4.1.2.5: UTCTime or GeneralizedTime with seconds, in Z, without a fraction.
std::optional<TimePoint> read_time(const DerElement& element);

/// Identifier and shortest definite length, X.690 8.1.3.
Bytes der_header(std::uint8_t tag, std::uint64_t size);
/// One element whose content is the parts one after the other.
template <class... Parts>
Bytes der_element(std::uint8_t tag, const Parts&... parts) {
  Bytes content;
  (content.insert(content.end(), std::begin(parts), std::end(parts)), ...);
  Bytes whole = der_header(tag, content.size());
  whole.insert(whole.end(), content.begin(), content.end());
  return whole;
}

/// The fields of RFC 5280 4.1 that this program looks at.
struct CertificateOutline {
  int version = 1;
  BytesView serial;     ///< content of the INTEGER
  BytesView algorithm;  ///< OID of the signature
  BytesView issuer;     ///< whole Name
  DerElement not_before;
  DerElement not_after;
  BytesView subject;     ///< whole Name
  BytesView public_key;  ///< whole SubjectPublicKeyInfo
  BytesView extensions;  ///< content of the SEQUENCE of extensions; empty where there is none
};
std::optional<CertificateOutline> read_outline(BytesView der);

}  // namespace capf::ca
