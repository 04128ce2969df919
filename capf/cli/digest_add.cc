#include "capf/cli/digest_add.h"

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <optional>
#include <set>
#include <span>
#include <unordered_map>
#include <utility>

#include <botan/system_rng.h>

#include "capf/cli/convert.h"
#include "capf/cli/devices.h"
#include "capf/cli/json.h"
#include "capf/cli/output.h"
#include "capf/cli/phone_import.h"
#include "capf/cli/progress.h"
#include "capf/cli/schedule.h"
#include "capf/cli/secret_file.h"
#include "capf/cli/table.h"
#include "capf/client/argument.h"
#include "capf/domain/digest.h"
#include "capf/domain/page.h"

namespace capf::cli {
namespace {

constexpr const char* kExists = "DIGEST_USER_EXISTS";

using Users = std::span<const DigestLine>;

/// Calls `each` with the users of one call after the other.
template <class Each>
capf::Status in_batches(Users users, Each each) {
  for (; !users.empty(); users = users.subspan(std::min<std::size_t>(users.size(), kPhonesInBatch))) {
    CAPF_TRY(each(users.first(std::min<std::size_t>(users.size(), kPhonesInBatch))));
  }
  return {};
}

std::string place_of(const Arguments& arguments, std::size_t line) {
  if (line == 0) return {};
  const std::string path = arguments.text("--file");
  return (path == "-" ? "standard input" : path) + ", line " + std::to_string(line) + ": ";
}

/// Finds every problem before anything is added. Takes users that are on record off, where --skip says so.
/// @return how many those were
Result<std::size_t> check_users(const Arguments& arguments, Connection& server, std::vector<DigestLine>& users) {
  std::unordered_map<std::string, std::size_t> lines;
  for (const DigestLine& user : users) lines.emplace(user.user, user.line);
  std::set<std::string> existing;
  std::vector<std::pair<std::string, std::string>> problems;  // reason and words
  CAPF_TRY(in_batches(users, [&](Users batch) -> capf::Status {
    v1::CheckDigestUsersRequest request;
    for (const DigestLine& user : batch) request.add_names(user.user);
    CAPF_LET(const auto response, server.call(request));
    for (const v1::DigestUserProblem& problem : response.problems()) {
      if (problem.reason() == kExists && arguments.has("--skip")) {
        existing.insert(problem.name());
      } else {
        problems.emplace_back(problem.reason(), place_of(arguments, lines[problem.name()]) + problem.message());
      }
    }
    return {};
  }));
  if (problems.size() == 1) {
    return fail(parse_reason(problems.front().first), "nothing was added: " + problems.front().second);
  }
  if (!problems.empty()) {
    for (std::size_t i = 0; i < std::min(problems.size(), kToldProblems); ++i) {
      warn(problems[i].first + ": " + problems[i].second);
    }
    return fail(parse_reason(problems.front().first),
                "nothing was added: " + std::to_string(problems.size()) + " users have problems" +
                    (problems.size() > kToldProblems ? ", of which the first are shown" : ""));
  }
  std::erase_if(users, [&](const DigestLine& user) { return existing.contains(user.user); });
  return existing.size();
}

/// Makes the passwords that are missing, and writes those of all users, for somebody who goes on with what was cut off.
/// They are on disk when it returns.
capf::Status write_passwords(const std::string& path, std::vector<DigestLine>& users) {
  CAPF_LET(SecretFile file, SecretFile::begin(path, false));
  Botan::secure_vector<std::uint8_t> text;
  const auto append = [&](std::string_view octets) { text.insert(text.end(), octets.begin(), octets.end()); };
  append("user,password\n");
  for (DigestLine& user : users) {
    if (user.password.empty()) user.password = generate_digest_password(Botan::system_rng());
    // In quotes, so that no name begins a comment, and no blank at the end of a password is lost.
    const std::string name = to_cell(user.user);
    append(name.starts_with('"') ? name : '"' + name + '"');
    append(",\"");
    for (const char& c : user.password.text()) append(c == '"' ? std::string_view("\"\"") : std::string_view(&c, 1));
    append("\"\n");
  }
  CAPF_TRY(file.write(as_text(text)));
  return file.finish();
}

/// Adds users, a transaction for each kPhonesInBatch of them. @param generated the passwords that the server made
/// @param added counts, also where an error ends it
capf::Status send(const Arguments& arguments, Connection& server, Users users, Json::Array& generated,
                  std::size_t& added) {
  const bool quiet = arguments.has("--quiet") || users.size() <= static_cast<std::size_t>(kPhonesInBatch);
  Progress progress("added", static_cast<std::int64_t>(users.size()), quiet);
  return in_batches(users, [&](Users batch) -> capf::Status {
    v1::AddDigestUsersRequest request;
    request.set_hash_only(arguments.has("--hash-only"));
    for (const DigestLine& user : batch) {
      v1::DigestPassword& out = *request.add_users();
      out.set_name(user.user);
      out.set_password(std::string(user.password.text()));
    }
    CAPF_LET(const auto response, server.call(request));
    for (const v1::DigestPassword& user : response.generated()) {
      generated.emplace_back(Json::Object{{"user", user.name()}, {"password", user.password()}});
    }
    added += batch.size();
    progress.add(static_cast<std::int64_t>(batch.size()));
    return {};
  });
}

/// The fault of the options, for these users.
std::optional<std::string> misused(const Arguments& arguments, const std::vector<DigestLine>& users) {
  if (users.empty()) {
    return arguments.has("--file") ? arguments.text("--file") + " names no user"
                                   : std::string("name at least one USER, or a --file of them");
  }
  const auto missing = static_cast<std::size_t>(
      std::count_if(users.begin(), users.end(), [](const DigestLine& user) { return user.password.empty(); }));
  if (missing == 0 && arguments.has("--passwords"))
    return "every user has a password: --passwords has nothing to write";
  if (missing > kMostShown && !arguments.has("--passwords")) {
    return std::to_string(missing) + " passwords are more than a terminal holds: --passwords FILE takes them";
  }
  return std::nullopt;
}

/// The users, with the passwords of standard input where the command has --password.
Result<std::vector<DigestLine>> wanted_users(const Arguments& arguments) {
  const std::string path = arguments.text("--file");
  std::string file;
  if (arguments.has("--file")) {
    CAPF_LET(file, read_input(path));
  }
  DigestLines lines = read_digest_lines(arguments.list("USER"), file);
  CAPF_TRY(report_faults(lines.faults, arguments.has("--file") ? path : "the command line"));
  if (lines.has_passwords && path != "-") CAPF_TRY(check_private(path));
  if (arguments.has("--password")) {
    for (DigestLine& user : lines.users) {
      CAPF_LET(user.password, client::read_password());
      CAPF_TRY(check_digest_password(user.password.text()));
    }
  }
  return std::move(lines.users);
}

Result<int> add(const Arguments& arguments, Connection& server) {
  if (arguments.has("--file") && arguments.has("--password")) {
    return report_usage("--password is for users who are named; a --file has a column of passwords");
  }
  auto wanted = wanted_users(arguments);
  const bool of_line = !wanted && wanted.error().reason == Reason::kInvalidRequest && !arguments.has("--file");
  if (of_line) return report_usage(wanted.error().message);
  CAPF_LET(auto users, std::move(wanted));
  if (const auto why = misused(arguments, users)) return report_usage(*why);
  const std::string passwords = arguments.text("--passwords");
  std::error_code error;
  if (!passwords.empty() && std::filesystem::exists(std::filesystem::symlink_status(passwords, error))) {
    return fail(Reason::kInvalidRequest, passwords + " is there already: name a new file");
  }
  std::size_t skipped = 0;
  if (arguments.has("--file") || !passwords.empty() || users.size() > static_cast<std::size_t>(kPhonesInBatch)) {
    CAPF_LET(skipped, check_users(arguments, server, users));
  }
  if (!passwords.empty() && !users.empty()) CAPF_TRY(write_passwords(passwords, users));
  Json::Array generated;
  std::size_t added = 0;
  const capf::Status done = send(arguments, server, users, generated, added);
  const bool shown = !generated.empty();
  if (done || added > 0) {
    show(std::cout, arguments.format(),
         Json::Object{{"added", static_cast<std::int64_t>(added)},
                      {"skipped", static_cast<std::int64_t>(skipped)},
                      {"passwords", std::move(generated)}});
  }
  if (shown) warn("these passwords are shown this once");
  if (!passwords.empty()) warn("the passwords are in " + passwords);
  if (done) return 0;
  if (arguments.has("--file") || !passwords.empty()) {
    warn("'capfctl digest-user add --file " + (passwords.empty() ? arguments.text("--file") : passwords) +
         " --skip exists' goes on with the users that are not added");
  }
  return fail(done.error());
}

}  // namespace

DigestLines read_digest_lines(const std::vector<std::string>& names, std::string_view file) {
  static const std::vector<SheetColumn> columns{{"user", {"name", "user name", "digest user"}}, {"password"}};
  DigestLines lines;
  for (const std::string& name : names) lines.users.push_back({name, Secret(), 0});
  Sheet sheet = read_sheet(file, columns, true);
  lines.faults = std::move(sheet.faults);
  for (Sheet::Row& row : sheet.rows) {
    lines.users.push_back({std::string(from_spreadsheet(row.cells[0])), Secret(row.cells[1]), row.line});
    lines.has_passwords |= !row.cells[1].empty();
  }
  std::unordered_map<std::string_view, std::size_t> seen;  // user to line
  // The server judges the names of a command line.
  for (const DigestLine& user : lines.users) {
    const std::string place = "line " + std::to_string(user.line);
    if (user.line > 0) {
      if (const Status name = check_digest_user(user.user); !name)
        lines.faults.add(place + ", the user: " + name.error().message);
    }
    if (!user.password.empty()) {
      if (const Status password = check_digest_password(user.password.text()); !password) {
        lines.faults.add(place + ", the password: " + password.error().message);
      }
    }
    const auto [before, added] = seen.emplace(user.user, user.line);
    if (!added) {
      lines.faults.add((user.line == 0 ? "the command line" : place) + ": the user is named twice" +
                       (before->second == 0 ? "" : ", in line " + std::to_string(before->second) + " too"));
    }
  }
  return lines;
}

Command digest_add_command() {
  using Kind = Option::Kind;
  return {"digest-user add",
          "Adds digest users: who phones are to the SIP server; up to 500 are all added or none",
          "capfctl digest-user add --file users.csv --passwords passwords.csv",
          {{"USER", Kind::kText, "up to 64 characters, no ':' among them", false, true},
           {"--file", Kind::kFile,
            "CSV file with one user a line, or the columns user and password, which only its owner may read then; '-' "
            "for standard input"},
           {"--password",
            Kind::kChoice,
            "'-' reads it from standard input, 8 to 30 characters, a line for each USER (default: one is made)",
            false,
            false,
            {"-"}},
           {"--passwords", Kind::kFile,
            "new file for the users and their passwords, on disk before the server hears them; needed for more than 20 "
            "that are made"},
           {"--hash-only", Kind::kFlag,
            "keep HA1s for the site's realm alone: for phones where a person types the password"},
           {"--skip", Kind::kChoice, "leave out users of a --file that are there already", false, false, {"exists"}},
           {"--quiet", Kind::kFlag, "do not say how far it is"},
           output_option()},
          add};
}

}  // namespace capf::cli
