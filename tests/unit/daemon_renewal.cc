#include <algorithm>

#include <botan/system_rng.h>
#include <catch2/catch.hpp>

#include "capf/ca/certificate.h"
#include "capf/ca/site.h"
#include "capf/daemon/key_purposes.h"
#include "capf/daemon/renewal.h"
#include "capf/daemon/watcher.h"
#include "tests/support/folder.h"

namespace {

using namespace capf;
using namespace capf::daemon;
using std::chrono::hours;

const TimePoint kNow = *parse_rfc3339("2030-06-01T12:00:00Z");
constexpr hours kYear{24 * 365};
const Secret kPassphrase{std::string_view("correct horse battery staple")};

/// A site CA and what is under it.
struct Authority {
  std::unique_ptr<ca::SigningKey> key = ca::generate_key(ca::KeyAlgorithm::kP256).value();
  std::unique_ptr<ca::SigningKey> server_key = ca::generate_key(ca::KeyAlgorithm::kP256).value();

  Bytes site_ca(TimePoint from, hours validity) const {
    return ca::make_site_ca(*key, {"CN=CAPF site CA,O=CAPF", from, validity}, Botan::system_rng()).value();
  }
  Bytes server(BytesView under, TimePoint from, hours validity, const std::vector<std::string>& hosts = {"a"}) const {
    return ca::make_server_certificate({*key, under}, server_key->public_key(), hosts, from, validity,
                                       Botan::system_rng())
        .value();
  }
};

/// A state directory with a site CA, a server and a wire certificate.
struct State {
  State() {
    std::filesystem::create_directory(files.keys());
    std::filesystem::create_directory(files.certificates());
    configuration.state_directory = folder.path();
    configuration.public_host = "capf.example";
  }
  void write(const std::string& name, BytesView certificate) {
    std::filesystem::remove(files.certificate(name));
    REQUIRE(write_new_file(files.certificate(name), chain_pem({Bytes(certificate.begin(), certificate.end())})));
  }
  Bytes write_wire(const std::string& name) {
    Bytes der = ca::make_wire_certificate(*key, {"", kNow, kYear}, Botan::system_rng()).value();
    write(name, der);
    return der;
  }
  void show(const std::string& text) {
    std::filesystem::remove(files.wire_shown());
    REQUIRE(write_new_file(files.wire_shown(), as_bytes(text)));
  }

  test::Folder folder;
  SiteFiles files{folder.path()};
  Configuration configuration;
  std::unique_ptr<ca::SigningKey> key = ca::generate_key(ca::KeyAlgorithm::kP256).value();
};

TEST_CASE("a server renews its certificate in the last third of its life") {
  const Authority authority;
  const Bytes site_ca = authority.site_ca(kNow, kYear * 20);
  const Bytes server = authority.server(site_ca, kNow, kYear * 10);
  const auto facts = ca::read_certificate(server).value();
  const auto due = renews_at(server, site_ca);
  REQUIRE(due);
  CHECK(*due == facts.not_before + (facts.not_after - facts.not_before) * 2 / 3);
  CHECK(facts.not_after - *due > kYear * 3);
}

TEST_CASE("a server does not renew a certificate by itself where that wins nothing or is not its own to renew") {
  const Authority authority;
  const Bytes site_ca = authority.site_ca(kNow, kYear * 20);
  SECTION("it ends with the site CA") {
    const Bytes server = authority.server(site_ca, kNow + kYear * 13, kYear * 10);
    CHECK(ca::read_certificate(server).value().not_after == ca::read_certificate(site_ca).value().not_after);
    CHECK_FALSE(renews_at(server, site_ca));
    // With the site CA renewed it does.
    CHECK(renews_at(server, authority.site_ca(kNow + kYear * 14, kYear * 20)));
  }
  SECTION("somebody else's CA has signed it") {
    const Authority other;
    const Bytes server = authority.server(site_ca, kNow, kYear * 10);
    CHECK_FALSE(renews_at(server, other.site_ca(kNow, kYear * 20)));
  }
  SECTION("it cannot be read") { CHECK_FALSE(renews_at(Bytes{1, 2, 3}, site_ca)); }
}

TEST_CASE("the server's certificate has the names of the machine and the public host, each once") {
  const auto hosts = server_hosts("capf.example");
  CHECK(std::count(hosts.begin(), hosts.end(), "capf.example") == 1);
  for (const char* host : {"localhost", "127.0.0.1", "::1"}) CHECK(std::count(hosts.begin(), hosts.end(), host) == 1);
  const auto local = server_hosts("localhost");
  CHECK(std::count(local.begin(), local.end(), "localhost") == 1);
  // A machine's name may be one that no certificate has.
  const auto odd = server_hosts("not_a_host");
  CHECK(std::count(odd.begin(), odd.end(), "not_a_host") == 0);
}

TEST_CASE("a public host that the server's certificate does not name is told") {
  State state;
  const Authority authority;
  const Bytes site_ca = authority.site_ca(kNow, kYear * 20);
  struct Row {
    std::string named;
    std::string wanted;
    bool told;
  };
  const Row row = GENERATE(values<Row>({{"capf.example", "capf.example", false},
                                        {"capf.example", "CAPF.example", false},
                                        {"capf.example", "capf2.example", true},
                                        {"capf.example", "example", true},
                                        {"192.0.2.7", "192.0.2.7", false},
                                        {"192.0.2.7", "192.0.2.8", true},
                                        {"2001:db8::1", "2001:db8:0::1", false},
                                        {"2001:db8::1", "2001:db8::2", true}}));
  CAPTURE(row.named, row.wanted);
  state.write("server", authority.server(site_ca, kNow, kYear, {"localhost", row.named}));
  state.configuration.public_host = row.wanted;
  const auto words = foreign_names(state.configuration);
  CHECK(words.has_value() == row.told);
  if (words) CHECK_THAT(*words, Catch::Contains("does not name " + row.wanted));
}

TEST_CASE("where the server's certificate cannot be read its names are not the matter") {
  State state;
  CHECK_FALSE(foreign_names(state.configuration));
}

TEST_CASE("a state directory shows the first wire certificate until another one is named") {
  State state;
  CHECK(shown_wire(state.files).value() == "wire");
  state.show("wire-2\n");
  CHECK(shown_wire(state.files).value() == "wire-2");
  for (const char* wrong : {"", "wire-", "wire-1", "wire-02", "wire-2 ", "wire-ec", "../wire", "wire-99999999999",
                            "server", "wire-2\nwire-3"}) {
    CAPTURE(wrong);
    state.show(wrong);
    const auto shown = shown_wire(state.files);
    REQUIRE_FALSE(shown);
    CHECK(shown.error().reason == Reason::kInvalidConfiguration);
  }
}

TEST_CASE("phones are to trust the wire certificates that are shown, and then those that are kept") {
  State state;
  const Bytes second = state.write_wire("wire-2");
  for (const char* name : {"wire", "wire-10", "wire-ec", "wire-x"}) state.write_wire(name);
  REQUIRE(write_new_file(state.files.certificate("wire-3"), as_bytes("no certificate")));
  const auto names = [&] {
    std::vector<std::pair<std::string, bool>> found;
    for (const auto& each : trusted_wire(state.files)) found.emplace_back(each.name, each.shown);
    return found;
  };
  using Names = std::vector<std::pair<std::string, bool>>;
  CHECK(names() == Names{{"wire", true}, {"wire-ec", true}, {"wire-2", false}, {"wire-10", false}});
  state.show("wire-2\n");
  CHECK(names() == Names{{"wire-2", true}, {"wire-ec", true}, {"wire", false}, {"wire-10", false}});
  CHECK(trusted_wire(state.files).front().der == second);
}

TEST_CASE("a watcher notices that a file was replaced, made or taken away, whatever its time") {
  State state;
  state.write_wire("wire");
  const Watcher::Paths paths{state.files.certificate("wire"), state.files.certificate("wire-2")};
  Watcher watcher(paths);
  CHECK(watcher.changed());
  CHECK_FALSE(watcher.changed());
  const auto time = std::filesystem::last_write_time(paths[0]);
  const auto aside = state.files.certificates() / "aside";
  std::filesystem::copy_file(paths[0], aside);
  std::filesystem::last_write_time(aside, time - hours{1});  // as 'cp -p' brings it from elsewhere
  std::filesystem::rename(aside, paths[0]);
  CHECK(watcher.changed());
  state.write_wire("wire-2");
  CHECK(watcher.changed());
  std::filesystem::remove(paths[1]);
  CHECK(watcher.changed());
  CHECK_FALSE(watcher.changed());
  watcher.forget();
  CHECK(watcher.changed());
}

}  // namespace
