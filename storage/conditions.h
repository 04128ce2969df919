#pragma once

#include <string>
#include <string_view>

#include "capf/domain/page.h"
#include "storage/parameters.h"

namespace capf::storage {

/// The WHERE of a list whose filter is known only at run time: constant pieces of SQL, and parameters. Every
/// combination is a statement of its own, so that each finds its index.
class Conditions {
 public:
  void add(std::string_view condition) { text_ += (text_.empty() ? " where " : " and ") + std::string(condition); }
  /// `?` in the condition is replaced by the value: "p.device = ?::text".
  template <class Value>
  void add(std::string_view condition, const Value& value) {
    add(numbered(condition, value));
  }
  /// The number that the value gets, as "$3".
  template <class Value>
  std::string parameter(const Value& value) {
    parameters_.add(value);
    return "$" + std::to_string(parameters_.size());
  }

  const std::string& text() const { return text_; }
  const Parameters& parameters() const { return parameters_; }

 private:
  template <class Value>
  std::string numbered(std::string_view condition, const Value& value) {
    return replaced(condition, parameter(value));
  }
  static std::string replaced(std::string_view condition, const std::string& number);

  std::string text_;
  Parameters parameters_;
};

/// The rows behind the page before, from either end. @param id "o.id"
void add_page(Conditions& where, const std::string& id, const Page& page);

/// A pattern in the language of LIKE.
std::string like_pattern(const Pattern& pattern);

}  // namespace capf::storage
