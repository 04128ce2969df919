#pragma once

#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <google/protobuf/timestamp.pb.h>

#include "capf/base/error.h"
#include "capf/base/secret.h"
#include "capf/base/time.h"

// Fields that several conversions read alike.

namespace capf::rpc {

inline tl::unexpected<Error> malformed(std::string message) {
  return fail(Reason::kInvalidRequest, std::move(message));
}

/// A decimal number without sign, space or leading zero; at least 1 unless `zero`.
template <class Number>
std::optional<Number> number_from(std::string_view text, bool zero = false) {
  Number number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (text[0] == '-' || (text[0] == '0' && (text.size() > 1 || !zero))) return std::nullopt;
  return number;
}

Result<std::optional<TimePoint>> optional_time(bool present, const google::protobuf::Timestamp& time);

/// Wipes the field, which gRPC hands out as const but owns for this call alone.
Secret take_secret(const std::string& field);

/// The two parts of a cursor's text, as views into it. Errors: INVALID_PAGE.
Result<std::pair<std::string_view, std::string_view>> cursor_parts(std::string_view cursor);

}  // namespace capf::rpc
