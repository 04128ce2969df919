#include "storage/parameters.h"

#include <algorithm>
#include <cstdio>

#include "capf/base/utf8.h"

namespace capf::storage {
namespace {

/// The text as PostgreSQL accepts it: octets that are not UTF-8, and zero octets, become U+FFFD.
std::string cleaned(std::string_view text) {
  std::string clean;
  clean.reserve(text.size());
  while (!text.empty()) {
    const char32_t c = take_code_point(text);
    append_utf8(clean, c == 0 ? kReplacementCharacter : c);
  }
  return clean;
}

/// The text as an array's element.
void append_quoted(std::string& list, std::string_view text) {
  list += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') list += '\\';
    list += c;
  }
  list += '"';
}

}  // namespace

void Parameters::add(std::string_view text) { values_.emplace_back(cleaned(text)); }

void Parameters::add(TimePoint time) {
  using namespace std::chrono;
  // The range that PostgreSQL reads in this form; only another maker's certificate can have a time outside.
  constexpr TimePoint kFirst{sys_days{year{1} / 1 / 1}};
  constexpr TimePoint kLast{sys_days{year{9999} / 12 / 31} + hours{24} - microseconds{1}};
  time = std::clamp(time, kFirst, kLast);
  const auto second = floor<seconds>(time);
  std::string text = to_rfc3339(time_point_cast<Duration>(second));
  text.pop_back();  // Z
  char fraction[16];
  std::snprintf(fraction, sizeof fraction, ".%06dZ", static_cast<int>((time - second).count()));
  values_.emplace_back(text + fraction);
}

void Parameters::add(BytesView data) { values_.emplace_back("\\x" + to_hex(data)); }

void Parameters::add(std::span<const SerialNumber> serials) {
  std::string list = "{";
  for (const SerialNumber& serial : serials) {
    list += (list.size() > 1 ? ",\"\\\\x" : "\"\\\\x") + to_hex(serial.view()) + '"';
  }
  values_.emplace_back(list + '}');
}

void Parameters::add(std::span<const Sha256> digests) {
  std::string list = "{";
  for (const Sha256& digest : digests) list += (list.size() > 1 ? ",\"\\\\x" : "\"\\\\x") + to_hex(digest) + '"';
  values_.emplace_back(list + '}');
}

void Parameters::add(std::span<const std::string> texts) {
  Array array;
  for (const std::string& text : texts) array.add(text);
  add(array);
}

void Parameters::add(std::span<const std::int64_t> numbers) {
  std::string list = "{";
  for (const std::int64_t number : numbers) list += (list.size() > 1 ? "," : "") + std::to_string(number);
  values_.emplace_back(list + '}');
}

void Parameters::add(const Array& array) { values_.emplace_back(array.list_ + '}'); }

void Array::append(const std::optional<std::string>& value) {
  if (list_.size() > 1) list_ += ',';
  if (!value) {
    list_ += "NULL";
    return;
  }
  append_quoted(list_, *value);
}

std::vector<const char*> Parameters::pointers() const {
  std::vector<const char*> pointers;
  pointers.reserve(values_.size());
  for (const auto& value : values_) pointers.push_back(value ? value->c_str() : nullptr);
  return pointers;
}

std::string shortened(std::string_view text, std::size_t characters) {
  return std::string(cut_characters(text, characters));
}

}  // namespace capf::storage
