#include <fstream>
#include <iterator>
#include <sstream>
#include <vector>

#include <catch2/catch.hpp>

#include "capf/daemon/configuration.h"
#include "capf/daemon/host.h"
#include "capf/daemon/settings.h"
#include "capf/daemon/settings_pages.h"
#include "capf/domain/setting.h"
#include "tests/support/folder.h"

namespace {

using namespace capf::daemon;

std::vector<std::string> faults_of(const std::string& toml) {
  return parse_configuration(toml, "/etc/capf/capfd.toml").faults;
}

TEST_CASE("an empty configuration has the defaults") {
  const auto loaded = parse_configuration("", "/srv/site/capfd.toml");
  REQUIRE(loaded.faults.empty());
  const Configuration& configuration = loaded.configuration;
  CHECK(configuration.state_directory == "/srv/site");
  CHECK(configuration.passphrase == "file:/srv/site/passphrase");
  CHECK(configuration.phone_port() == 3805);
  CHECK(configuration.admin_port() == 3806);
  CHECK(configuration.metrics_port() == 3809);
  CHECK(configuration.calls_port() == 3813);
  CHECK_FALSE(configuration.calls.enabled);
  CHECK(configuration.tvs_port() == 3812);
  CHECK(configuration.files_port() == 3810);
  CHECK(configuration.files_tls_port() == 3811);
  CHECK_FALSE(configuration.tvs_listener.enabled);
  CHECK(configuration.policy.lsc_validity == std::chrono::hours{24 * 1825});
  REQUIRE(configuration.policy.null_string_networks.size() == 2);
  CHECK_FALSE(configuration.policy.allow_rsa_1024);
}

TEST_CASE("phones' files name the servers of the settings, or else this one where it listens") {
  const auto read = [](const std::string& toml) {
    const auto loaded = parse_configuration("public_host = \"capf.example\"\n" + toml, "/srv/site/capfd.toml");
    REQUIRE(loaded.faults.empty());
    return loaded.configuration;
  };
  CHECK(read("").files.source.empty());
  CHECK(read("[files]\nsource = \"phones\"\n").files.source == "/srv/site/phones");
  const capf::service::PhoneServers alone = phone_servers(read("base_port = 0\n"));
  CHECK(alone.capf == capf::CapfHost{"capf.example", 3804});
  CHECK_FALSE(alone.tvs);
  const auto own = phone_servers(read("base_port = 5000\n[listen.tvs]\nenabled = true\n"));
  CHECK(own.capf.port == 5000);
  CHECK(own.tvs == std::vector<capf::CapfHost>{{"capf.example", 5008}});
  const auto others = phone_servers(read("[files]\ntvs = [\"a.example\", \"[2001:db8::1]:2446\"]\n"));
  CHECK(others.tvs == std::vector<capf::CapfHost>{{"a.example", 2445}, {"2001:db8::1", 2446}});
  CHECK(faults_of("[files]\ntvs = [\"a b\"]\n").size() == 1);
  CHECK(faults_of("[files]\ntvs = [\"a\", \"b\", \"c\", \"d\", \"e\", \"f\"]\n").size() == 1);
}

TEST_CASE("a folder that everybody can fetch from has no keys of the site below it") {
  for (const char* folder : {".", "./", "..", "/", "/etc/capf", "/etc/capf/", "x/..", "keys", "keys/phones"}) {
    CAPTURE(folder);
    CHECK(faults_of("[files]\nstatic = \"" + std::string(folder) + "\"\n").size() == 1);
  }
  for (const char* folder : {"", "static", "/etc/capf-static", "/srv/static", "keys-of-others"}) {
    CAPTURE(folder);
    CHECK(faults_of("[files]\nstatic = \"" + std::string(folder) + "\"\n").empty());
  }
}

TEST_CASE("the site's values of what profiles have too are read under the same names") {
  const auto values = [](const std::string& lines) {
    const auto loaded = parse_configuration("[policy]\n" + lines, "capfd.toml");
    REQUIRE(loaded.faults.empty());
    return capf::site_settings(loaded.configuration.policy);
  };
  CHECK(values("") == capf::site_settings({}));
  CHECK(values("auth = \"mic\"").at("auth") == "mic");
  CHECK(values("rsa_bits = 4096").at("rsa_bits") == "4096");
  CHECK(values("rsa_bits = 1024\nallow_rsa_1024 = true").at("rsa_bits") == "1024");
  CHECK(values("completes_within = \"48h\"").at("completes_within") == "2d");
  CHECK(values("lsc_validity_days = 30").at("lsc_validity_days") == "30");
  CHECK(values("self_service_upgrade = false").at("renewal") == "off");
  CHECK(values("renewal_from_percent = 80").at("renewal_from_percent") == "80");
  CHECK(faults_of("[policy]\nrsa_bits = 1024") ==
        std::vector<std::string>{
            "/etc/capf/capfd.toml:2: policy.rsa_bits is at least 2048 in this site (policy.allow_rsa_1024)"});
}

TEST_CASE("what is relative in a configuration is relative to the state directory") {
  const auto loaded =
      parse_configuration("state_directory = \"state\"\npassphrase = \"file:secret\"", "/etc/capf/capfd.toml");
  REQUIRE(loaded.faults.empty());
  CHECK(loaded.configuration.state_directory == "/etc/capf/state");
  CHECK(loaded.configuration.passphrase == "file:/etc/capf/state/secret");
}

TEST_CASE("ports follow the base port unless a listener has its own") {
  const auto loaded = parse_configuration("base_port = 9000\n[listen.admin]\nport = 0", "capfd.toml");
  REQUIRE(loaded.faults.empty());
  CHECK(loaded.configuration.phone_port() == 9001);
  CHECK(loaded.configuration.admin_port() == 0);
  CHECK(parse_configuration("base_port = 0", "capfd.toml").configuration.metrics_port() == 0);
}

TEST_CASE("a key that is not known is refused with its line") {
  CHECK(faults_of("base_port = 3804\nbase_prot = 1") ==
        std::vector<std::string>{"/etc/capf/capfd.toml:2: base_prot is not known"});
  CHECK(faults_of("[policy]\n\nallow_rsa_512 = true") ==
        std::vector<std::string>{"/etc/capf/capfd.toml:3: policy.allow_rsa_512 is not known"});
  CHECK(faults_of("[listen.sip]\nport = 1").size() == 1);
}

TEST_CASE("all faults of a configuration are told at once") {
  CHECK(faults_of("base_port = \"x\"\n[policy]\nlsc_validity_days = 1826\nlsc_subject = \"fancy\"").size() == 3);
}

TEST_CASE("a value that is out of its bounds or of another type is refused") {
  const std::string bad = GENERATE(
      "base_port = -1", "base_port = 65527", "base_port = 3804.0", "base_port = true", "public_host = \"a b\"",
      "public_host = \"\\u0000\"", "public_host = \"::1%eth0\"", "public_host = \"300.1.1.1\"",
      "public_host = \"capf.1\"", "public_host = \"12\"", "status_url = \"https://x\"", "status_url = \"http://x/\"",
      "passphrase = \"hunter2\"", "passphrase = \"file:\"", "database = 1", "[database]\nserver = \"\"",
      "[database]\npool_size = 0", "[listen.phone]\naddresses = []", "[listen.phone]\naddresses = [\"localhost\"]",
      "[listen.phone]\naddresses = [\"::\", \"::\"]", "[listen.phone]\naddresses = [1]", "[listen.phone]\nport = 65536",
      "[listen]\npatience_seconds = -1", "[listen]\ntrusted_proxies = [\"0.0.0.0/0\"]",
      "[listen]\ntrusted_proxies = [\"::/0\"]", "[listen]\ntrusted_proxies = [\"proxy.example\"]",
      "[listen.metrics]\naddresses = [\"0.0.0.0\"]", "[listen.phone]\nport = 3806", "[policy]\nlsc_validity_days = 0",
      "[policy]\nallow_rsa_1024 = \"no\"", "[policy]\nnull_string_networks = [\"10.0.0.0/33\"]",
      "[policy]\nauth = \"password\"", "[policy]\nkey_order = \"ec,rsa\"", "[policy]\nrsa_bits = \"2048\"",
      "[policy]\nrsa_bits = 2000", "[policy]\nec_bits = 0", "[policy]\ncompletes_within = 10",
      "[policy]\ncompletes_within = \"91d\"", "[policy]\nrenewal_from_percent = 50",
      "[policy]\nself_service_upgrade = false\nrenewal = \"phone\"", "[policy]\npc_port = \"off\"",
      "[limits]\nwrong_strings_per_address = 0", "[limits]\nwrong_strings_networks = 500",
      "[limits.wrong_strings_networks]\n\"10.0.0.0/8\" = 0", "[limits.wrong_strings_networks]\n\"10.0.0.0/33\" = 500",
      "[limits]\ncalls_in_flight = 0", "[limits]\nunauthenticated_calls_waiting = -1", "[limits]\nconnections = 0",
      "[log]\nlevel = \"loud\"", "base_port = 1\nbase_port = 2", "[policy", "= 3");
  CAPTURE(bad);
  CHECK(faults_of(bad).size() == 1);
}

TEST_CASE("an address with a zone, or of one link, is refused in words") {
  for (const char* address : {"fe80::1%eth0", "fe80::1", "febf::1", "2001:db8::1%eth0", "::1%lo"}) {
    const auto faults = faults_of(std::string("[listen.phone]\naddresses = [\"") + address + "\"]");
    CAPTURE(address);
    REQUIRE(faults.size() == 1);
    CHECK_THAT(faults.front(),
               Catch::Contains("/etc/capf/capfd.toml:2: listen.phone.addresses has ") && Catch::Contains("link"));
  }
  CHECK(faults_of("[listen.phone]\naddresses = [\"fec0::1\"]").empty());
  CHECK(faults_of("[policy]\nnull_string_networks = [\"fe80::1%eth0/64\"]").size() == 1);
}

TEST_CASE("what LSCs would name and nobody else reaches is doubtful") {
  const auto doubts = [](const char* toml) {
    return doubts_of(parse_configuration(toml, "capfd.toml").configuration).size();
  };
  for (const char* local : {"public_host = \"localhost\"", "public_host = \"LocalHost\"",
                            "public_host = \"a.localhost\"", "public_host = \"127.0.0.1\"", "public_host = \"::1\"",
                            "public_host = \"0.0.0.0\"", "public_host = \"localhost.localdomain\"",
                            "public_host = \"a.example\"\nstatus_url = \"http://localhost:80/x\"",
                            "public_host = \"a.example\"\nstatus_url = \"http://[::1]:80\""}) {
    CAPTURE(local);
    CHECK(doubts(local) == 1);
  }
  for (const char* fine :
       {"public_host = \"capf.example\"", "public_host = \"192.0.2.1\"", "public_host = \"2001:db8::1\"",
        "public_host = \"localhosts\"", "public_host = \"localhost\"\nstatus_url = \"http://a.example\""}) {
    CAPTURE(fine);
    CHECK(doubts(fine) == 0);
  }
}

TEST_CASE("an address has the limit of wrong strings of the narrowest network that has it") {
  const auto policy = parse_configuration(
                          "[limits]\nwrong_strings_per_address = 40\n[limits.wrong_strings_networks]\n"
                          "\"10.0.0.0/8\" = 100\n\"10.1.0.0/16\" = 7\n\"2001:db8::/48\" = 60",
                          "capfd.toml")
                          .configuration.policy;
  const auto limit = [&](const char* address) { return policy.wrong_strings_of(*capf::Address::parse(address)); };
  CHECK(limit("192.0.2.1") == 40);
  CHECK(limit("10.2.0.1") == 100);
  CHECK(limit("::ffff:10.2.0.1") == 100);
  CHECK(limit("10.1.2.3") == 7);
  CHECK(limit("2001:db8:0:7::1") == 60);
  CHECK(limit("2001:db8:1::1") == 40);
}

TEST_CASE("a configuration that was written reads back as it was") {
  Configuration configuration;
  configuration.state_directory = "/srv/a \"site\"";
  configuration.base_port = 0;
  configuration.public_host = "capf.example";
  configuration.status_url = "http://capf.example:8080";
  configuration.passphrase = "credential:passphrase";
  configuration.database.server = "host='/srv/a \\'site' user=x\n";
  configuration.phone.addresses = {"192.0.2.1"};
  configuration.admin.enabled = false;
  configuration.metrics.port = 17;
  configuration.policy.lsc_subject = capf::SubjectForm::kCisco;
  configuration.policy.null_string_networks.clear();
  configuration.policy.wrong_strings_networks = {{*capf::Network::parse("198.51.100.7"), 500},
                                                 {*capf::Network::parse("2001:db8::/48"), 60}};
  configuration.trusted_proxies = {*capf::Network::parse("192.0.2.31"), *capf::Network::parse("2001:db8:1::/64")};
  const std::string written = to_toml(configuration);
  const auto loaded = parse_configuration(written, "/etc/capf/capfd.toml");
  CHECK(loaded.faults.empty());
  CHECK(to_toml(loaded.configuration) == written);
  CHECK(loaded.configuration.state_directory == configuration.state_directory);
  CHECK(loaded.configuration.database.server == configuration.database.server);
}

std::string contents(const char* file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST_CASE("the example file and the page of settings are those of the table") {
  INFO("capfd check-config --describe toml >deploy/capfd.toml");
  CHECK(contents(CAPF_EXAMPLE) == example_file());
  INFO("capfd check-config --describe markdown >deploy/settings.md");
  CHECK(contents(CAPF_SETTINGS) == settings_page());
  for (const Group& group : groups()) {
    for (const Setting& setting : group.settings) {
      CHECK_THAT(settings_manual(), Catch::Contains("\\fB" + setting.key + "\\fR\n"));
    }
  }
}

TEST_CASE("every setting has words that a row of a page can have") {
  for (const Group& group : groups()) {
    for (const Setting& setting : group.settings) {
      CAPTURE(group.path, setting.key);
      CHECK_FALSE(setting.words.empty());
      CHECK(setting.words.find_first_of("|\n") == std::string::npos);
    }
  }
}

TEST_CASE("the example configuration has every key with its default") {
  const std::string example = contents(CAPF_EXAMPLE);
  REQUIRE_FALSE(example.empty());
  const auto loaded = parse_configuration(example, "/etc/capf/capfd.toml");
  CHECK(loaded.faults.empty());
  const std::string defaults = to_toml(parse_configuration("", "/etc/capf/capfd.toml").configuration);
  CHECK(to_toml(loaded.configuration) == defaults);

  std::istringstream lines(defaults);
  for (std::string line; std::getline(lines, line);) {
    const std::string beginning = line.substr(0, line.find('=') + 1);
    CAPTURE(line);
    CHECK_THAT(example, Catch::Contains(beginning));
  }
}

TEST_CASE("a database's password needs a configuration that is private") {
  const capf::test::Folder folder;
  const auto file = folder.path() / "capfd.toml";
  const std::string server =
      GENERATE(as<std::string>(), "host=/run/x password=hunter2", "postgresql://u:hunter2@/x",
               "postgres://u@/x?host=/run/x&pass%77ord=hunter2", "host=/run/x password = 'hunter2'",
               "postgresql://u@/x?sslpassword=hunter2", "postgresql://u:hunter2@/x?frob=1");
  CAPTURE(server);
  std::ofstream(file) << "[database]\n" << GENERATE("server", "owner") << " = \"" << server << "\"\n";
  std::filesystem::permissions(file, std::filesystem::perms{0640});
  REQUIRE(load_configuration(file).faults.size() == 1);
  CHECK_THAT(load_configuration(file).faults.front(), !Catch::Contains("hunter2"));
  std::filesystem::permissions(file, std::filesystem::perms{0600});
  CHECK(load_configuration(file).faults.empty());
}

TEST_CASE("a configuration without a password may be read by others") {
  const capf::test::Folder folder;
  const auto file = folder.path() / "capfd.toml";
  for (const char* server : {"host=/run/x user=password", "postgresql://u@/password?passfile=/x"}) {
    std::ofstream(file) << "[database]\nserver = \"" << server << "\"\n";
    std::filesystem::permissions(file, std::filesystem::perms{0644});
    CHECK(load_configuration(file).faults.empty());
  }
}

TEST_CASE("what others may write is not relied on") {
  const capf::test::Folder folder;
  const auto perms = [](int mode) { return static_cast<std::filesystem::perms>(mode); };
  const auto state = folder.path() / "state";
  const auto library = folder.path() / "lib" / "token.so";
  const auto file = state / "capfd.toml";
  const auto root = folder.path() / "root.pem";
  for (const auto& made : {state, library.parent_path()}) std::filesystem::create_directory(made);
  std::filesystem::permissions(state, perms(0711));
  std::filesystem::permissions(library.parent_path(), perms(0755));
  std::ofstream(library) << "code";
  std::ofstream(root) << "certificate";
  std::ofstream(file) << "[token]\nmodule = \"" << library.string()
                      << "\"\n[database]\nserver = \"host=/run/x sslrootcert=" << root.string() << "\"\n";
  std::filesystem::permissions(file, perms(0600));
  REQUIRE(load_configuration(file).faults.empty());

  // Each one, opened in one way, is one fault that names it.
  const auto refused = [&](const std::filesystem::path& path, int mode) {
    const auto before = std::filesystem::status(path).permissions();
    std::filesystem::permissions(path, perms(mode));
    const auto faults = load_configuration(file).faults;
    std::filesystem::permissions(path, before);
    CAPTURE(path, mode);
    REQUIRE(faults.size() == 1);
    CHECK_THAT(faults.front(), Catch::Contains("'chmod go") && Catch::Contains(path.string() + "' mends it"));
  };
  for (const auto& [path, modes] :
       std::vector<std::pair<std::filesystem::path, std::vector<int>>>{{file, {0620, 0602, 0666}},
                                                                       {library, {0775, 0757}},
                                                                       {library.parent_path(), {0775, 0757}},
                                                                       {root, {0664, 0646}},
                                                                       {state, {0755, 0750, 0721, 0712}}}) {
    for (const int mode : modes) refused(path, mode);
  }
  CHECK(load_configuration(file).faults.empty());

  const auto log = state / "capfd.log";
  std::ofstream(log) << "a line";
  refused(log, 0644);
  refused(log, 0622);
  std::filesystem::permissions(log, perms(0644));
  std::filesystem::permissions(state, perms(0700));  // other users cannot reach it
  CHECK(load_configuration(file).faults.empty());
}

TEST_CASE("a file that is not there is a fault with words") {
  const auto read = read_configuration("/nonexistent/capfd.toml");
  REQUIRE_FALSE(read);
  CHECK(read.error().reason == capf::Reason::kInvalidConfiguration);
  CHECK_THAT(read.error().message, Catch::Contains("capfd init"));
}

}  // namespace
