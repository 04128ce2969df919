#include "capf/cli/progress.h"

#include <algorithm>

#include <unistd.h>

namespace capf::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kFirstOnTerminal{1};
constexpr milliseconds kBetweenOnTerminal{200};
constexpr seconds kBetweenLines{10};

}  // namespace

Progress::Progress(std::ostream& out, Form form, std::string what, Time begun)
    : out_(out),
      form_(form),
      what_(std::move(what)),
      begun_(begun),
      next_(begun + (form == Form::kTerminal ? kFirstOnTerminal : kBetweenLines)) {}

Progress::Form Progress::form_of(const Arguments& arguments) {
  if (arguments.has("--quiet")) return Form::kNone;
  return ::isatty(STDERR_FILENO) != 0 ? Form::kTerminal : Form::kLines;
}

void Progress::show(std::int64_t done, std::int64_t of, Time now) {
  if (form_ == Form::kNone || now < next_) return;
  const std::string line = words(done, of, now);
  if (form_ == Form::kLines) {
    out_ << line << '\n' << std::flush;
    next_ = now + kBetweenLines;
    return;
  }
  const std::size_t rest = shown_ > line.size() ? shown_ - line.size() : 0;
  out_ << '\r' << line << std::string(rest, ' ') << std::flush;
  shown_ = line.size() + rest;
  next_ = now + kBetweenOnTerminal;
}

void Progress::clear() {
  if (shown_ == 0) return;
  out_ << '\r' << std::string(shown_, ' ') << '\r' << std::flush;
  shown_ = 0;
}

/// "capfctl: 1200 of 5000 phones imported, 400 a second, 10 s left".
std::string Progress::words(std::int64_t done, std::int64_t of, Time now) const {
  const auto elapsed = std::max<std::int64_t>(1, std::chrono::duration_cast<milliseconds>(now - begun_).count());
  const std::int64_t rate = done * 1000 / elapsed;
  std::string text = "capfctl: " + std::to_string(done) + (of > 0 ? " of " + std::to_string(of) : "") + ' ' + what_ +
                     ", " + std::to_string(rate) + " a second";
  if (of > done && rate > 0) text += ", " + std::to_string((of - done + rate - 1) / rate) + " s left";
  return text;
}

Option quiet_option() { return {"--quiet", Option::Kind::kFlag, "say nothing of the progress"}; }

}  // namespace capf::cli
