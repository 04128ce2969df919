#include "capf/cli/screen.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace capf::cli {
namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : value;
}

bool has_less() {
  const std::string path = variable("PATH");
  for (std::size_t at = 0; at <= path.size();) {
    const std::size_t end = std::min(path.find(':', at), path.size());
    const std::string folder = path.substr(at, end - at);
    if (!folder.empty() && ::access((folder + "/less").c_str(), X_OK) == 0) return true;
    at = end + 1;
  }
  return false;
}

/// The environment with git's settings for pagers: colours pass, and nothing is left on the screen.
std::vector<std::string> pagers_environment() {
  std::vector<std::string> variables;
  for (char** each = environ; each != nullptr && *each != nullptr; ++each) variables.emplace_back(*each);
  if (std::getenv("LESS") == nullptr) variables.emplace_back("LESS=FRX");
  if (std::getenv("LV") == nullptr) variables.emplace_back("LV=-c");
  return variables;
}

struct sigaction ignore(int signal) {
  struct sigaction ignored {};
  struct sigaction before {};
  ignored.sa_handler = SIG_IGN;
  ::sigaction(signal, &ignored, &before);
  return before;
}

}  // namespace

std::optional<Terminal> terminal() {
  if (::isatty(STDOUT_FILENO) == 0) return std::nullopt;
  winsize size{};
  Terminal found;
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return found;
  if (size.ws_row > 0) found.rows = size.ws_row;
  if (size.ws_col > 0) found.columns = size.ws_col;
  return found;
}

bool shows_colors() {
  return ::isatty(STDOUT_FILENO) != 0 && variable("NO_COLOR").empty() && variable("TERM") != "dumb";
}

std::optional<std::string> pager() {
  if (std::getenv("PAGER") == nullptr) return has_less() ? std::optional<std::string>("less") : std::nullopt;
  const std::string chosen = variable("PAGER");
  return chosen.empty() || chosen == "cat" ? std::nullopt : std::optional(chosen);
}

Screen::Screen(std::ostream& out, Terminal terminal, std::string pager)
    : out_(out), before_(out.rdbuf(this)), terminal_(terminal), pager_(std::move(pager)) {}

Screen::~Screen() { finish(); }

Screen::int_type Screen::overflow(int_type c) {
  if (traits_type::eq_int_type(c, traits_type::eof())) return traits_type::not_eof(c);
  const char octet = traits_type::to_char_type(c);
  return put({&octet, 1}) ? c : traits_type::eof();
}

std::streamsize Screen::xsputn(const char* text, std::streamsize size) {
  return put({text, static_cast<std::size_t>(size)}) ? size : 0;
}

/// Counts the terminal's lines; a long one takes several, and a colour no room.
void Screen::count(std::string_view text) {
  for (const char c : text) {
    if (c == '\x1b') in_color_ = true;
    if (in_color_) {
      in_color_ = c != 'm';
      continue;
    }
    const bool begins_character = (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    if (c == '\n' || column_ == terminal_.columns) {
      ++lines_;
      column_ = 0;
    }
    if (c != '\n' && begins_character) ++column_;
  }
}

bool Screen::put(std::string_view text) {
  if (direct_) return before_->sputn(text.data(), static_cast<std::streamsize>(text.size())) == std::ssize(text);
  if (child_ >= 0) return write(text);
  held_ += text;
  count(text);
  if (!is_full()) return true;
  direct_ = !start();
  return put(std::exchange(held_, {}));
}

bool Screen::start() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return false;
  const Descriptor reading(ends[0]);
  pipe_.emplace(ends[1]);
  std::vector<std::string> variables = pagers_environment();
  std::vector<char*> environment;
  for (std::string& each : variables) environment.push_back(each.data());
  environment.push_back(nullptr);
  std::string words[]{"sh", "-c", pager_};
  char* const arguments[]{words[0].data(), words[1].data(), words[2].data(), nullptr};
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  sigset_t usual;
  ::sigemptyset(&usual);
  for (const int signal : {SIGPIPE, SIGINT, SIGQUIT}) ::sigaddset(&usual, signal);
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, reading.get(), STDIN_FILENO);
  ::posix_spawnattr_init(&attributes);
  ::posix_spawnattr_setsigdefault(&attributes, &usual);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  pid_t child = -1;
  const int failed = ::posix_spawn(&child, "/bin/sh", &actions, &attributes, arguments, environment.data());
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) return false;
  child_ = child;
  // The pager ends by its own keys. An interrupt reaches both, and this program ends when the pager reads no more.
  on_pipe_ = ignore(SIGPIPE);
  on_interrupt_ = ignore(SIGINT);
  on_quit_ = ignore(SIGQUIT);
  return true;
}

bool Screen::write(std::string_view text) {
  while (!text.empty() && !ended_) {
    const ssize_t written = ::write(pipe_->get(), text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) ended_ = true;
    text.remove_prefix(static_cast<std::size_t>(std::max<ssize_t>(written, 0)));
  }
  return !ended_;
}

void Screen::finish() {
  if (before_ == nullptr) return;
  const bool failed = out_.fail() && child_ < 0;
  out_.rdbuf(std::exchange(before_, nullptr));  // clears the state too
  if (failed) out_.setstate(std::ios::badbit);
  if (child_ < 0) {
    out_ << held_ << std::flush;
    return;
  }
  pipe_.reset();
  while (::waitpid(child_, nullptr, 0) < 0 && errno == EINTR) {
  }
  ::sigaction(SIGPIPE, &on_pipe_, nullptr);
  ::sigaction(SIGINT, &on_interrupt_, nullptr);
  ::sigaction(SIGQUIT, &on_quit_, nullptr);
}

}  // namespace capf::cli
