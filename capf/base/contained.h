#pragma once

#include <exception>
#include <string>
#include <string_view>
#include <utility>

namespace capf {

class LogLimit;

/// The words of an exception for the log, also of one that is no std::exception. It must not be null.
std::string cause_of(const std::exception_ptr& thrown);

/// Logs the exception that is being handled, at error level: for a catch block. Without memory for the line, there is
/// none.
void log_caught(std::string_view event) noexcept;

/// Logs the exception that has ended a coroutine, for example that no memory was left: for the handler of co_spawn(). A
/// null one is none. The line says how many the limit has left out before it.
void log_failure(std::string_view event, const std::exception_ptr& failure, LogLimit& limit) noexcept;

/// Does work of a thread, from which an exception would end the program: logs what it throws. Destroying the work
/// releases what belongs to it. @return whether it has thrown nothing
template <class Work>
bool run_contained(std::string_view event, Work&& work) noexcept {
  try {
    std::forward<Work>(work)();
    return true;
  } catch (...) {
    log_caught(event);
    return false;
  }
}

}  // namespace capf
