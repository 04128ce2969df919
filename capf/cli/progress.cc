#include "capf/cli/progress.h"

#include <algorithm>
#include <iostream>
#include <utility>

#include <unistd.h>

namespace capf::cli {
namespace {

constexpr std::chrono::seconds kUnsaid{1};
constexpr std::chrono::milliseconds kBetweenUpdates{200};
constexpr std::chrono::seconds kBetweenLines{10};

Progress::Kind kind_of_output(bool quiet) {
  if (quiet) return Progress::Kind::kNone;
  return ::isatty(STDERR_FILENO) != 0 ? Progress::Kind::kTerminal : Progress::Kind::kLines;
}

std::string in_words(std::int64_t seconds) {
  if (seconds < 120) return std::to_string(seconds) + " s";
  return std::to_string((seconds + 30) / 60) + " min";
}

}  // namespace

Progress::Progress(std::string what, std::int64_t total, bool quiet)
    : Progress(std::move(what), total, kind_of_output(quiet), std::cerr,
               [] { return std::chrono::steady_clock::now(); }) {}

Progress::Progress(std::string what, std::int64_t total, Kind kind, std::ostream& out, std::function<Time()> now)
    : what_(std::move(what)), total_(total), kind_(kind), out_(out), now_(std::move(now)), began_(now_()) {
  said_ = began_;
}

Progress::~Progress() {
  if (kind_ == Kind::kTerminal && shown_) out_ << std::endl;
}

void Progress::add(std::int64_t done) {
  done_ += done;
  const Time now = now_();
  if (kind_ == Kind::kNone || now - began_ < kUnsaid) return;
  const bool terminal = kind_ == Kind::kTerminal;
  const auto between = terminal ? std::chrono::milliseconds(kBetweenUpdates) : std::chrono::milliseconds(kBetweenLines);
  if (now - said_ < between && !(terminal && done_ >= total_)) return;
  said_ = now;
  shown_ = true;
  // The terminal erases the rest of a longer line before.
  if (terminal) {
    out_ << '\r' << words(now) << "\x1b[K" << std::flush;
  } else {
    out_ << words(now) << std::endl;
  }
}

void Progress::clear() {
  if (kind_ == Kind::kTerminal && shown_) out_ << "\r\x1b[K" << std::flush;
  shown_ = false;
}

/// "12000 of 100000 scheduled, 2400 a second, 37 s left".
std::string Progress::words(Time now) const {
  const auto passed = std::chrono::duration_cast<std::chrono::milliseconds>(now - began_).count();
  std::string text = std::to_string(done_) + (total_ > 0 ? " of " + std::to_string(total_) : "") + ' ' + what_;
  if (done_ == 0 || passed == 0) return text;
  text += ", " + std::to_string(done_ * 1000 / passed) + " a second";
  if (total_ == 0) return text;
  const std::int64_t left = std::max<std::int64_t>(total_ - done_, 0) * passed / done_ / 1000;
  return text + ", " + in_words(left) + " left";
}

}  // namespace capf::cli
