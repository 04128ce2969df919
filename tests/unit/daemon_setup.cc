#include <algorithm>
#include <map>
#include <set>

#include <botan/system_rng.h>
#include <catch2/catch.hpp>

#include "capf/daemon/setup.h"

namespace {

using namespace capf;
using namespace capf::daemon;

const std::string kHba = "/etc/postgresql/17/main/pg_hba.conf";
const std::string kIdent = "/etc/postgresql/17/main/pg_ident.conf";

/// A machine with PostgreSQL, on which the package has been installed.
class FakeMachine final : public Surroundings {
 public:
  bool root = true;
  bool systemd = true;
  std::set<std::string> users{"root", "capf", "postgres"};
  std::map<std::string, std::string> files{{kHba, "local all all peer\n"}, {kIdent, "# none\n"}};
  std::map<std::string, std::string> folders;  ///< with their owners
  std::vector<Program> runs;
  std::string failing;  ///< the last word of programs that fail
  std::string credential;
  std::string port = "5432";

  bool is_root() const override { return root; }
  bool has_user(const std::string& name) const override { return users.contains(name); }
  bool exists(const std::filesystem::path& path) const override { return files.contains(path.string()); }
  bool has_systemd() const override { return systemd; }
  std::string own_program() const override { return "/usr/bin/capfd"; }
  Result<Secret> read_secret(const std::filesystem::path& path) const override {
    return Secret(std::string_view(files.at(path.string())));
  }
  Status make_folder(const std::filesystem::path& path, const std::string& owner) override {
    folders.emplace(path.string(), owner);
    return {};
  }
  Status write_secret(const std::filesystem::path& path, const Secret& secret) override {
    REQUIRE(files.emplace(path.string(), secret.text()).second);
    return {};
  }
  Status with_credential(const std::string& owner, const std::string& name, const Secret& secret,
                         const std::function<Status(const std::filesystem::path& folder)>& action) override {
    CHECK(owner == "capf");
    CHECK(name == "passphrase");
    credential = secret.text();
    return action("/run/capf-setup.1");
  }
  Result<std::string> run(const Program& program) override {
    runs.push_back(program);
    const auto is = [&](const std::string& word) {
      return std::find(program.words.begin(), program.words.end(), word) != program.words.end();
    };
    if (!failing.empty() && (is(failing) || program.input.find(failing) != std::string::npos)) {
      return fail(Reason::kInvalidConfiguration, "it is broken");
    }
    if (program.input == "show port") return port + "\n";
    if (program.input == "show hba_file") return kHba + "\n";
    if (program.input == "show ident_file") return kIdent + "\n";
    if (is("cat")) return files.at(program.words.back());
    if (is("sh")) files[program.words.back()] = program.input;
    if (is("init")) files["/var/lib/capf/capfd.toml"] = "";
    return std::string(is("init") ? "A site is made.\n" : "");
  }

  /// The words of the programs one of whose words is this.
  std::vector<std::string> runs_of(const std::string& word) const {
    std::vector<std::string> found;
    for (const Program& program : runs) {
      if (std::find(program.words.begin(), program.words.end(), word) == program.words.end()) continue;
      std::string words;
      for (const std::string& each : program.words) words += (words.empty() ? "" : " ") + each;
      found.push_back(words);
    }
    return found;
  }
};

Result<std::string> set_up(FakeMachine& machine, const SetupOptions& options = {}) {
  return daemon::set_up(options, machine, Botan::system_rng());
}

TEST_CASE("setup makes a site of a machine with the package and PostgreSQL, and asks for nothing") {
  FakeMachine machine;
  const auto words = set_up(machine);
  REQUIRE(words);
  CHECK(machine.folders == std::map<std::string, std::string>{{"/etc/capf", "root"}, {"/var/lib/capf", "capf"}});
  CHECK(machine.files.at("/etc/capf/passphrase").size() == 44);
  CHECK(machine.credential == machine.files.at("/etc/capf/passphrase"));
  CHECK(machine.files.at(kHba) ==
        "# capfd, which is the user capf on this machine, as both of its roles\n"
        "local  capf  capf_owner,capf_server  peer  map=capf\nlocal all all peer\n");
  CHECK(machine.files.at(kIdent) == "# none\ncapf  capf  capf_owner\ncapf  capf  capf_server\n");
  CHECK(
      machine.runs_of("init") ==
      std::vector<std::string>{
          "runuser -u capf -- /usr/bin/capfd init --state /var/lib/capf --passphrase credential:passphrase --database "
          "host=/run/postgresql user=capf_server dbname=capf --database-owner host=/run/postgresql user=capf_owner "
          "dbname=capf"});
  CHECK(machine.runs_of("enable") ==
        std::vector<std::string>{"systemctl enable --now capfd.service capfd-archive.timer"});
  // So that systemd refuses no start because others have failed before it.
  CHECK(machine.runs_of("systemctl").front() == "systemctl reset-failed capfd.service");
  CHECK_THAT(*words, Catch::Contains("A site is made."));
}

TEST_CASE("a start is not held up by systemd, which has no failed one to forget") {
  FakeMachine machine;
  machine.failing = "reset-failed";
  REQUIRE(set_up(machine));
  CHECK(machine.runs_of("enable").size() == 1);
}

TEST_CASE("the passphrase is in no argument, no environment and no words of setup") {
  FakeMachine machine;
  const auto words = set_up(machine);
  REQUIRE(words);
  const std::string& secret = machine.files.at("/etc/capf/passphrase");
  CHECK(words->find(secret) == std::string::npos);
  for (const Program& program : machine.runs) {
    CHECK(program.input.find(secret) == std::string::npos);
    for (const std::string& word : program.words) CHECK(word.find(secret) == std::string::npos);
    for (const auto& [name, value] : program.setting) CHECK(value.find(secret) == std::string::npos);
  }
}

TEST_CASE("setup that is run again changes nothing") {
  FakeMachine machine;
  REQUIRE(set_up(machine));
  const auto files = machine.files;
  machine.runs.clear();
  REQUIRE(set_up(machine));
  CHECK(machine.files == files);
  CHECK(machine.runs.size() == machine.runs_of("systemctl").size());
}

TEST_CASE("setup that failed goes on with what is missing") {
  FakeMachine machine;
  machine.failing = GENERATE("show hba_file", "pg_reload_conf", "init", "enable");
  const auto failed = set_up(machine);
  REQUIRE_FALSE(failed);
  CHECK_THAT(failed.error().message, Catch::Contains("it is broken"));
  const std::string passphrase = machine.files.at("/etc/capf/passphrase");
  machine.failing.clear();
  const bool has_site = machine.files.contains("/var/lib/capf/capfd.toml");
  machine.runs.clear();
  REQUIRE(set_up(machine));
  const auto reloads = [](const Program& program) { return program.input == "select pg_reload_conf()"; };
  CHECK(std::any_of(machine.runs.begin(), machine.runs.end(), reloads) != has_site);
  CHECK(machine.files.at("/etc/capf/passphrase") == passphrase);
  const std::string& hba = machine.files.at(kHba);
  CHECK(hba.find("map=capf") == hba.rfind("map=capf"));
  CHECK(machine.files.contains("/var/lib/capf/capfd.toml"));
}

TEST_CASE("PostgreSQL's lines are found however they are spaced, and a comment is none") {
  const std::string spaced = "local capf\tcapf_owner,capf_server peer   map=capf\n";
  CHECK(with_access(spaced) == spaced);
  CHECK(with_access("#" + spaced) != "#" + spaced);
  CHECK(with_identities("capf capf capf_server") == "capf capf capf_server\ncapf  capf  capf_owner\n");
}

TEST_CASE("another port and the options of a new site reach init") {
  FakeMachine machine;
  machine.port = "5433";
  SetupOptions options;
  options.base_port = 4000;
  options.public_host = "capf.example.com";
  REQUIRE(set_up(machine, options));
  CHECK_THAT(machine.runs_of("init").front(), Catch::Contains("port=5433 user=capf_server") &&
                                                  Catch::EndsWith("--base-port 4000 --public-host capf.example.com"));
}

TEST_CASE("a database elsewhere is used as its strings say, and this machine's PostgreSQL is left alone") {
  FakeMachine machine;
  SetupOptions options;
  options.database = "host=db user=capf_server";
  CHECK_THAT(set_up(machine, options).error().message, Catch::Contains("said together"));
  options.database_owner = "host=db user=capf_owner";
  REQUIRE(set_up(machine, options));
  CHECK(machine.runs_of("psql").empty());
  CHECK(machine.files.at(kHba) == "local all all peer\n");
  CHECK_THAT(machine.runs_of("init").front(),
             Catch::Contains("--database host=db user=capf_server --database-owner host=db user=capf_owner"));
}

TEST_CASE("setup that cannot begin changes nothing and says what is missing") {
  FakeMachine machine;
  std::string wanted;
  SECTION("without root") {
    machine.root = false;
    wanted = "for root";
  }
  SECTION("without the user") {
    machine.users.erase("capf");
    wanted = "no user capf";
  }
  SetupOptions options;
  SECTION("for a site that the unit does not serve") {
    options.state = "/srv/capf";
    wanted = "--no-start";
  }
  SECTION("with a password that everybody can read") {
    options.database = "host=db user=capf_server password=x";
    options.database_owner = "host=db user=capf_owner";
    wanted = "passfile";
  }
  const auto refused = set_up(machine, options);
  REQUIRE_FALSE(refused);
  CHECK_THAT(refused.error().message, Catch::Contains(wanted));
  CHECK(machine.runs.empty());
  CHECK(machine.folders.empty());
}

TEST_CASE("without PostgreSQL setup says how to get one") {
  FakeMachine machine;
  machine.failing = "psql";
  const auto refused = set_up(machine);
  REQUIRE_FALSE(refused);
  CHECK_THAT(refused.error().message, Catch::Contains("apt install postgresql") && Catch::Contains("--database-owner"));
}

TEST_CASE("without systemd setup says what serves") {
  FakeMachine machine;
  machine.systemd = false;
  const auto words = set_up(machine);
  REQUIRE(words);
  CHECK(machine.runs_of("systemctl").empty());
  CHECK_THAT(*words, Catch::Contains("runuser -u capf -- /usr/bin/capfd run --state /var/lib/capf"));
}

}  // namespace
