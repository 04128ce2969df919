#include "storage/parameters.h"

#include <algorithm>
#include <cstdio>

namespace capf::storage {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

/// The size of the UTF-8 character at the front, 0 where there is none that PostgreSQL accepts (RFC 3629 4).
std::size_t character_size(std::string_view text) {
  const auto octet = [&](std::size_t i) {
    return i < text.size() ? static_cast<std::uint8_t>(text[i]) : std::uint8_t{0};
  };
  const auto between = [&](std::size_t i, int low, int high) { return octet(i) >= low && octet(i) <= high; };
  const auto tail = [&](std::size_t i) { return between(i, 0x80, 0xbf); };
  if (between(0, 0x01, 0x7f)) return 1;
  if (between(0, 0xc2, 0xdf) && tail(1)) return 2;
  if (octet(0) == 0xe0 && between(1, 0xa0, 0xbf) && tail(2)) return 3;
  if (octet(0) == 0xed && between(1, 0x80, 0x9f) && tail(2)) return 3;
  if (between(0, 0xe1, 0xef) && octet(0) != 0xed && tail(1) && tail(2)) return 3;
  if (octet(0) == 0xf0 && between(1, 0x90, 0xbf) && tail(2) && tail(3)) return 4;
  if (between(0, 0xf1, 0xf3) && tail(1) && tail(2) && tail(3)) return 4;
  if (octet(0) == 0xf4 && between(1, 0x80, 0x8f) && tail(2) && tail(3)) return 4;
  return 0;
}

std::string cleaned(std::string_view text) {
  std::string clean;
  clean.reserve(text.size());
  while (!text.empty()) {
    const std::size_t size = character_size(text);
    clean += size == 0 ? kReplacement : text.substr(0, size);
    text.remove_prefix(std::max<std::size_t>(size, 1));
  }
  return clean;
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
  std::string list = "{";
  for (const std::string& text : texts) {
    list += list.size() > 1 ? ",\"" : "\"";
    for (const char c : cleaned(text)) {
      if (c == '"' || c == '\\') list += '\\';
      list += c;
    }
    list += '"';
  }
  values_.emplace_back(list + '}');
}

void Parameters::add(std::span<const std::int64_t> numbers) {
  std::string list = "{";
  for (const std::int64_t number : numbers) list += (list.size() > 1 ? "," : "") + std::to_string(number);
  values_.emplace_back(list + '}');
}

std::vector<const char*> Parameters::pointers() const {
  std::vector<const char*> pointers;
  pointers.reserve(values_.size());
  for (const auto& value : values_) pointers.push_back(value ? value->c_str() : nullptr);
  return pointers;
}

std::string shortened(std::string_view text, std::size_t characters) {
  std::size_t end = 0;
  for (; characters > 0 && end < text.size(); --characters) {
    end += std::max<std::size_t>(character_size(text.substr(end)), 1);
  }
  return std::string(text.substr(0, end));
}

}  // namespace capf::storage
