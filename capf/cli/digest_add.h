#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "capf/base/error.h"
#include "capf/base/secret.h"
#include "capf/cli/command.h"
#include "capf/cli/connection.h"
#include "capf/cli/sheet.h"

namespace capf::cli {

struct DigestLine {
  std::string user;
  Secret password;       ///< empty: one is generated
  std::size_t line = 0;  ///< in the file; 0: on the command line
};

/// Digest users that are to be added.
struct DigestLines {
  std::vector<DigestLine> users;
  bool has_passwords = false;  ///< the file has some
  Faults faults;               ///< they name no password
};
/// Reads the names of a command line and those of a file with the columns user and password. A user's cell may be as
/// to_cell() writes it.
DigestLines read_digest_lines(const std::vector<std::string>& names, std::string_view file);

/// `digest-user add`.
Command digest_add_command();

}  // namespace capf::cli
