#include "capf/cli/passphrase.h"

#include <iostream>

#include <botan/mem_ops.h>
#include <termios.h>
#include <unistd.h>

#include "capf/client/argument.h"
#include "capf/client/text.h"

namespace capf::cli {
namespace {

/// While it lives, the terminal does not show what is typed.
class Unshown {
 public:
  Unshown() : changed_(::tcgetattr(STDIN_FILENO, &before_) == 0) {
    if (!changed_) return;
    termios quiet = before_;
    quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    changed_ = ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet) == 0;
  }
  Unshown(const Unshown&) = delete;
  Unshown& operator=(const Unshown&) = delete;
  ~Unshown() {
    if (changed_) ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
  }

 private:
  termios before_{};
  bool changed_;
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
