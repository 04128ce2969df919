#include "capf/daemon/setup.h"

#include <sstream>
#include <string_view>
#include <utility>

#include <botan/base64.h>

#include "storage/conninfo.h"

namespace capf::daemon {
namespace {

const std::string kUser = "capf";
const std::filesystem::path kSettings = "/etc/capf";
const std::filesystem::path kUnitState = "/var/lib/capf";
const std::filesystem::path kSocket = "/run/postgresql";
constexpr std::string_view kPassphrase = "passphrase";
constexpr std::size_t kPassphraseOctets = 33;

constexpr std::string_view kAccess = "local  capf  capf_owner,capf_server  peer  map=capf";
constexpr std::string_view kOwnerIdentity = "capf  capf  capf_owner";
constexpr std::string_view kServerIdentity = "capf  capf  capf_server";

constexpr const char* kRoles = R"(
select format('create role %I login', name) from unnest(array['capf_owner', 'capf_server']) as name
  where not exists (select from pg_roles where rolname = name) \gexec
select 'create database capf owner capf_owner template template0 encoding ''UTF8'''
  where not exists (select from pg_database where datname = 'capf') \gexec
)";

std::vector<std::string> words_of(const std::string& line) {
  std::istringstream text(line);
  std::vector<std::string> words;
  for (std::string word; text >> word;) words.push_back(word);
  return words;
}

/// Whether a line has the same words, however they are spaced.
bool has_line(const std::string& text, std::string_view line) {
  const auto wanted = words_of(std::string(line));
  std::istringstream lines(text);
  for (std::string each; std::getline(lines, each);) {
    if (words_of(each) == wanted) return true;
  }
  return false;
}

tl::unexpected<Error> refuse(const std::string& words) { return fail(Reason::kInvalidConfiguration, words); }

Status check(const SetupOptions& options, const Surroundings& surroundings) {
  if (!surroundings.is_root()) return refuse("'capfd setup' is for root, who may make roles, folders and units");
  if (options.database.empty() != options.database_owner.empty()) {
    return refuse("--database and --database-owner are said together; without both, this machine's PostgreSQL is used");
  }
  for (const std::string& each : {options.database, options.database_owner}) {
    if (storage::has_password(each)) {
      return refuse(
          "everybody on this machine can read a password in an argument: name a passfile in the connection string");
    }
  }
  if (options.start && options.state != kUnitState && surroundings.has_systemd()) {
    return refuse("the unit serves " + kUnitState.string() + ": another --state needs --no-start");
  }
  if (!surroundings.has_user(kUser)) {
    return refuse("there is no user capf: the package makes it, or 'systemd-sysusers' from an installed source");
  }
  return {};
}

/// One run of setup.
class Setup {
 public:
  Setup(const SetupOptions& options, Surroundings& surroundings, Botan::RandomNumberGenerator& random)
      : options_(options), surroundings_(surroundings), random_(random) {}

  Result<std::string> run() {
    CAPF_TRY(surroundings_.make_folder(kSettings, "root"));
    CAPF_TRY(surroundings_.make_folder(options_.state, kUser));
    if (surroundings_.exists(options_.state / "capfd.toml")) {
      said_ += "The site in " + options_.state.string() + " is left as it is.\n";
    } else {
      CAPF_TRY(make_passphrase());
      if (options_.database.empty()) CAPF_TRY(make_database());
      CAPF_TRY(make_site());
    }
    CAPF_TRY(start());
    return said_;
  }

 private:
  std::filesystem::path passphrase() const { return kSettings / kPassphrase; }

  Status make_passphrase() {
    if (surroundings_.exists(passphrase())) return {};
    const auto octets = random_.random_vec(kPassphraseOctets);
    Botan::secure_vector<std::uint8_t> text(Botan::base64_encode_max_output(octets.size()));
    std::size_t consumed = 0;
    text.resize(
        Botan::base64_encode(reinterpret_cast<char*>(text.data()), octets.data(), octets.size(), consumed, true));
    CAPF_TRY(surroundings_.write_secret(passphrase(), Secret(std::move(text))));
    said_ += "The passphrase of the keys is in " + passphrase().string() + ": keep a copy elsewhere.\n";
    return {};
  }

  Result<std::string> as_postgres(const std::string& sql) {
    return surroundings_
        .run({{"runuser", "-u", "postgres", "--", "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d",
               "postgres"},
              sql})
        .map_error([](Error error) {
          error.message =
              "this machine's PostgreSQL does not answer its user postgres: 'apt install postgresql' makes "
              "one, 'pg_createcluster VERSION main --start' where it is installed without; --database and "
              "--database-owner name another (" +
              error.message + ")";
          return error;
        });
  }

  Status make_database() {
    CAPF_LET(const std::string port, as_postgres("show port"));
    CAPF_TRY(as_postgres(kRoles));
    CAPF_TRY(change_file("hba_file", with_access));
    CAPF_TRY(change_file("ident_file", with_identities));
    CAPF_TRY(as_postgres("select pg_reload_conf()"));  // also where a run that was interrupted has changed them
    port_ = words_of(port).empty() ? "5432" : words_of(port).front();
    return {};
  }

  /// Reads and writes PostgreSQL's file as its owner, who says which one it is.
  Status change_file(const std::string& setting, std::string (*change)(const std::string&)) {
    CAPF_LET(const std::string shown, as_postgres("show " + setting));
    const std::filesystem::path path = shown.substr(0, shown.find('\n'));
    CAPF_LET(const std::string text,
             surroundings_.run({{"runuser", "-u", "postgres", "--", "cat", "--", path.string()}}));
    const std::string changed = change(text);
    if (changed == text) return {};
    CAPF_TRY(surroundings_.run(
        {{"runuser", "-u", "postgres", "--", "sh", "-c",
          R"(cp -p -- "$1" "$1.capf" && cat >"$1.capf" && sync -- "$1.capf" && mv -f -- "$1.capf" "$1")", "sh",
          path.string()},
         changed}));
    said_ += path.string() + " lets the user capf in as capf_owner and capf_server.\n";
    return {};
  }

  std::string local(const std::string& role) const {
    return "host=" + kSocket.string() + (port_ == "5432" ? "" : " port=" + port_) + " user=" + role + " dbname=capf";
  }

  Status make_site() {
    const bool here = options_.database.empty();
    Program init{{"runuser", "-u", kUser, "--", surroundings_.own_program(), "init", "--state", options_.state.string(),
                  "--passphrase", "credential:" + std::string(kPassphrase), "--database",
                  here ? local("capf_server") : options_.database, "--database-owner",
                  here ? local("capf_owner") : options_.database_owner}};
    if (options_.base_port != 0) {
      init.words.insert(init.words.end(), {"--base-port", std::to_string(options_.base_port)});
    }
    if (!options_.public_host.empty()) init.words.insert(init.words.end(), {"--public-host", options_.public_host});
    CAPF_LET(const Secret secret, surroundings_.read_secret(passphrase()));
    return surroundings_.with_credential(kUser, std::string(kPassphrase), secret, [&](const auto& folder) -> Status {
      init.setting["CREDENTIALS_DIRECTORY"] = folder.string();
      CAPF_LET(const std::string words, surroundings_.run(init));
      said_ += words;
      return {};
    });
  }

  Status start() {
    if (!options_.start) return {};
    if (!surroundings_.has_systemd()) {
      said_ += "systemd does not run this machine. This serves:\n  runuser -u capf -- " + surroundings_.own_program() +
               " run --state " + options_.state.string() + " --passphrase fd:0 <" + passphrase().string() + "\n";
      return {};
    }
    // Starts that failed count against the limit of the unit, and would make systemd refuse this one. It fails where
    // there were none.
    static_cast<void>(surroundings_.run({{"systemctl", "reset-failed", "capfd.service"}}));
    CAPF_TRY(surroundings_.run({{"systemctl", "enable", "--now", "capfd.service", "capfd-archive.timer"}}));
    said_ += "capfd is enabled and has started: 'systemctl status capfd'.\n";
    return {};
  }

  const SetupOptions& options_;
  Surroundings& surroundings_;
  Botan::RandomNumberGenerator& random_;
  std::string port_;
  std::string said_;
};

}  // namespace

// PostgreSQL goes by the first line that fits, and "local all all peer" would fit too.
std::string with_access(const std::string& pg_hba) {
  if (has_line(pg_hba, kAccess)) return pg_hba;
  return "# capfd, which is the user capf on this machine, as both of its roles\n" + std::string(kAccess) + "\n" +
         pg_hba;
}

std::string with_identities(const std::string& pg_ident) {
  std::string text = pg_ident;
  for (const std::string_view line : {kOwnerIdentity, kServerIdentity}) {
    if (has_line(text, line)) continue;
    if (!text.empty() && text.back() != '\n') text += '\n';
    text.append(line) += '\n';
  }
  return text;
}

Result<std::string> set_up(const SetupOptions& options, Surroundings& surroundings,
                           Botan::RandomNumberGenerator& random) {
  CAPF_TRY(check(options, surroundings));
  return Setup(options, surroundings, random).run();
}

}  // namespace capf::daemon
