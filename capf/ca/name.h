#pragma once

#include <optional>
#include <string>
#include <vector>

#include <botan/pkix_types.h>

#include "capf/base/bytes.h"

// Distinguished names, octet for octet: a library that keeps them in a map, or converts their characters, would hide
// a second common name or a NUL.

namespace capf::ca {

struct NameAttribute {
  std::string oid;  ///< dotted: "2.5.4.3"
  std::uint8_t tag = 0;
  std::string value;  ///< the octets as encoded
  BytesView value_der;
  bool first_of_rdn = true;
};

inline constexpr const char* kCommonName = "2.5.4.3";
inline constexpr const char* kSerialNumber = "2.5.4.5";

/// The attributes of a Name in the order of its octets; nothing where it is malformed.
std::optional<std::vector<NameAttribute>> read_name(BytesView name);
/// The value as UTF-8, from any kind of string. Nothing where it is no string, or has characters that cannot be shown
/// as they are: controls, and those that hide others or reverse their direction.
std::optional<std::string> text_of(const NameAttribute& attribute);
/// The values of one kind of attribute, as by text_of().
std::vector<std::optional<std::string>> values_of(const std::vector<NameAttribute>& attributes, const std::string& oid);
/// RFC 4514: the last relative name first. A value without a text_of() is shown as # and hexadecimal digits.
std::string name_text(BytesView name);
/// The same with the first relative name first, and `separator` between them: as phones' trust lists have names.
std::string listed_name(BytesView name, char separator);

/// Reads RFC 4514 text with CN, O, OU, L, ST and C. Errors: INVALID_CONFIGURATION.
Result<Botan::X509_DN> parse_subject(const std::string& text);
/// The DER of a name.
Bytes encode_name(const Botan::X509_DN& name);

}  // namespace capf::ca
