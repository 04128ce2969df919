#include "capf/cli/json.h"

#include <cstdio>

#include "capf/base/utf8.h"
#include "capf/client/text.h"

namespace capf::cli {
namespace {

void append_escape(std::string& out, unsigned unit) {
  char escape[8];
  std::snprintf(escape, sizeof escape, "\\u%04x", unit);
  out += escape;
}

void append_string(std::string& out, std::string_view text) {
  out += '"';
  while (!text.empty()) {
    const char32_t c = take_code_point(text);
    switch (c) {
      case U'"': out += "\\\""; break;
      case U'\\': out += "\\\\"; break;
      case U'\n': out += "\\n"; break;
      case U'\r': out += "\\r"; break;
      case U'\t': out += "\\t"; break;
      default:
        // All control characters are in the basic plane, so one escape is enough.
        if (client::is_control(c))
          append_escape(out, static_cast<unsigned>(c));
        else
          append_utf8(out, c);
    }
  }
  out += '"';
}

void append(std::string& out, const Json& value) {
  if (const bool* boolean = value.boolean()) {
    out += *boolean ? "true" : "false";
  } else if (const auto* number = value.number()) {
    out += std::to_string(*number);
  } else if (const auto* text = value.text()) {
    append_string(out, *text);
  } else if (const auto* array = value.array()) {
    out += '[';
    for (const Json& element : *array) {
      if (&element != array->data()) out += ',';
      append(out, element);
    }
    out += ']';
  } else if (const auto* object = value.object()) {
    out += '{';
    for (const auto& member : *object) {
      if (&member != object->data()) out += ',';
      append_string(out, member.first);
      out += ':';
      append(out, member.second);
    }
    out += '}';
  } else {
    out += "null";
  }
}

}  // namespace

const Json& Json::operator[](std::string_view name) const {
  static const Json null;
  if (const auto* members = object()) {
    for (const auto& member : *members) {
      if (member.first == name) return member.second;
    }
  }
  return null;
}

std::string Json::dump() const {
  std::string out;
  append(out, *this);
  return out;
}

Json text_or_null(const std::string& text) { return text.empty() ? Json() : Json(text); }

}  // namespace capf::cli
