#pragma once

#include <csignal>
#include <cstddef>
#include <optional>
#include <ostream>
#include <streambuf>
#include <string>
#include <string_view>

#include <sys/types.h>

#include "capf/base/descriptor.h"

namespace capf::cli {

/// The size of a terminal in characters.
struct Terminal {
  std::size_t rows = 24;
  std::size_t columns = 80;
};
/// The terminal that standard output is; nothing where it is none.
std::optional<Terminal> terminal();
/// Whether states are shown in colour there: not with NO_COLOR (no-color.org), nor on a terminal without.
bool shows_colors();

/// The command line of the pager, as git chooses it: $PAGER, or else `less` where the machine has it. Nothing where
/// there is none, and where $PAGER is empty or `cat`.
std::optional<std::string> pager();

/// The output of a command on a terminal. It holds back one screen of lines; where more come, all of them go to the
/// pager, and else to the terminal. Where the pager ends early, the stream takes no more, and that is no failure.
class Screen final : private std::streambuf {
 public:
  Screen(std::ostream& out, Terminal terminal, std::string pager);
  ~Screen() override;
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  /// Puts out what is held back, and waits for the pager. The stream is as it was before.
  void finish();

 private:
  int_type overflow(int_type c) override;
  std::streamsize xsputn(const char* text, std::streamsize size) override;
  int sync() override { return 0; }
  /// The screen's last row is the shell's prompt.
  bool is_full() const { return lines_ >= terminal_.rows; }
  void count(std::string_view text);
  bool put(std::string_view text);
  bool start();
  bool write(std::string_view text);

  std::ostream& out_;
  std::streambuf* before_;
  Terminal terminal_;
  std::string pager_;
  std::string held_;
  std::size_t lines_ = 0;
  std::size_t column_ = 0;
  bool in_color_ = false;
  bool direct_ = false;  ///< there is no pager to start
  bool ended_ = false;   ///< it takes no more
  pid_t child_ = -1;
  std::optional<Descriptor> pipe_ = {};
  struct sigaction on_pipe_ {};
  struct sigaction on_interrupt_ {};
  struct sigaction on_quit_ {};
};

}  // namespace capf::cli
