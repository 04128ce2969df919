#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <botan/rng.h>

#include "capf/base/error.h"
#include "capf/base/secret.h"

// `capfd setup`: from an installed package to a site that serves, on a machine with a PostgreSQL of its own or with one
// that the options name.

namespace capf::daemon {

struct SetupOptions {
  std::filesystem::path state = "/var/lib/capf";
  int base_port = 0;           ///< 0: init's default
  std::string public_host;     ///< empty: this machine's name
  std::string database;        ///< connection strings; empty: both roles on this machine
  std::string database_owner;  ///< with the other one, or neither
  bool start = true;           ///< enable and start the units
};

/// A program with its arguments, which everybody on the machine can read.
struct Program {
  std::vector<std::string> words;
  std::string input{};                           ///< what it reads
  std::map<std::string, std::string> setting{};  ///< of its environment, beside PATH
};

/// The machine as setup changes it.
class Surroundings {
 public:
  virtual ~Surroundings() = default;

  virtual bool is_root() const = 0;
  virtual bool has_user(const std::string& name) const = 0;
  virtual bool exists(const std::filesystem::path& path) const = 0;
  /// Whether systemd runs this machine.
  virtual bool has_systemd() const = 0;
  /// The path of this program.
  virtual std::string own_program() const = 0;
  virtual Result<Secret> read_secret(const std::filesystem::path& path) const = 0;
  /// A folder with mode 0700; one that is there stays as it is.
  virtual Status make_folder(const std::filesystem::path& path, const std::string& owner) = 0;
  /// A file of root with mode 0600, whole or not at all.
  virtual Status write_secret(const std::filesystem::path& path, const Secret& secret) = 0;
  /// A folder in memory that `owner` alone can read, with one file; it lives as long as the action.
  virtual Status with_credential(const std::string& owner, const std::string& name, const Secret& secret,
                                 const std::function<Status(const std::filesystem::path& folder)>& action) = 0;
  /// Runs it to its end. @return its output. Errors: INVALID_CONFIGURATION with what it said last.
  virtual Result<std::string> run(const Program& program) = 0;
};

/// Makes what is not there yet: folders, passphrase, roles and database, their lines in PostgreSQL's files, the site,
/// and enables the units. Run again, it leaves what there is and goes on with what is missing. @return words for
/// people. Errors: INVALID_CONFIGURATION, and those of the programs that it runs.
Result<std::string> set_up(const SetupOptions& options, Surroundings& surroundings,
                           Botan::RandomNumberGenerator& random);

/// pg_hba.conf with the line for both roles before every other, unless it has it.
std::string with_access(const std::string& pg_hba);
/// pg_ident.conf with the user capf as both roles, unless it has them.
std::string with_identities(const std::string& pg_ident);

}  // namespace capf::daemon
