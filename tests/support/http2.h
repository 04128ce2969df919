#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nghttp2/nghttp2.h>

#include "capf/base/bytes.h"

// Frames of HTTP/2 as text: written octet by octet, and read back. RFC 9113 4.1, 6; RFC 7541 6.2.2.

namespace capf::test::http2 {

inline constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
inline constexpr const char* kTypes[] = {"data",         "headers", "priority", "rst",    "settings",
                                         "push_promise", "ping",    "goaway",   "window", "continuation"};
inline constexpr std::uint8_t kEndStream = 1;  // an ACK in SETTINGS and PING
inline constexpr std::uint8_t kEndHeaders = 4;

inline void put(Bytes& into, std::uint64_t number, int octets) {
  for (int i = octets - 1; i >= 0; --i) into.push_back(static_cast<std::uint8_t>(number >> (8 * i)));
}
inline std::uint32_t get(BytesView from, std::size_t at, int octets) {
  std::uint32_t number = 0;
  for (int i = 0; i < octets; ++i) number = number << 8 | from[at + static_cast<std::size_t>(i)];
  return number;
}

inline Bytes frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream, BytesView payload) {
  Bytes out;
  put(out, payload.size(), 3);
  out.push_back(type);
  out.push_back(flags);
  put(out, stream, 4);
  out.insert(out.end(), payload.begin(), payload.end());
  return out;
}

/// A field without Huffman's code; it enters the dynamic table or does not.
inline void put_field(Bytes& into, std::string_view name, std::string_view value, bool enters) {
  into.push_back(enters ? 0x40 : 0);
  for (const std::string_view text : {name, value}) {
    if (text.size() < 127) {
      into.push_back(static_cast<std::uint8_t>(text.size()));
    } else {  // RFC 7541 5.1
      into.push_back(127);
      std::size_t rest = text.size() - 127;
      for (; rest >= 128; rest /= 128) into.push_back(static_cast<std::uint8_t>(rest % 128 + 128));
      into.push_back(static_cast<std::uint8_t>(rest));
    }
    into.insert(into.end(), text.begin(), text.end());
  }
}

/// From a word: "name=value", with "+" before it where it enters the dynamic table, "long:N" for a value of N octets;
/// "#N" for the field with that index; before each, "N*" for N of them.
inline void put_word(Bytes& into, const std::string& word) {
  if (const auto star = word.find('*'); star != std::string::npos) {
    for (int i = std::stoi(word); i > 0; --i) put_word(into, word.substr(star + 1));
    return;
  }
  if (word[0] == '#') return into.push_back(static_cast<std::uint8_t>(0x80 | std::stoi(word.substr(1))));
  const bool enters = word[0] == '+';
  const std::string field = word.substr(enters ? 1 : 0);
  const auto equals = field.find('=', 1);
  std::string value = field.substr(equals + 1);
  if (value.starts_with("long:")) value.assign(std::stoul(value.substr(5)), 'v');
  put_field(into, field.substr(0, equals), value, enters);
}

/// The frames of one side, from a line: "preface", "settings 3=100", "settings ack", "ping", "ping ack", "data 1 SIZE
/// end", "headers 1 end WORD…" ("part" in place of END_HEADERS), "continuation 1 …", "rst 1 CODE", "window 1 SIZE",
/// "goaway LAST CODE", "priority 1 PARENT", "hex …"; before each, "N*" repeats it N times.
inline Bytes say(const std::string& line) {
  std::istringstream words(line);
  std::string kind;
  words >> kind;
  if (const auto star = kind.find('*'); star != std::string::npos) {
    const int times = std::stoi(kind.substr(0, star));
    const Bytes once = say(line.substr(line.find('*') + 1));
    Bytes all;
    for (int i = 0; i < times; ++i) all.insert(all.end(), once.begin(), once.end());
    return all;
  }
  if (kind == "preface") return Bytes(kPreface.begin(), kPreface.end());
  std::vector<std::string> rest;
  for (std::string word; words >> word;) rest.push_back(word);
  const auto has = [&](const char* word) { return std::erase(rest, word) > 0; };
  Bytes payload;
  if (kind == "hex") {
    for (const std::string& word : rest) {
      const Bytes octets = parse_hex(word).value();
      payload.insert(payload.end(), octets.begin(), octets.end());
    }
    return payload;
  }
  if (kind == "settings") {
    const bool ack = has("ack");
    for (const std::string& setting : rest) {
      put(payload, std::stoul(setting), 2);
      put(payload, std::stoul(setting.substr(setting.find('=') + 1)), 4);
    }
    return frame(4, ack ? 1 : 0, 0, payload);
  }
  if (kind == "ping") return frame(6, has("ack") ? 1 : 0, 0, Bytes(8, 0));
  if (kind == "goaway") {
    put(payload, std::stoul(rest.at(0)), 4);
    put(payload, std::stoul(rest.at(1)), 4);
    return frame(7, 0, 0, payload);
  }
  const auto stream = static_cast<std::uint32_t>(std::stoul(rest.at(0)));
  rest.erase(rest.begin());
  const std::uint8_t end = has("end") ? kEndStream : 0;
  if (kind == "rst" || kind == "window") {
    put(payload, std::stoul(rest.at(0)), 4);
    return frame(kind == "rst" ? 3 : 8, 0, stream, payload);
  }
  if (kind == "priority") {
    put(payload, rest.empty() ? 0 : std::stoul(rest.at(0)), 4);
    payload.push_back(15);
    return frame(2, 0, stream, payload);
  }
  if (kind == "data") return frame(0, end, stream, Bytes(std::stoul(rest.at(0)), 'x'));
  const std::uint8_t whole = has("part") ? 0 : kEndHeaders;
  for (const std::string& word : rest) put_word(payload, word);
  if (kind == "continuation") return frame(9, whole, stream, payload);
  return frame(1, static_cast<std::uint8_t>(end | whole), stream, payload);
}

/// The frames sent to one side, a line for each; WINDOW_UPDATE as "window STREAM SIZE".
class Reader {
 public:
  Reader() {
    nghttp2_hd_inflater* made = nullptr;
    nghttp2_hd_inflate_new(&made);
    inflater_.reset(made);
  }

  std::vector<std::string> read(BytesView octets) {
    rest_.insert(rest_.end(), octets.begin(), octets.end());
    std::vector<std::string> lines;
    if (rest_.size() >= kPreface.size() && as_text(BytesView(rest_).first(kPreface.size())) == kPreface) {
      lines.emplace_back("preface");
      rest_.erase(rest_.begin(), rest_.begin() + static_cast<std::ptrdiff_t>(kPreface.size()));
    }
    while (rest_.size() >= 9 && rest_.size() >= 9 + get(rest_, 0, 3)) {
      const std::size_t length = get(rest_, 0, 3);
      lines.push_back(line(rest_[3], rest_[4], get(rest_, 5, 4), BytesView(rest_).subspan(9, length)));
      rest_.erase(rest_.begin(), rest_.begin() + static_cast<std::ptrdiff_t>(9 + length));
    }
    return lines;
  }

 private:
  struct Free {
    void operator()(nghttp2_hd_inflater* inflater) const { nghttp2_hd_inflate_del(inflater); }
  };

  std::string line(std::uint8_t type, std::uint8_t flags, std::uint32_t stream, BytesView payload) {
    std::string text = type < std::size(kTypes) ? kTypes[type] : "unknown";
    const std::string end = (flags & kEndStream) != 0 ? " end" : "";
    switch (type) {
      case 0: return text + ' ' + std::to_string(stream) + ' ' + std::to_string(payload.size()) + end;
      case 1: return text + ' ' + std::to_string(stream) + end + fields(payload);
      case 3: return text + ' ' + std::to_string(stream) + ' ' + nghttp2_http2_strerror(get(payload, 0, 4));
      case 4:
        if ((flags & kEndStream) != 0) return text + " ack";
        for (std::size_t at = 0; at + 6 <= payload.size(); at += 6) {
          text += ' ' + std::to_string(get(payload, at, 2)) + '=' + std::to_string(get(payload, at + 2, 4));
        }
        return text;
      case 6: return (flags & kEndStream) != 0 ? text + " ack" : text;
      case 7: return text + ' ' + std::to_string(get(payload, 0, 4)) + ' ' + nghttp2_http2_strerror(get(payload, 4, 4));
      case 8: return text + ' ' + std::to_string(stream) + ' ' + std::to_string(get(payload, 0, 4));
      default: return text;
    }
  }

  std::string fields(BytesView block) {
    std::string text;
    std::vector<std::uint8_t> octets(block.begin(), block.end());
    for (std::uint8_t* at = octets.data();;) {
      nghttp2_nv field{};
      int flags = 0;
      const auto left = static_cast<std::size_t>(octets.data() + octets.size() - at);
      const ssize_t used = nghttp2_hd_inflate_hd2(inflater_.get(), &field, &flags, at, left, 1);
      if (used < 0) return text + " (broken)";
      at += used;
      if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0) {
        text += ' ' + std::string(reinterpret_cast<char*>(field.name), field.namelen) + '=' +
                std::string(reinterpret_cast<char*>(field.value), field.valuelen);
      }
      if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0) break;
    }
    nghttp2_hd_inflate_end_headers(inflater_.get());
    return text;
  }

  Bytes rest_;
  std::unique_ptr<nghttp2_hd_inflater, Free> inflater_;
};

}  // namespace capf::test::http2
