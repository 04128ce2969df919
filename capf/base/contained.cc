#include "capf/base/contained.h"

#include <chrono>

#include "capf/base/log.h"

namespace capf {

std::string cause_of(const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const std::exception& error) {
    return error.what();
  } catch (...) {
    return "something that is no exception was thrown";
  }
}

void log_caught(std::string_view event) noexcept {
  try {
    log_error(event, {{"cause", cause_of(std::current_exception())}});
  } catch (...) {
    // There is no memory for a line either.
  }
}

void log_failure(std::string_view event, const std::exception_ptr& failure, LogLimit& limit) noexcept {
  if (!failure) return;
  try {
    const auto left_out = limit.admit(std::chrono::steady_clock::now());
    if (left_out) log_error(event, {{"cause", cause_of(failure)}, {"left_out", *left_out}});
  } catch (...) {
    // There is no memory for a line either.
  }
}

}  // namespace capf
