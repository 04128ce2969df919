#include <array>
#include <string>

#include "capf/cli/command.h"
#include "capf/cli/pages.h"

namespace capf::cli {
namespace {

/// Certificates of the server's that phones trust, whose keys are files there.
struct Kind {
  const char* command;
  const char* first;  ///< its first name
  const char* what;
  bool signs;       ///< may have its key in a token
  bool has_a_list;  ///< of the machine; the server lists the wire's
};
constexpr std::array<Kind, 5> kKinds{{
    {"wire-certificate", "wire", "certificate of the phones' port", false, false},
    {"tvs-certificate", "tvs", "certificate of the Trust Verification Service", false, true},
    {"list-signer", "list-signer", "key and certificate that sign phones' trust lists", true, true},
    {"file-signer", "file-signer", "key and certificate that sign phones' other files", true, true},
    {"file-server", "file-server", "certificate of the file service over HTTPS", false, true},
}};

template <std::size_t kKind>
Result<int> add(const Arguments& arguments, Connection& server) {
  return run_capfd(std::string(kKinds[kKind].command) + " add",
                   {"--days", "--import-certificate", "--import-key", "--import-passphrase", "--certificate",
                    "--key-uri", "--key", "--passphrase"},
                   arguments, server, {"--csr-only"});
}

template <std::size_t kKind>
Result<int> activate(const Arguments& arguments, Connection& server) {
  return run_capfd(std::string(kKinds[kKind].command) + " activate", {"NAME", "--passphrase"}, arguments, server,
                   {"--force"});
}

template <std::size_t kKind>
Result<int> remove(const Arguments& arguments, Connection& server) {
  return run_capfd(std::string(kKinds[kKind].command) + " remove", {"NAME", "--passphrase"}, arguments, server);
}

template <std::size_t kKind>
Result<int> list(const Arguments& arguments, Connection& server) {
  return run_capfd(std::string(kKinds[kKind].command) + " list", {}, arguments, server);
}

const Option& passphrase() {
  static const Option option{"--passphrase", Option::Kind::kText,
                             "where it is: file:PATH, fd:N, env:NAME or credential:NAME (default: as capfd.toml says)"};
  return option;
}

std::vector<Option> options_of_add(const Kind& kind) {
  std::vector<Option> options{
      {"--days", Option::Kind::kNumber, "how long it is valid (default: 3650)"},
      {"--import-certificate", Option::Kind::kFile, "one that exists, with its chain, in PEM, in place of a new one"},
      {"--import-key", Option::Kind::kFile, "its key in PEM"},
      {"--import-passphrase", Option::Kind::kText, "where the passphrase of that key is"},
      {"--csr-only", Option::Kind::kFlag, "makes the key, and a request for a CA of the site's own"},
      {"--certificate", Option::Kind::kFile,
       "goes on with what that CA has made: a certificate with its chain, in PEM"},
      passphrase()};
  if (!kind.signs) return options;
  options.push_back({"--key-uri", Option::Kind::kText, "of a key in the server's token, RFC 7512"});
  options.push_back({"--key",
                     Option::Kind::kChoice,
                     "makes that key, which is in the token already without this",
                     false,
                     false,
                     {"rsa-2048"}});
  return options;
}

template <std::size_t kKind>
void add_commands(std::vector<Command>& all) {
  const Kind& kind = kKinds[kKind];
  const std::string command = kind.command;
  const std::string what = kind.what;
  const std::string first = kind.first;
  const Option name{"NAME", Option::Kind::kText, "as '" + command + " list' shows it", true};
  all.push_back({command + " add", "Makes the next " + what + ", beside the present one; run it on the server",
                 "capfctl " + command + " add --days 3650", options_of_add(kind), add<kKind>});
  all.push_back({command + " activate",
                 "Uses the next " + what + " from now on, which every phone trusts by then; run it on each server",
                 "capfctl " + command + " activate " + first + "-2",
                 {name,
                  {"--force", Option::Kind::kFlag,
                   "also where few phones have fetched a trust list with it: the others are lost"},
                  passphrase()},
                 activate<kKind>});
  all.push_back({command + " remove",
                 "Takes a former " + what + " away, or the next one; run it on each server",
                 "capfctl " + command + " remove " + first,
                 {name, passphrase()},
                 remove<kKind>});
  if (!kind.has_a_list) return;
  all.push_back({command + " list",
                 "Lists each " + what + " of this machine, and says which is in use; run it on the server",
                 "capfctl " + command + " list",
                 {},
                 list<kKind>});
}

}  // namespace

std::vector<Command> phone_key_commands() {
  std::vector<Command> all;
  add_commands<0>(all);
  add_commands<1>(all);
  add_commands<2>(all);
  add_commands<3>(all);
  add_commands<4>(all);
  return all;
}

}  // namespace capf::cli
