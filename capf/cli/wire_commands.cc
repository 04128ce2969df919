#include "capf/cli/pages.h"

namespace capf::cli {
namespace {

Result<int> list(const Arguments& arguments, Connection& server) {
  CAPF_LET(const auto response, server.call(v1::ListIssuersRequest()));
  return print_rows(arguments,
                    {{"NAME", "name"},
                     {"SHOWN", "shown"},
                     {"SUBJECT", "subject"},
                     {"NOT BEFORE", "not_before"},
                     {"NOT AFTER", "not_after"},
                     {"SHA-256", "sha256"}},
                    response.wire_certificates());
}

}  // namespace

std::vector<Command> wire_commands() {
  const Option name{"NAME", Option::Kind::kText, "as 'wire-certificate list' shows it", true};
  const Option tvs_name{"NAME", Option::Kind::kText, "of its file in certificates/ of the state directory", true};
  const Option passphrase{"--passphrase", Option::Kind::kText,
                          "where it is: file:PATH, fd:N, env:NAME or credential:NAME (default: as capfd.toml says)"};
  return {
      {"wire-certificate add",
       "Makes the next certificate of the phones' port, beside the present one; run it on the server",
       "capfctl wire-certificate add --days 3650",
       {{"--days", Option::Kind::kNumber, "how long it is valid (default: 3650)"}, passphrase},
       [](const Arguments& arguments, Connection& server) {
         return run_capfd("wire-certificate add", {"--days", "--passphrase"}, arguments, server);
       }},
      {"wire-certificate activate",
       "Shows that certificate from now on, which every phone trusts by then; run it on each server",
       "capfctl wire-certificate activate wire-2",
       {name, passphrase},
       [](const Arguments& arguments, Connection& server) {
         return run_capfd("wire-certificate activate", {"NAME", "--passphrase"}, arguments, server);
       }},
      {"wire-certificate remove",
       "Takes one away that is not shown, with its key; run it on each server",
       "capfctl wire-certificate remove wire",
       {name, passphrase},
       [](const Arguments& arguments, Connection& server) {
         return run_capfd("wire-certificate remove", {"NAME", "--passphrase"}, arguments, server);
       }},
      {"tvs-certificate add",
       "Makes the first certificate of the Trust Verification Service, or the next one; run it on the server",
       "capfctl tvs-certificate add --days 3650",
       {{"--days", Option::Kind::kNumber, "how long it is valid (default: 3650)"}, passphrase},
       [](const Arguments& arguments, Connection& server) {
         return run_capfd("tvs-certificate add", {"--days", "--passphrase"}, arguments, server);
       }},
      {"tvs-certificate activate",
       "Shows that certificate from now on, which every phone trusts by then; run it on each server",
       "capfctl tvs-certificate activate tvs-2",
       {tvs_name, passphrase},
       [](const Arguments& arguments, Connection& server) {
         return run_capfd("tvs-certificate activate", {"NAME", "--passphrase"}, arguments, server);
       }},
      {"tvs-certificate remove",
       "Takes one away that is not shown, with its key; run it on each server",
       "capfctl tvs-certificate remove tvs",
       {tvs_name, passphrase},
       [](const Arguments& arguments, Connection& server) {
         return run_capfd("tvs-certificate remove", {"NAME", "--passphrase"}, arguments, server);
       }},
      {"wire-certificate list",
       "Lists the certificates that the server has for the phones' port, and says which it shows",
       "capfctl wire-certificate list",
       {output_option()},
       list},
  };
}

}  // namespace capf::cli
