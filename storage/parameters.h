#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "capf/base/bytes.h"
#include "capf/base/time.h"
#include "capf/domain/device.h"
#include "capf/domain/serial.h"

namespace capf::storage {

class Array;

/// The values of a statement, in PostgreSQL's text form; the statement says their types: $1::bytea.
class Parameters {
 public:
  template <class... Values>
  explicit Parameters(const Values&... values) {
    (add(values), ...);
  }

  /// Text in storable form: octets that are not UTF-8, and NUL, become U+FFFD.
  void add(std::string_view text);
  void add(const std::string& text) { add(std::string_view(text)); }
  void add(const char* text) { add(std::string_view(text)); }
  void add(const DeviceName& device) { add(device.text()); }
  void add(bool value) { values_.emplace_back(value ? "true" : "false"); }
  void add(std::integral auto value) { values_.emplace_back(std::to_string(value)); }
  void add(TimePoint time);
  void add(BytesView data);
  void add(const Bytes& data) { add(BytesView(data)); }
  void add(const Sha256& digest) { add(BytesView(digest)); }
  /// As arrays: $1::bytea[], $1::bigint[], $1::text[].
  void add(std::span<const SerialNumber> serials);
  void add(std::span<const std::int64_t> numbers);
  void add(std::span<const Sha256> digests);
  void add(std::span<const std::string> texts);
  void add(const Array& array);
  template <class T>
  void add(const std::optional<T>& value) {
    if (value)
      add(*value);
    else
      values_.emplace_back(std::nullopt);
  }

  std::size_t size() const { return values_.size(); }
  /// Null pointers for NULL; valid as long as this object and unchanged.
  std::vector<const char*> pointers() const;

 private:
  friend class Array;
  std::vector<std::optional<std::string>> values_;
};

/// One value that is an array of values, each in the same form as one by itself: $1::timestamptz[].
class Array {
 public:
  /// An absent optional is NULL.
  template <class T>
  void add(const T& value) {
    append(Parameters(value).values_.front());
  }

 private:
  friend class Parameters;
  void append(const std::optional<std::string>& value);

  std::string list_ = "{";
};

/// At most `characters` characters of a text.
std::string shortened(std::string_view text, std::size_t characters);
/// The most that the records keep of a message.
inline constexpr std::size_t kLongestMessage = 1000;

/// NULL where a number means "none".
inline std::optional<std::int64_t> unless_zero(std::int64_t id) {
  if (id == 0) return std::nullopt;
  return id;
}

}  // namespace capf::storage
