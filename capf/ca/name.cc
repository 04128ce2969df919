#include "capf/ca/name.h"

#include <algorithm>
#include <array>
#include <span>

#include <botan/der_enc.h>

#include "capf/base/utf8.h"
#include "capf/ca/asn1.h"

namespace capf::ca {
namespace {

struct AttributeType {
  std::string_view name;
  const char* oid;
  std::size_t longest;  ///< RFC 5280 appendix A, upper bounds
};
constexpr std::array kAttributeTypes{
    AttributeType{"CN", kCommonName, 64}, AttributeType{"O", "2.5.4.10", 64},  AttributeType{"OU", "2.5.4.11", 64},
    AttributeType{"L", "2.5.4.7", 128},   AttributeType{"ST", "2.5.4.8", 128}, AttributeType{"C", "2.5.4.6", 2},
};

// X.690 8.19: seven bits an octet, the first two numbers in one.
std::optional<std::string> dotted(BytesView oid) {
  if (oid.empty() || (oid.back() & 0x80) != 0) return std::nullopt;
  std::string text;
  std::uint64_t number = 0;
  for (const std::uint8_t octet : oid) {
    if (number >> 56 != 0) return std::nullopt;
    number = number << 7 | (octet & 0x7F);
    if ((octet & 0x80) != 0) continue;
    if (text.empty()) {
      const std::uint64_t first = std::min<std::uint64_t>(number / 40, 2);
      text = std::to_string(first) + '.' + std::to_string(number - first * 40);
    } else {
      text += '.' + std::to_string(number);
    }
    number = 0;
  }
  return text;
}

struct ShownType {
  std::string_view name;
  std::string_view oid;
};
// RFC 4514 3, and well-known names of RFC 4519 and PKCS #9
constexpr std::array kShownTypes{
    ShownType{"CN", "2.5.4.3"},
    ShownType{"SN", "2.5.4.4"},
    ShownType{"serialNumber", "2.5.4.5"},
    ShownType{"C", "2.5.4.6"},
    ShownType{"L", "2.5.4.7"},
    ShownType{"ST", "2.5.4.8"},
    ShownType{"STREET", "2.5.4.9"},
    ShownType{"O", "2.5.4.10"},
    ShownType{"OU", "2.5.4.11"},
    ShownType{"title", "2.5.4.12"},
    ShownType{"description", "2.5.4.13"},
    ShownType{"postalCode", "2.5.4.17"},
    ShownType{"name", "2.5.4.41"},
    ShownType{"givenName", "2.5.4.42"},
    ShownType{"initials", "2.5.4.43"},
    ShownType{"generationQualifier", "2.5.4.44"},
    ShownType{"dnQualifier", "2.5.4.46"},
    ShownType{"pseudonym", "2.5.4.65"},
    ShownType{"organizationIdentifier", "2.5.4.97"},
    ShownType{"UID", "0.9.2342.19200300.100.1.1"},
    ShownType{"DC", "0.9.2342.19200300.100.1.25"},
    ShownType{"emailAddress", "1.2.840.113549.1.9.1"},
    ShownType{"unstructuredName", "1.2.840.113549.1.9.2"},
};

/// Whether the character is shown as it is: no control character, and none that hides or turns round its neighbours.
bool is_shown(char32_t point) {
  const bool control = point < 0x20 || (point >= 0x7F && point < 0xA0);
  const bool direction = (point >= 0x200E && point <= 0x200F) || (point >= 0x202A && point <= 0x202E) ||
                         (point >= 0x2066 && point <= 0x2069) || point == 0x061C;
  const bool unseen = point == 0x200B || point == 0x2028 || point == 0x2029 || point == 0x2060 || point == 0xFEFF;
  return !control && !direction && !unseen && point <= 0x10FFFF && (point < 0xD800 || point > 0xDFFF);
}

/// UTF-8 of characters that can be shown.
bool is_plain_utf8(std::string_view text) {
  if (find_not_utf8(text)) return false;
  while (!text.empty()) {
    if (!is_shown(take_code_point(text))) return false;
  }
  return true;
}

// RFC 4514 2.4
//    a space ' ' or number sign '#' occurring at the beginning of the string; a space at the end of the string;
//    one of the characters '"', '+', ',', ';', '<', '>', or '\'
std::string escaped(const std::string& value) {
  std::string text;
  for (std::size_t i = 0; i < value.size(); ++i) {
    const char c = value[i];
    const bool special = std::string_view("\"+,;<>\\").find(c) != std::string_view::npos;
    const bool edge = (i == 0 && (c == ' ' || c == '#')) || (i + 1 == value.size() && c == ' ');
    if (special || edge) text += '\\';
    text += c;
  }
  return text;
}

/// The characters of a string whose units have `width` octets; surrogates have no meaning in UCS-2 (X.690 8.23.7).
std::optional<std::string> from_units(BytesView octets, std::size_t width) {
  if (octets.size() % width != 0) return std::nullopt;
  std::string text;
  for (std::size_t i = 0; i < octets.size(); i += width) {
    char32_t point = 0;
    for (std::size_t k = 0; k < width; ++k) point = point << 8 | octets[i + k];
    if (!is_shown(point)) return std::nullopt;
    append_utf8(text, point);
  }
  return text;
}

// RFC 4514 2.3
//    If the AttributeType is defined to have a short name (descriptor) and that short name is known to be registered,
//    that short name ... is used. Otherwise the dotted-decimal encoding
// RFC 4514 2.4
//    If the AttributeType is of the dotted-decimal form, the AttributeValue is represented by an number sign ('#'
//    U+0023) character followed by the hexadecimal encoding of each of the octets of the BER encoding of the value.
std::string attribute_text(const NameAttribute& attribute) {
  const auto type = std::find_if(kShownTypes.begin(), kShownTypes.end(),
                                 [&](const ShownType& shown) { return shown.oid == attribute.oid; });
  const auto text = text_of(attribute);
  const std::string name = type == kShownTypes.end() ? attribute.oid : std::string(type->name);
  return name + '=' + (type != kShownTypes.end() && text ? escaped(*text) : '#' + to_hex(attribute.value_der));
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

tl::unexpected<Error> bad_subject(const std::string& why) {
  return fail(Reason::kInvalidConfiguration, "the subject is not usable: " + why);
}

/// Takes one "type=value" off the front of `text`, with the comma behind it.
Result<std::pair<std::string, std::string>> take_attribute(std::string_view& text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos) return bad_subject("'=' is missing");
  std::pair<std::string, std::string> attribute{std::string(text.substr(0, equals)), std::string()};
  text.remove_prefix(equals + 1);
  std::string& value = attribute.second;
  std::size_t last_escaped = 0;  // position after the last escaped character: a space up to there is not trimmed
  while (!text.empty() && text.front() != ',') {
    const char c = text.front();
    text.remove_prefix(1);
    if (std::string_view("+;\"<>").find(c) != std::string_view::npos) {
      return bad_subject(std::string("'") + c + "' must be written as '\\" + c + "'");
    }
    if (c != '\\') {
      value += c;
      continue;
    }
    if (text.size() >= 2 && hex_digit(text[0]) >= 0 && hex_digit(text[1]) >= 0) {
      value += static_cast<char>(hex_digit(text[0]) * 16 + hex_digit(text[1]));
      text.remove_prefix(2);
    } else if (!text.empty() && std::string_view(" #\"+,;<>\\=").find(text[0]) != std::string_view::npos) {
      value += text[0];
      text.remove_prefix(1);
    } else {
      return bad_subject("'\\' stands before something that it cannot escape");
    }
    last_escaped = value.size();
  }
  while (value.size() > last_escaped && value.back() == ' ') value.pop_back();
  if (!text.empty()) {
    text.remove_prefix(1);
    if (text.empty()) return bad_subject("it ends in a comma");
  }
  return attribute;
}

}  // namespace

std::optional<std::vector<NameAttribute>> read_name(BytesView name) {
  std::vector<NameAttribute> attributes;
  DerReader file(name);
  const auto sequence = file.take(kSequence);
  if (!sequence || !file.at_end()) return std::nullopt;
  DerReader rdns(sequence->content);
  while (!rdns.at_end()) {
    const auto rdn = rdns.take(kSet);
    if (!rdn || rdn->content.empty()) return std::nullopt;
    DerReader pairs(rdn->content);
    bool first = true;
    while (!pairs.at_end()) {
      const auto pair = pairs.take(kSequence);
      if (!pair) return std::nullopt;
      DerReader parts(pair->content);
      const auto oid = parts.take(kOid);
      const auto value = parts.next();
      if (!oid || !value || !parts.at_end()) return std::nullopt;
      auto text = dotted(oid->content);
      if (!text) return std::nullopt;
      attributes.push_back({*std::move(text), value->tag, std::string(as_text(value->content)), value->whole, first});
      first = false;
    }
  }
  return attributes;
}

std::optional<std::string> text_of(const NameAttribute& attribute) {
  constexpr std::uint8_t kTeletexString = 0x14;
  constexpr std::uint8_t kUniversalString = 0x1C;
  constexpr std::uint8_t kBmpString = 0x1E;
  const BytesView octets = as_bytes(attribute.value);
  switch (attribute.tag) {
    case kBmpString: return from_units(octets, 2);
    case kUniversalString: return from_units(octets, 4);
    // Today's software writes Latin-1 as T.61.
    case kTeletexString: return from_units(octets, 1);
    default: break;
  }
  if (!is_plain_utf8(attribute.value)) return std::nullopt;
  return attribute.value;
}

std::vector<std::optional<std::string>> values_of(const std::vector<NameAttribute>& attributes,
                                                  const std::string& oid) {
  std::vector<std::optional<std::string>> values;
  for (const NameAttribute& attribute : attributes) {
    if (attribute.oid == oid) values.push_back(text_of(attribute));
  }
  return values;
}

namespace {

/// The relative names in the order of the octets; none where the name is malformed.
std::vector<std::string> rdn_texts(BytesView name) {
  std::vector<std::string> rdns;
  const auto attributes = read_name(name);
  if (!attributes) return rdns;
  for (const NameAttribute& attribute : *attributes) {
    if (attribute.first_of_rdn) {
      rdns.push_back(attribute_text(attribute));
    } else {
      rdns.back() += '+' + attribute_text(attribute);
    }
  }
  return rdns;
}

std::string join(std::span<const std::string> rdns, char separator) {
  std::string text;
  for (const std::string& rdn : rdns) {
    if (!text.empty()) text += separator;
    text += rdn;
  }
  return text;
}

}  // namespace

std::string name_text(BytesView name) {
  std::vector<std::string> rdns = rdn_texts(name);
  std::reverse(rdns.begin(), rdns.end());
  return join(rdns, ',');
}

std::string listed_name(BytesView name, char separator) { return join(rdn_texts(name), separator); }

Result<Botan::X509_DN> parse_subject(const std::string& text) {
  std::vector<std::pair<const AttributeType*, std::string>> attributes;
  std::string_view rest = text;
  do {
    CAPF_LET(auto attribute, take_attribute(rest));
    const auto& [name, value] = attribute;
    const auto type = std::find_if(kAttributeTypes.begin(), kAttributeTypes.end(),
                                   [&name = name](const AttributeType& known) { return known.name == name; });
    if (type == kAttributeTypes.end()) return bad_subject("it has CN, O, OU, L, ST and C only");
    if (value.empty() || value.size() > type->longest || !is_plain_utf8(value)) {
      return bad_subject(name + " has 1 to " + std::to_string(type->longest) + " octets of UTF-8");
    }
    const auto is_letter = [](char c) { return c >= 'A' && c <= 'Z'; };
    if (name == "C" && (value.size() != 2 || !std::all_of(value.begin(), value.end(), is_letter))) {
      return bad_subject("C has two capital letters");
    }
    const bool repeated =
        std::any_of(attributes.begin(), attributes.end(), [&](const auto& earlier) { return earlier.first == &*type; });
    if (repeated && name != "OU") return bad_subject(name + " stands there twice");
    attributes.emplace_back(&*type, value);
  } while (!rest.empty());
  if (attributes.size() > 10) return bad_subject("it has more than ten parts");
  try {
    Botan::X509_DN name;
    // RFC 4514 2.1
    //    the output consists of the string encodings of each RelativeDistinguishedName in the RDNSequence, starting
    //    with the last element of the sequence and moving backwards toward the first.
    for (auto part = attributes.rbegin(); part != attributes.rend(); ++part) {
      name.add_attribute(Botan::OID(part->first->oid), Botan::ASN1_String(part->second));
    }
    return name;
  } catch (const std::exception& error) {
    return fail(Reason::kInvalidConfiguration, "the subject is not usable", error.what());
  }
}

Bytes encode_name(const Botan::X509_DN& name) {
  Bytes der;
  Botan::DER_Encoder encoder(der);
  name.encode_into(encoder);
  return der;
}

}  // namespace capf::ca
