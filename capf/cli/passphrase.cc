#include "capf/cli/passphrase.h"

#include <array>
#include <csignal>
#include <iostream>

#include <botan/mem_ops.h>
#include <termios.h>
#include <unistd.h>

#include "capf/client/argument.h"
#include "capf/client/text.h"

namespace capf::cli {
namespace {

constexpr std::array kEnding{SIGINT, SIGTERM, SIGHUP, SIGQUIT};

termios shown{};  ///< the terminal as it was, also for signals

/// The signal ends the program when this returns: SA_RESETHAND.
void show_and_end(int signal) {
  ::tcsetattr(STDIN_FILENO, TCSANOW, &shown);
  ::raise(signal);
}

/// While it lives, the terminal does not show what is typed, but it does again where a signal ends the program. One at
/// a time.
class Unshown {
 public:
  Unshown() : changed_(::tcgetattr(STDIN_FILENO, &shown) == 0) {
    if (!changed_) return;
    struct sigaction ending {};
    ending.sa_handler = show_and_end;
    ending.sa_flags = static_cast<int>(SA_RESETHAND);
    for (std::size_t i = 0; i < kEnding.size(); ++i) {
      ::sigaction(kEnding[i], nullptr, &before_[i]);
      if (before_[i].sa_handler == SIG_DFL) ::sigaction(kEnding[i], &ending, nullptr);
    }
    termios quiet = shown;
    quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
  }
  Unshown(const Unshown&) = delete;
  Unshown& operator=(const Unshown&) = delete;
  ~Unshown() {
    if (!changed_) return;
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
    for (std::size_t i = 0; i < kEnding.size(); ++i) ::sigaction(kEnding[i], &before_[i], nullptr);
  }

 private:
  bool changed_;
  std::array<struct sigaction, kEnding.size()> before_{};
};

Result<Secret> ask(const std::string& question) {
  std::cerr << client::printable(question) << std::flush;
  const Unshown unshown;
  auto answer = client::read_password();
  std::cerr << '\n';
  return answer;
}

}  // namespace

Result<Secret> read_new_passphrase(const std::string& what) {
  const bool terminal = ::isatty(STDIN_FILENO) != 0;
  CAPF_LET(Secret passphrase, terminal ? ask("Passphrase for " + what + ": ") : client::read_password());
  if (passphrase.text().find('\0') != std::string_view::npos) {
    return fail(Reason::kInvalidPassword, "the passphrase has a zero octet, as UTF-16 has: give it in UTF-8");
  }
  if (passphrase.view().size() < kShortestPassphrase) {
    return fail(Reason::kInvalidPassword, "the passphrase needs " + std::to_string(kShortestPassphrase) +
                                              " characters or more: whoever has the file can try all shorter ones");
  }
  if (!terminal) return passphrase;
  CAPF_LET(const Secret again, ask("Again: "));
  const bool same = again.view().size() == passphrase.view().size() &&
                    Botan::constant_time_compare(again.view().data(), passphrase.view().data(), again.view().size());
  if (!same) return fail(Reason::kInvalidPassword, "the passphrases differ: nothing was done");
  return passphrase;
}

}  // namespace capf::cli
