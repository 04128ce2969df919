#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "capf/base/error.h"
#include "capf/base/time.h"
#include "capf/cli/output.h"

namespace capf::cli {

class Connection;

/// An option ("--auth") or, where the name does not begin with a dash, an argument by position ("DEVICE").
struct Option {
  enum class Kind : std::uint8_t {
    kFlag,
    kText,
    kDevice,         ///< a device name
    kCertificate,    ///< a serial number, or a device name
    kAdministrator,  ///< the name of one
    kNumber,
    kRange,
    kTime,
    kDeadline,
    kAge,
    kServers,
    kFile,
    kFolder,
    kZone,     ///< a time zone's name
    kColumns,  ///< names with commas
    kChoice
  };
  std::string name;
  Kind kind = Kind::kText;
  std::string help;
  bool required = false;
  bool many = false;  ///< several values: by position one behind the other, of an option each behind its name
  std::vector<std::string> choices = {};
  std::string letter = {};      ///< "-w", beside the name; may be empty
  bool value_optional = false;  ///< none, which is an empty text, or several behind the name
  std::string also = {};        ///< another name: "--site"
};

/// The values of the command line, checked by the options' kinds.
class Arguments {
 public:
  void set(const std::string& name, std::vector<std::string> values) { values_[name] = std::move(values); }

  bool has(const std::string& name) const { return values_.count(name) != 0; }
  /// The value; empty where the option was not given.
  std::string text(const std::string& name) const;
  std::vector<std::string> list(const std::string& name) const;
  std::optional<std::int64_t> number(const std::string& name) const;
  std::optional<TimePoint> time(const std::string& name) const;
  std::optional<TimePoint> deadline(const std::string& name) const;
  /// "90m", "12h", "10d", "2w".
  std::optional<std::chrono::seconds> age(const std::string& name) const;
  /// The same without the value of one option.
  Arguments without(const std::string& name) const;
  /// All of them on one line, in the order of their names: "--auth=string KIND=install". @param leave names left out
  std::string line(const std::set<std::string>& leave) const;
  /// The form of the output: of --output, --columns, --no-headers and --time-zone, and of the terminal.
  Style format() const;

 private:
  std::map<std::string, std::vector<std::string>> values_;
};

/// "a,b" as two words; none of the empty text.
std::vector<std::string> words_between_commas(const std::string& text);

/// Whether a date without a time of day means its begin or its end.
enum class Day : std::uint8_t { kBegins, kEnds };

/// RFC 3339, a date, or counted from now: "+90m", "+12h", "+10d", "+2w", "-24h". Errors: INVALID_TIME.
Result<TimePoint> parse_time(std::string_view text, TimePoint now, Day day);

struct Command {
  std::string path;  ///< "phone add"
  std::string summary;
  std::string example;
  std::vector<Option> options;
  /// @return the exit code; an error is reported by the caller.
  Result<int> (*run)(const Arguments& arguments, Connection& server) = nullptr;
  bool plugin = false;  ///< ends with the monitoring plugins' own exit codes
};

/// Whether it lists, and whether it only shows something: its path says so. A list has --columns, and a long output of
/// either goes to the pager.
bool is_list(const Command& command);
bool is_view(const Command& command);

/// Asks on the terminal; with --yes it does not ask. @param why it is asked. @return nothing to continue, or the exit
/// code: 1 for a no, 2 without a terminal.
std::optional<int> confirm(const Arguments& arguments, const std::string& question,
                           const std::string& why = "this cannot be undone");

/// Goes on as capfd, which stands beside this program: it knows the keys, which are files of the server's. Its exit
/// code is ours. @param command "wire-certificate add". @param options those of `arguments` that it is given
/// @param flags likewise, without values
Result<int> run_capfd(const std::string& command, const std::vector<std::string>& options, const Arguments& arguments,
                      Connection& server, const std::vector<std::string>& flags = {});

Option output_option();
Option limit_option();
/// The end of what a list with --since shows, and that second of it. @param help "only until then"
Option until_option(const std::string& help);
/// The moment before which what --until asks for lies.
std::optional<TimePoint> end_of(const Arguments& arguments);
/// Of lists that the server can give from their end.
Option newest_option();
Option yes_option();
/// --device PATTERN, by one name everywhere; --devices as before.
Option pattern_option(const std::string& help, bool many = false);
Option allow_mixed_option();

std::vector<Command> phone_commands();
std::vector<Command> profile_commands();
std::vector<Command> digest_export_commands();
std::vector<Command> address_commands();
std::vector<Command> line_commands();
std::vector<Command> digest_commands();
std::vector<Command> configuration_commands();
std::vector<Command> operation_commands();
std::vector<Command> certificate_commands();
std::vector<Command> issuer_commands();
std::vector<Command> wire_commands();
std::vector<Command> phone_key_commands();
std::vector<Command> trust_commands();
std::vector<Command> file_commands();
std::vector<Command> file_export_commands();
std::vector<Command> call_commands();
std::vector<Command> campaign_commands();
std::vector<Command> trust_list_commands();
std::vector<Command> lists_commands();
std::vector<Command> administrator_commands();
std::vector<Command> monitor_commands();
std::vector<Command> context_commands();
std::vector<Command> site_commands();
std::vector<Command> moving_commands();
std::vector<Command> check_commands();
/// All of them, in the order of the help.
std::vector<Command> all_commands();

}  // namespace capf::cli
