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
  return {
      {"wire-certificate list",
       "Lists the certificates that the server has for the phones' port, and says which it shows",
       "capfctl wire-certificate list",
       {output_option()},
       list},
  };
}

}  // namespace capf::cli
