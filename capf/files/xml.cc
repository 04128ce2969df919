#include "capf/files/xml.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "capf/base/utf8.h"

namespace capf::files {
namespace {

tl::unexpected<Error> bad(const std::string& why) {
  return fail(Reason::kPhoneConfigurationMalformed, "the configuration is not usable: " + why);
}

/// XML 1.0 2.2, without the control characters that it allows but tab and line feed.
bool is_xml_character(char32_t point) {
  if (point < 0x20) return point == '\t' || point == '\n';
  const bool control = point >= 0x7F && point < 0xA0;
  const bool surrogate = point >= 0xD800 && point < 0xE000;
  return !control && !surrogate && point != 0xFFFE && point != 0xFFFF && point <= 0x10FFFF;
}

/// XML 1.0 4.1: "&#10;", "&#xA;", or one of the five entities that need no declaration.
bool is_reference(std::string_view name) {
  constexpr std::array<std::string_view, 5> kEntities{"amp", "lt", "gt", "apos", "quot"};
  if (!name.starts_with('#')) return std::find(kEntities.begin(), kEntities.end(), name) != kEntities.end();
  const bool hexadecimal = name.starts_with("#x");
  name.remove_prefix(hexadecimal ? 2 : 1);
  std::uint32_t point = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), point, hexadecimal ? 16 : 10);
  return error == std::errc() && end == name.data() + name.size() && is_xml_character(point);
}

class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  Status scan() {
    if (rest_.starts_with("<?xml")) CAPF_TRY(skip("?>", "its declaration does not end"));
    while (!rest_.empty()) {
      CAPF_TRY(rest_.front() == '<' ? markup() : characters());
    }
    if (depth_ != 0 || roots_ != 1) return bad("it does not have one element around all others, or is cut off");
    return {};
  }

 private:
  Status markup() {
    if (rest_.starts_with("<!--")) return comment();
    if (rest_.starts_with("<![CDATA[")) {
      if (depth_ == 0) return bad("it has text beside its element");
      return skip("]]>", "a CDATA section does not end");
    }
    if (rest_.starts_with("<!")) return bad("it has a document type or another declaration");
    if (rest_.starts_with("<?xml")) return bad("it has a second declaration");
    if (rest_.starts_with("<?")) return skip("?>", "an instruction does not end");
    if (rest_.starts_with("</")) {
      if (--depth_ < 0) return bad("an element ends that has not begun");
      return skip(">", "a tag does not end");
    }
    return start_tag();
  }

  // XML 1.0 2.5
  //    For compatibility, the string " -- " (double-hyphen) MUST NOT occur within comments.
  Status comment() {
    rest_.remove_prefix(4);
    const std::size_t end = rest_.find("--");
    if (end == std::string_view::npos || !rest_.substr(end).starts_with("-->")) {
      return bad("a comment does not end, or has two hyphens inside");
    }
    rest_.remove_prefix(end + 3);
    return {};
  }

  Status start_tag() {
    if (depth_ == 0 && ++roots_ > 1) return bad("it has two roots");
    if (++elements_ > kMostElements) return bad("it has more than 20000 elements");
    char quote = 0;
    std::size_t at = 1;
    for (; at < rest_.size() && (quote != 0 || rest_[at] != '>'); ++at) {
      const char c = rest_[at];
      if (c == '<') return bad("a tag does not end");
      if (c == '&') CAPF_TRY(reference(rest_.substr(at)));
      if (c == quote) {
        quote = 0;
      } else if (quote == 0 && (c == '"' || c == '\'')) {
        quote = c;
      }
    }
    if (at == rest_.size()) return bad("a tag does not end");
    if (rest_[at - 1] != '/' && ++depth_ > kDeepestXml) return bad("its elements are more than 64 deep");
    rest_.remove_prefix(at + 1);
    return {};
  }

  Status characters() {
    const std::string_view text = rest_.substr(0, rest_.find('<'));
    if (depth_ == 0 && text.find_first_not_of(" \t\r\n") != std::string_view::npos) {
      return bad("it has text beside its element");
    }
    for (std::size_t at = text.find('&'); at != std::string_view::npos; at = text.find('&', at + 1)) {
      CAPF_TRY(reference(text.substr(at)));
    }
    rest_.remove_prefix(text.size());
    return {};
  }

  static Status reference(std::string_view text) {
    constexpr std::size_t kLongest = 12;
    const std::size_t end = text.substr(0, kLongest).find(';');
    if (end != std::string_view::npos && is_reference(text.substr(1, end - 1))) return {};
    return bad("it has an entity of its own, or a reference to a character that XML cannot have");
  }

  Status skip(std::string_view to, const std::string& otherwise) {
    const std::size_t end = rest_.find(to);
    if (end == std::string_view::npos) return bad(otherwise);
    rest_.remove_prefix(end + to.size());
    return {};
  }

  std::string_view rest_;
  int depth_ = 0;
  int roots_ = 0;
  int elements_ = 0;
};

}  // namespace

bool is_xml_text(std::string_view text) {
  if (find_not_utf8(text)) return false;
  while (!text.empty()) {
    if (!is_xml_character(take_code_point(text))) return false;
  }
  return true;
}

Status scan_xml(std::string_view text) {
  if (text.size() > kLargestXml) return bad("it has more than 1 MiB");
  if (find_not_utf8(text)) return bad("it is not UTF-8");
  for (std::string_view rest = text; !rest.empty();) {
    const char32_t point = take_code_point(rest);
    if (point != '\r' && !is_xml_character(point)) return bad("it has control characters");
  }
  return Scanner(text).scan();
}

}  // namespace capf::files
