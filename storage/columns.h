#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "capf/base/bytes.h"
#include "capf/base/time.h"
#include "capf/domain/device.h"
#include "capf/domain/serial.h"
#include "storage/pqxx.h"

namespace capf::storage {

/// Reads a row from left to right, in the order of the aggregate's column list. Times are selected by microseconds().
/// Throws where a value breaks the schema's promise; Session turns that into INTERNAL.
class Columns {
 public:
  explicit Columns(pqxx::row row) : row_(std::move(row)) {}

  bool boolean() { return next().as<bool>(); }
  int integer() { return next().as<int>(); }
  std::int64_t number() { return next().as<std::int64_t>(); }
  std::uint64_t transaction() { return next().as<std::uint64_t>(); }
  std::string text() { return next().as<std::string>(); }
  TimePoint time() { return TimePoint(Duration(number())); }
  Bytes bytes();
  SerialNumber serial();
  Sha256 digest() { return to_sha256(bytes()).value(); }
  DeviceName device() { return DeviceName::parse(text()).value(); }
  Reason reason() { return parse_reason(text()); }
  /// 0 for NULL.
  std::int64_t id() { return skip_null() ? 0 : number(); }
  std::optional<std::int64_t> id_or_none() { return skip_null() ? std::nullopt : std::optional(number()); }
  std::optional<TimePoint> optional_time() { return skip_null() ? std::nullopt : std::optional(time()); }
  std::optional<Sha256> optional_digest() { return skip_null() ? std::nullopt : std::optional(digest()); }
  std::optional<Bytes> optional_bytes() { return skip_null() ? std::nullopt : std::optional(bytes()); }
  std::optional<Reason> optional_reason() { return skip_null() ? std::nullopt : std::optional(reason()); }
  /// A word of one of our enumerations.
  template <class Enum>
  Enum word(std::optional<Enum> (*parse)(std::string_view)) {
    return parse(text()).value();
  }
  template <class Enum>
  std::optional<Enum> optional_word(std::optional<Enum> (*parse)(std::string_view)) {
    return skip_null() ? std::nullopt : std::optional(word(parse));
  }

  /// Goes on behind the column that has this name.
  void seek(const char* name) { position_ = static_cast<int>(row_.column_number(name)) + 1; }
  /// Whether the last one was NULL.
  bool previous_is_null() const { return row_[position_ - 1].is_null(); }
  /// Whether the next one is NULL; does not take it.
  bool next_is_null() const { return row_[position_].is_null(); }

  /// Takes the next one where it is NULL.
  bool skip_null() {
    if (!next_is_null()) return false;
    ++position_;
    return true;
  }

 private:
  pqxx::field next() { return row_[position_++]; }

  pqxx::row row_;
  int position_ = 0;
};

/// A column of an aggregate: its expression in the select list, and what reads it into the row.
template <class T>
struct Column {
  const char* expression;
  void (*read)(Columns& columns, T& row);
};

/// Reads a column into a member: into<&Phone::model, &Columns::text>.
template <auto Member, auto Read>
inline constexpr auto into = [](Columns& columns, auto& row) { row.*Member = std::invoke(Read, columns); };
/// The reader of a word: word<parse_operation_kind>.
template <auto Parse>
auto word(Columns& columns) {
  return columns.word(Parse);
}

/// The list of the columns, as in "select ".
template <class T, std::size_t N>
std::string list_of(const Column<T> (&described)[N]) {
  std::string list = described[0].expression;
  for (std::size_t i = 1; i < N; ++i) (list += ", ") += described[i].expression;
  return list;
}
/// Reads the columns of that list, in its order.
template <class T, std::size_t N>
void read_columns(const Column<T> (&described)[N], Columns& columns, T& row) {
  for (const Column<T>& column : described) column.read(columns, row);
}

}  // namespace capf::storage
