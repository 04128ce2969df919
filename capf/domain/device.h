#pragma once

#include <compare>
#include <string>
#include <string_view>

#include "capf/base/error.h"

namespace capf {

/// A selection names at most so many devices.
inline constexpr int kMostDevicesAtOnce = 100'000;

/// The name that a phone is known by: "SEP001122334455". 1 to 50 of letters, digits, '.', '_', '-', with a letter or
/// digit at both ends. Compared byte for byte: case counts.
class DeviceName {
 public:
  /// Errors: INVALID_DEVICE_NAME.
  static Result<DeviceName> parse(std::string_view text);

  const std::string& text() const { return text_; }
  auto operator<=>(const DeviceName&) const = default;  // NOLINT(modernize-use-nullptr): it has none

 private:
  explicit DeviceName(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

/// A model as makers write it, "CP-8861", "CP 8861": up to 50 of letters, digits, '.', '_', '-', and blanks between
/// them; or none. Errors: INVALID_REQUEST.
Status check_model(std::string_view model);

/// Device names or models for which a CA may speak: the characters of a device name, and '*' for any run of them.
class Pattern {
 public:
  /// 1 to 64 characters. Errors: INVALID_PATTERN.
  static Result<Pattern> parse(std::string_view text);
  /// The pattern that every name matches.
  static Pattern any();

  bool matches(std::string_view name) const;
  const std::string& text() const { return text_; }
  bool operator==(const Pattern&) const = default;

 private:
  explicit Pattern(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

}  // namespace capf
