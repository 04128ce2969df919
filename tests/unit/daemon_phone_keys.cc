#include <algorithm>

#include <botan/system_rng.h>
#include <catch2/catch.hpp>
#include <sys/stat.h>

#include "capf/ca/certificate.h"
#include "capf/ca/site.h"
#include "capf/daemon/init.h"
#include "capf/daemon/phone_certificates.h"
#include "capf/daemon/phone_key_files.h"
#include "tests/support/folder.h"
#include "tests/support/no_database.h"

namespace {

using namespace capf;
using namespace capf::daemon;

const TimePoint kNow = *parse_rfc3339("2030-06-01T12:00:00Z");
constexpr std::chrono::hours kYear{24 * 365};
const Secret kPassphrase{std::string_view("correct horse battery staple")};

/// The server has the keys of its site, and cannot write.
class Standby final : public Database {
 public:
  Status write(const std::function<Status(Transaction&)>&) override { return fail(Reason::kDatabaseReadOnly); }
  Status read(const std::function<Status(Transaction&)>&) override { return fail(Reason::kDatabaseReadOnly); }
  Rounds& rounds() override { return away_.rounds(); }

 private:
  test::NoDatabase away_;
};

/// A state directory with keys and certificates.
struct State {
  State() {
    std::filesystem::create_directory(files.keys());
    std::filesystem::permissions(files.keys(), std::filesystem::perms::owner_all);
    std::filesystem::create_directory(files.certificates());
  }
  std::shared_ptr<ca::SigningKey> make(const KeyPurpose& purpose, const std::string& name,
                                       std::shared_ptr<ca::SigningKey> key = nullptr) {
    if (!key) key = ca::generate_key(purpose.algorithm).value();
    const Bytes der = make_certificate(purpose, *key, "capf.example", kNow, kYear, Botan::system_rng()).value();
    REQUIRE(write_identity(files, name, *key, der, {}, kPassphrase));
    return key;
  }
  void use(const KeyPurpose& purpose, const std::string& name) {
    REQUIRE(rewrite_file(files.shown(purpose.first), as_bytes(name + "\n")));
  }

  test::Folder folder;
  SiteFiles files{folder.path()};
  Standby database;
  ca::Tokens tokens{{}};
  service::OwnCertificates own;
  PhoneKeyFiles keys{files, kPassphrase, tokens, database, own};
};

using Names = std::vector<std::string>;

Names names(const std::vector<service::OwnCertificate>& certificates, bool in_use) {
  Names found;
  for (const auto& each : certificates) {
    if (each.in_use == in_use) found.push_back(each.name);
  }
  return found;
}

TEST_CASE("each purpose has names of its own") {
  CHECK(number_of(list_signer_purpose(), "list-signer") == 1);
  CHECK(number_of(list_signer_purpose(), "list-signer-12") == 12);
  for (const char* other : {"list-signer-1", "list-signer-02", "list-signer-next", "file-signer", "list", "tvs-2"}) {
    CHECK_FALSE(number_of(list_signer_purpose(), other));
  }
  // There is but one recovery signer.
  CHECK(number_of(recovery_signer_purpose(), "recovery-signer") == 1);
  CHECK_FALSE(number_of(recovery_signer_purpose(), "recovery-signer-2"));
  Names firsts;
  for (const KeyPurpose* purpose : key_purposes()) firsts.push_back(purpose->first);
  CHECK(firsts == Names{"recovery-signer", "wire", "tvs", "list-signer", "file-signer", "file-server"});
}

TEST_CASE("a certificate of a purpose has the subject, the key and the use that it needs") {
  const KeyPurpose& purpose = *GENERATE(from_range(key_purposes()));
  CAPTURE(purpose.first);
  const auto key = ca::generate_key(purpose.algorithm).value();
  const std::string host = "a-host." + std::string(60, 'x') + ".example";
  const Bytes der = make_certificate(purpose, *key, host, kNow, kYear, Botan::system_rng()).value();
  const auto facts = ca::read_certificate(der).value();
  const std::string unit = purpose.unit.empty() ? "CAPF" : purpose.unit;
  CHECK_THAT(facts.subject, Catch::StartsWith("CN=") && Catch::EndsWith(",OU=" + unit + ",O=CAPF"));
  CHECK(facts.issuer == facts.subject);
  CHECK(ca::names_host(der, host) == (purpose.first == "file-server"));
}

TEST_CASE("a site without keys for phones' files has none, and starts") {
  State state;
  state.make(wire_purpose(), "wire");
  REQUIRE(state.keys.open());
  CHECK_FALSE(state.keys.list_signer());
  CHECK_FALSE(state.keys.list_signer("list-signer"));
  CHECK_FALSE(state.keys.file_signer());
  CHECK(names(state.keys.own_certificates(), true) == Names{"wire"});
  CHECK(state.own.list().empty());
}

TEST_CASE("the keys in use sign, and the next list signer too") {
  State state;
  state.make(wire_purpose(), "wire");
  state.make(wire_purpose(), "wire-2");
  state.make(tvs_purpose(), "tvs");
  const auto first = state.make(list_signer_purpose(), "list-signer");
  const auto second = state.make(list_signer_purpose(), "list-signer-2");
  const auto file = state.make(file_signer_purpose(), "file-signer");
  state.make(file_signer_purpose(), "file-signer-2");
  state.make(file_server_purpose(), "file-server");
  state.make(recovery_signer_purpose(), "recovery-signer");
  std::filesystem::remove(state.files.key("recovery-signer"));
  REQUIRE(state.keys.open());

  CHECK(state.keys.list_signer()->name == "list-signer");
  CHECK(state.keys.list_signer()->key->public_key() == first->public_key());
  CHECK(state.keys.list_signer("list-signer-2")->key->public_key() == second->public_key());
  for (const char* other : {"list-signer-3", "file-signer", ""}) CHECK_FALSE(state.keys.list_signer(other));
  CHECK(state.keys.file_signer()->key->public_key() == file->public_key());
  const auto certificates = state.keys.own_certificates();
  CHECK(names(certificates, true) == Names{"file-server", "file-signer", "list-signer", "tvs", "wire"});
  CHECK(names(certificates, false) == Names{"file-signer-2", "list-signer-2", "recovery-signer", "wire-2"});
  for (const auto& each : certificates) {
    for (const KeyPurpose* purpose : key_purposes()) {
      if (number_of(*purpose, each.name)) CHECK(each.roles == TrustRoles{purpose->role});
    }
    CHECK(each.der == read_chain(state.files, each.name)->front());
  }

  SECTION("their ends are reported, of those in use as needed") {
    std::vector<std::pair<std::string, bool>> ends;
    for (const Expiry& each : state.own.list()) {
      ends.emplace_back(std::string(to_string(each.kind)) + "/" + each.name, each.spare);
      CHECK(each.not_after == kNow + kYear);
    }
    std::sort(ends.begin(), ends.end());
    CHECK(ends == std::vector<std::pair<std::string, bool>>{{"file-server/", false},
                                                            {"file-signer/", false},
                                                            {"file-signer/file-signer-2", true},
                                                            {"list-signer/", false},
                                                            {"list-signer/list-signer-2", true},
                                                            {"recovery-signer/", false}});
  }
  SECTION("another one is taken over while the server runs") {
    state.use(list_signer_purpose(), "list-signer-2");
    state.keys.tick();
    CHECK(state.keys.list_signer()->key->public_key() == second->public_key());
    CHECK(names(state.keys.own_certificates(), false) ==
          Names{"file-signer-2", "list-signer", "recovery-signer", "wire-2"});
  }
  SECTION("what cannot be read changes nothing") {
    const auto before = state.keys.list_signer();
    state.use(list_signer_purpose(), "list-signer-3");
    state.keys.tick();
    CHECK(state.keys.list_signer() == before);
    CHECK_THAT(state.keys.open().error().message, Catch::Contains("list-signer-3"));
  }
  SECTION("a key goes on under the passphrase that its file had") {
    const auto before = state.keys.list_signer();
    std::filesystem::remove(state.files.key("list-signer"));
    REQUIRE(write_key(state.files, "list-signer", *first, Secret(std::string_view("another"))));
    state.keys.tick();
    CHECK(state.keys.list_signer() == before);
    CHECK(state.keys.file_signer());
  }
}

TEST_CASE("a next signer whose key is on its way does not stop a start, one in use does") {
  State state;
  state.make(list_signer_purpose(), "list-signer");
  state.make(list_signer_purpose(), "list-signer-2");
  std::filesystem::remove(state.files.key("list-signer-2"));
  REQUIRE(state.keys.open());
  CHECK_FALSE(state.keys.list_signer("list-signer-2"));
  CHECK(state.keys.own_certificates().size() == 2);
  state.use(list_signer_purpose(), "list-signer-2");
  CHECK_FALSE(state.keys.open());
}

TEST_CASE("one key for two purposes stops the start") {
  State state;
  const auto key = state.make(list_signer_purpose(), "list-signer");
  REQUIRE(state.keys.open());
  const auto& [purpose, name] =
      GENERATE(table<const KeyPurpose*, std::string>({{&file_signer_purpose(), "file-signer"},
                                                      {&tvs_purpose(), "tvs-2"},
                                                      {&wire_purpose(), "wire"},
                                                      {&recovery_signer_purpose(), "recovery-signer"},
                                                      {&tvs_purpose(), "server"}}));
  CAPTURE(name);
  state.make(*purpose, name, key);
  const auto refused = state.keys.open();
  REQUIRE_FALSE(refused);
  CHECK(refused.error().reason == Reason::kInvalidConfiguration);
  CHECK_THAT(refused.error().message, Catch::Contains("list-signer and " + name) || Catch::Contains(name + " and "));
}

TEST_CASE("one key may have two certificates of one purpose") {
  State state;
  const auto key = state.make(list_signer_purpose(), "list-signer");
  state.make(list_signer_purpose(), "list-signer-2", key);
  CHECK(state.keys.open());
}

TEST_CASE("a key that serves something else is refused before it is added") {
  State state;
  const auto key = state.make(file_signer_purpose(), "file-signer");
  const KeyDigests digests = ca::read_certificate(read_chain(state.files, "file-signer")->front())->key;
  CHECK(check_one_purpose(file_signer_purpose(), digests, state.files));
  const auto refused = check_one_purpose(list_signer_purpose(), digests, state.files);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().reason == Reason::kKeyReserved);
  // The same modulus with another exponent is the same key.
  KeyDigests other = digests;
  other.sha256[0] ^= 1;
  CHECK_FALSE(check_one_purpose(list_signer_purpose(), other, state.files));
  other.modulus.reset();
  CHECK(check_one_purpose(list_signer_purpose(), other, state.files));
}

TEST_CASE("the recovery signer's key is written once, under a passphrase of its own") {
  const test::Folder folder;
  const auto key = ca::generate_key(ca::KeyAlgorithm::kP256).value();
  RecoveryKeyPlace place{folder.path() / "recovery.key", {}};
  SECTION("one that is named") {
    REQUIRE(write_new_secret_file(folder.path() / "own", as_bytes("a passphrase for the safe")));
    place.passphrase = "file:" + (folder.path() / "own").string();
  }
  SECTION("a new one") {}
  REQUIRE(write_recovery_key(*key, place, Botan::system_rng()));
  const std::string source =
      place.passphrase.empty() ? "file:" + place.generated_passphrase().string() : place.passphrase;
  CHECK(std::filesystem::exists(place.generated_passphrase()) == place.passphrase.empty());
  const Secret pem = read_secret_file(place.file).value();
  CHECK(ca::decrypt_key(pem.view(), read_secret(source).value()).value()->public_key() == key->public_key());
  CHECK_FALSE(ca::decrypt_key(pem.view(), kPassphrase));
  CHECK_THAT(words_of(place), Catch::Contains(place.file.string()) && Catch::Contains("take it away"));
  const auto again = write_recovery_key(*key, place, Botan::system_rng());
  REQUIRE_FALSE(again);
  CHECK(again.error().reason == Reason::kSiteExists);
  CHECK(read_secret_file(place.file).value().text() == pem.text());
}

TEST_CASE("a recovery signer's key that cannot be written leaves no passphrase in the way of the next try") {
  const test::Folder folder;
  const auto key = ca::generate_key(ca::KeyAlgorithm::kP256).value();
  const RecoveryKeyPlace place{folder.path() / "recovery.key", {}};
  std::filesystem::create_symlink(folder.path() / "nowhere", place.file);
  CHECK_FALSE(write_recovery_key(*key, place, Botan::system_rng()));
  CHECK_FALSE(std::filesystem::exists(place.generated_passphrase()));
  CHECK_FALSE(std::filesystem::exists(folder.path() / "nowhere"));
  std::filesystem::remove(place.file);
  REQUIRE(write_recovery_key(*key, place, Botan::system_rng()));
  remove_recovery_key(place);
  CHECK(std::filesystem::is_empty(folder.path()));
}

TEST_CASE("the recovery signer's key is moved with its passphrase, or not at all") {
  const test::Folder folder;
  const auto key = ca::generate_key(ca::KeyAlgorithm::kP256).value();
  const RecoveryKeyPlace here{folder.path() / "recovery.key", {}};
  const RecoveryKeyPlace there{folder.path() / "away.key", {}};
  REQUIRE(write_recovery_key(*key, here, Botan::system_rng()));
  const std::string pem(read_secret_file(here.file).value().text());
  SECTION("to where there is nothing") {
    REQUIRE(move_recovery_key(here, there));
    CHECK(read_secret_file(there.file).value().text() == pem);
    CHECK(std::filesystem::exists(there.generated_passphrase()));
    CHECK_FALSE(std::filesystem::exists(here.file));
    CHECK_FALSE(std::filesystem::exists(here.generated_passphrase()));
  }
  SECTION("to where the passphrase of another one is") {
    REQUIRE(write_new_secret_file(there.generated_passphrase(), as_bytes("another one's")));
    const Status moved = move_recovery_key(here, there);
    REQUIRE_FALSE(moved);
    CHECK(moved.error().reason == Reason::kSiteExists);
    CHECK(read_secret_file(here.file).value().text() == pem);
    CHECK(std::filesystem::exists(here.generated_passphrase()));
    CHECK_FALSE(std::filesystem::exists(there.file));
    CHECK(read_secret_file(there.generated_passphrase()).value().text() == "another one's");
  }
}

TEST_CASE("a new site has a key for each purpose, and of the recovery signer only the certificate in its folders") {
  const test::Folder folder;
  InitOptions options;
  options.state = folder.path();
  options.database = "host=/run/x user=capf_server dbname=capf";
  options.database_owner = "host=/run/x user=capf_owner dbname=capf";
  options.passphrase = "file:passphrase";
  options.key = ca::KeyAlgorithm::kP256;
  options.public_host = "capf.example";
  const auto records = make_site_files(options, kPassphrase, folder.path(), kNow, Botan::system_rng());
  REQUIRE(records);
  const SiteFiles files{folder.path()};
  Standby database;
  ca::Tokens tokens{{}};
  service::OwnCertificates own;
  PhoneKeyFiles keys(files, kPassphrase, tokens, database, own);
  REQUIRE(keys.open());
  CHECK(keys.list_signer());
  CHECK(keys.file_signer());
  CHECK(keys.own_certificates().size() == 6);
  CHECK_FALSE(std::filesystem::exists(files.key("recovery-signer")));
  CHECK(std::filesystem::exists(files.recovery_key()));
  // The record has each of them for the site alone, so that no phone brings one.
  for (const auto& each : keys.own_certificates()) {
    const auto facts = ca::read_certificate(each.der).value();
    CHECK(std::any_of(records->keys.begin(), records->keys.end(), [&](const auto& record) {
      return record.first == facts.key && record.second == KeyOwner::kSite;
    }));
  }
}

}  // namespace
