#include <fstream>
#include <set>

#include <botan/system_rng.h>
#include <catch2/catch.hpp>
#include <sys/stat.h>

#include "capf/ca/certificate.h"
#include "capf/ca/site.h"
#include "capf/daemon/init.h"
#include "capf/daemon/issuers.h"
#include "tests/support/folder.h"

namespace {

using namespace capf;
using namespace capf::daemon;

const TimePoint kNow = *parse_rfc3339("2030-06-01T12:00:00Z");
const Secret kPassphrase{std::string_view("correct horse battery staple")};

InitOptions good_options(const std::filesystem::path& state) {
  InitOptions options;
  options.state = state;
  options.database = "host=/run/x user=capf_server dbname=capf";
  options.database_owner = "host=/run/x user=capf_owner dbname=capf";
  options.passphrase = "file:" + (state / "passphrase").string();
  options.key = ca::KeyAlgorithm::kP256;
  options.public_host = "capf.example";
  return options;
}

Result<SiteRecords> make(const InitOptions& options) {
  return make_site_files(options, kPassphrase, options.state, kNow, Botan::system_rng());
}

IssuerRecord record_of(std::int64_t id) {
  IssuerRecord record;
  record.id = id;
  return record;
}

Result<std::unique_ptr<ca::SigningKey>> open_issuer(const SiteFiles& files, const Secret& passphrase, std::int64_t id) {
  ca::Tokens tokens{{}};
  return IssuerFiles(files, passphrase, tokens, "").open(record_of(id));
}

mode_t mode_of(const std::filesystem::path& path) {
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  return status.st_mode & 0777;
}

std::string text_of(const std::filesystem::path& path) {
  const auto data = read_file(path);
  REQUIRE(data);
  return std::string(as_text(*data));
}

TEST_CASE("a new site's secrets are the owner's alone, and its keys are encrypted") {
  const test::Folder folder;
  REQUIRE(make(good_options(folder.path())));
  const SiteFiles files{folder.path()};
  CHECK(mode_of(files.keys()) == 0700);
  CHECK(mode_of(files.administrators()) == 0700);
  CHECK(mode_of(files.configuration()) == 0600);
  CHECK(mode_of(files.string_key()) == 0600);
  CHECK(std::filesystem::file_size(files.string_key()) == 32);
  CHECK_THAT(text_of(files.secrets_key(1)), Catch::StartsWith("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
  CHECK(mode_of(files.secrets_key(1)) == 0600);
  for (const char* name :
       {"issuer-1", "site-ca", "server", "wire", "tvs", "list-signer", "file-signer", "file-server"}) {
    CAPTURE(name);
    CHECK(mode_of(files.key(name)) == 0600);
    CHECK_THAT(text_of(files.key(name)), Catch::StartsWith("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
    CHECK_THAT(text_of(files.certificate(name)), Catch::StartsWith("-----BEGIN CERTIFICATE-----"));
  }
  CHECK(mode_of(files.administrators() / "admin.key") == 0600);
  CHECK_THAT(text_of(files.administrators() / "admin.key"), Catch::StartsWith("-----BEGIN PRIVATE KEY-----"));
}

TEST_CASE("a new site opens with its passphrase, and with no other") {
  const test::Folder folder;
  const auto records = make(good_options(folder.path()));
  REQUIRE(records);
  const auto opened = open_secrets(SiteFiles{folder.path()}, kPassphrase);
  REQUIRE(opened);
  const auto issuer = open_issuer(SiteFiles{folder.path()}, kPassphrase, 1);
  REQUIRE(issuer);
  const auto facts = ca::read_certificate(records->issuer.der);
  REQUIRE(facts);
  CHECK(sha256((*issuer)->public_key()) == facts->key.sha256);
  CHECK(opened->server.chain.size() == 2);
  const auto refused = open_secrets(SiteFiles{folder.path()}, Secret(std::string_view("wrong")));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().reason == Reason::kWrongPassphrase);
}

TEST_CASE("a secret file that others may read stops the start") {
  const test::Folder folder;
  REQUIRE(make(good_options(folder.path())));
  const SiteFiles files{folder.path()};
  const std::string name = GENERATE("site-ca.key", "wire.key", "strings.key");
  const auto exposed = files.keys() / name;
  REQUIRE(::chmod(exposed.c_str(), 0640) == 0);
  const auto opened = open_secrets(files, kPassphrase);
  REQUIRE_FALSE(opened);
  CHECK(opened.error().reason == Reason::kSecretExposed);
}

TEST_CASE("an issuer's key is opened by its passphrase alone, and only where nobody else may read it") {
  const test::Folder folder;
  REQUIRE(make(good_options(folder.path())));
  const SiteFiles files{folder.path()};
  const Secret wrong(std::string_view("wrong"));
  const auto refused = open_issuer(files, wrong, 1);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().reason == Reason::kWrongPassphrase);
  const auto absent = open_issuer(files, kPassphrase, 2);
  REQUIRE(absent);
  CHECK(*absent == nullptr);
  REQUIRE(::chmod(files.key("issuer-1").c_str(), 0640) == 0);
  const auto exposed = open_issuer(files, kPassphrase, 1);
  REQUIRE_FALSE(exposed);
  CHECK(exposed.error().reason == Reason::kSecretExposed);
}

TEST_CASE("an issuer's key that an earlier try has left is set aside, not overwritten") {
  const test::Folder folder;
  REQUIRE(make(good_options(folder.path())));
  ca::Tokens tokens{{}};
  IssuerFiles files(SiteFiles{folder.path()}, kPassphrase, tokens, "");
  const auto authority = [] {
    ca::ImportedAuthority made;
    made.key = ca::generate_key(ca::KeyAlgorithm::kP256).value();
    made.certificate = ca::make_capf_certificate(*made.key, {"", SystemClock().now()}, Botan::system_rng()).value();
    return made;
  };
  const auto first = authority();
  const auto second = authority();
  REQUIRE(files.keep(2, first));
  REQUIRE(files.keep(2, second));
  CHECK(files.open(record_of(2)).value()->public_key() == second.key->public_key());
  CHECK(std::filesystem::exists(SiteFiles{folder.path()}.key("issuer-2").string() + ".leftover"));
}

TEST_CASE("a key under a passphrase that is no longer the site's is not kept") {
  const test::Folder folder;
  REQUIRE(make(good_options(folder.path())));
  ca::Tokens tokens{{}};
  const Secret former(std::string_view("the former one"));
  IssuerFiles files(SiteFiles{folder.path()}, former, tokens, "");
  const auto refused = files.keep_waiting(*ca::generate_key(ca::KeyAlgorithm::kP256).value());
  REQUIRE_FALSE(refused);
  CHECK(refused.error().reason == Reason::kWrongPassphrase);
  CHECK_THAT(refused.error().message, Catch::Contains("restart"));
}

TEST_CASE("one key at a time waits for its certificate") {
  const test::Folder folder;
  REQUIRE(make(good_options(folder.path())));
  ca::Tokens tokens{{}};
  IssuerFiles files(SiteFiles{folder.path()}, kPassphrase, tokens, "");
  CHECK(files.open_waiting().value() == nullptr);
  const auto key = ca::generate_key(ca::KeyAlgorithm::kP256).value();
  REQUIRE(files.keep_waiting(*key));
  CHECK(files.keep_waiting(*key).error().reason == Reason::kSiteExists);
  CHECK(files.open_waiting().value()->public_key() == key->public_key());
  REQUIRE(files.forget_waiting());
  CHECK(files.open_waiting().value() == nullptr);
}

TEST_CASE("an administrator from afar names no library") {
  const test::Folder folder;
  ca::Tokens tokens{{}};
  IssuerFiles files(SiteFiles{folder.path()}, kPassphrase, tokens, "/usr/lib/good.so");
  const auto refused = files.open_in_token("pkcs11:object=a?module-path=/tmp/evil.so", std::nullopt);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().reason == Reason::kInvalidRequest);
}

TEST_CASE("a key that is in a file and in a token is in neither") {
  const test::Folder folder;
  REQUIRE(make(good_options(folder.path())));
  const SiteFiles files{folder.path()};
  REQUIRE(write_new_secret_file(files.uri("issuer-1"), as_bytes("pkcs11:object=a\n")));
  CHECK(open_issuer(files, kPassphrase, 1).error().reason == Reason::kInvalidConfiguration);
}

TEST_CASE("a request is made once, and waits with its key") {
  const test::Folder folder;
  InitOptions options = good_options(folder.path());
  options.csr_only = true;
  REQUIRE(write_new_secret_file(folder.path() / "passphrase", kPassphrase.view()));
  REQUIRE(make_request(options, Botan::system_rng()));
  const SiteFiles waiting{folder.path() / "request"};
  CHECK(mode_of(waiting.key("issuer-1")) == 0600);
  CHECK_THAT(text_of(waiting.key("issuer-1")), Catch::StartsWith("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
  CHECK_THAT(text_of(waiting.request("issuer-1")), Catch::StartsWith("-----BEGIN CERTIFICATE REQUEST-----"));
  const auto again = make_request(options, Botan::system_rng());
  REQUIRE_FALSE(again);
  CHECK(again.error().reason == Reason::kSiteExists);
  CHECK_THAT(again.error().message, Catch::Contains("waits for its certificate"));
  CHECK_FALSE(std::filesystem::exists(SiteFiles{folder.path()}.configuration()));
}

TEST_CASE("a key that is not its certificate's stops the start") {
  const test::Folder folder;
  REQUIRE(make(good_options(folder.path())));
  const SiteFiles files{folder.path()};
  std::filesystem::copy_file(files.certificate("site-ca"), files.certificate("server"),
                             std::filesystem::copy_options::overwrite_existing);
  const auto opened = open_secrets(files, kPassphrase);
  REQUIRE_FALSE(opened);
  CHECK(opened.error().reason == Reason::kInvalidConfiguration);
}

TEST_CASE("a folder without a site says so") {
  const test::Folder folder;
  const auto opened = open_secrets(SiteFiles{folder.path()}, kPassphrase);
  REQUIRE_FALSE(opened);
  CHECK(opened.error().reason == Reason::kNoSite);
}

TEST_CASE("eleven keys of a new site are on record, each another") {
  const test::Folder folder;
  const auto records = make(good_options(folder.path()));
  REQUIRE(records);
  std::set<Sha256> keys;
  for (const auto& [key, owner] : records->keys) keys.insert(key.sha256);
  CHECK(keys.size() == 11);
  CHECK(records->issuer.active);
  CHECK(records->administrator.role == Role::kAdmin);
}

TEST_CASE("the configuration of a new site has no faults and names its passphrase relative to it") {
  const test::Folder folder;
  REQUIRE(make(good_options(folder.path())));
  const auto loaded = load_configuration(SiteFiles{folder.path()}.configuration());
  CHECK(loaded.faults.empty());
  CHECK(loaded.configuration.public_host == "capf.example");
  CHECK(loaded.configuration.passphrase == "file:" + (folder.path() / "passphrase").string());
  CHECK_THAT(text_of(SiteFiles{folder.path()}.configuration()), Catch::Contains("\"file:passphrase\""));
}

TEST_CASE("options of init that make no sense are refused before anything is made") {
  const test::Folder folder;
  InitOptions options = good_options(folder.path());
  SECTION("a base port out of range") { options.base_port = 65527; }
  SECTION("no days") { options.days = 0; }
  SECTION("a certificate without its key") { options.import_certificate = "/nonexistent"; }
  SECTION("a subject that is none") { options.subject = "an issuer"; }
  SECTION("an administrator with a path for a name") { options.administrator = "../admin"; }
  SECTION("a token's key that is no URI") { options.key_uri = "the key"; }
  SECTION("a token's key with its PIN") { options.key_uri = "pkcs11:object=a?pin-value=1234"; }
  SECTION("a request and its certificate at once") {
    options.csr_only = true;
    options.certificate = "/nonexistent";
  }
  SECTION("the certificate of a request with another key") { options.certificate = "/nonexistent"; }
  CHECK_FALSE(make(options));
  CHECK(std::filesystem::is_empty(folder.path()));
}

TEST_CASE("an existing site is never overwritten") {
  const test::Folder folder;
  const SiteFiles files{folder.path()};
  const std::string name = GENERATE("capfd.toml", "keys", "certificates", "admin", "recovery-signer.key");
  const auto existing = files.root / name;
  std::filesystem::create_directory(existing);
  const auto cleared = clear_leftovers(files);
  REQUIRE_FALSE(cleared);
  CHECK(cleared.error().reason == Reason::kSiteExists);
  CHECK(std::filesystem::exists(existing));
}

TEST_CASE("what an init left that was cut off before its files were complete is cleared away") {
  const test::Folder folder;
  std::filesystem::create_directories(folder.path() / ".new/keys");
  std::ofstream(folder.path() / ".new/keys/issuer-1.key") << "half a k";
  const auto cleared = clear_leftovers(SiteFiles{folder.path()});
  REQUIRE(cleared);
  CHECK_FALSE(*cleared);
  CHECK(std::filesystem::is_empty(folder.path()));
}

TEST_CASE("an init that was cut off while its files moved in can be finished") {
  const test::Folder folder;
  const SiteFiles files{folder.path()};
  const auto aside = folder.path() / ".prepared";
  std::filesystem::create_directory(aside);
  std::filesystem::permissions(aside, std::filesystem::perms::owner_all);
  InitOptions options = good_options(folder.path());
  REQUIRE(make_site_files(options, kPassphrase, aside, kNow, Botan::system_rng()));
  std::filesystem::rename(aside / "keys", files.keys());
  const auto cleared = clear_leftovers(files);
  REQUIRE(cleared);
  CHECK(*cleared);
  REQUIRE(move_in(files));
  CHECK_FALSE(std::filesystem::exists(aside));
  CHECK(open_secrets(files, kPassphrase));
  CHECK(mode_of(files.recovery_key()) == 0600);
  CHECK(std::filesystem::exists(files.configuration()));
  CHECK_FALSE(clear_leftovers(files));
}

}  // namespace
