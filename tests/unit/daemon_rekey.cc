#include <fstream>
#include <map>

#include <catch2/catch.hpp>
#include <sys/stat.h>

#include "capf/daemon/marks.h"
#include "capf/daemon/rekey.h"
#include "tests/support/folder.h"

namespace {

using namespace capf;
using namespace capf::daemon;

const Secret kFormer{std::string_view("correct horse battery staple")};
const Secret kNext{std::string_view("staple battery horse correct")};

/// The part of a state directory that rekeying uses: keys and a passphrase.
struct State {
  State() {
    std::filesystem::create_directory(files.keys());
    for (const char* name : {"issuer-1", "site-ca", "audit", "tvs", "list-signer", "list-signer-next"}) {
      const auto key = ca::generate_key(ca::KeyAlgorithm::kP256).value();
      REQUIRE(write_key(files, name, *key, kFormer));
      halves[name] = key->public_key();
    }
    REQUIRE(write_new_secret_file(files.secrets_key(1), ca::encrypt_symmetric_key(secrets, kFormer).value()));
    REQUIRE(write_new_secret_file(files.string_key(), Bytes(32, 7)));
    REQUIRE(write_new_secret_file(files.uri("issuer-2"), as_bytes("pkcs11:object=a\n")));
    // The journal beside the keys grows with the site.
    REQUIRE(write_new_secret_file(files.journal(), Bytes(3'000'000, 'x')));
    REQUIRE(write_new_secret_file(folder.path() / "passphrase", kFormer.view()));
    REQUIRE(write_new_secret_file(folder.path() / "next", kNext.view()));
    configuration.state_directory = folder.path();
    configuration.passphrase = source("passphrase");
  }
  std::string source(const std::string& name) const { return "file:" + (folder.path() / name).string(); }
  bool opens(const Secret& passphrase) const {
    bool all = true;
    for (const auto& [name, half] : halves) {
      const auto key = ca::decrypt_key(read_secret_file(files.key(name)).value().view(), passphrase);
      all = all && key && (*key)->public_key() == half;
    }
    const auto symmetric = ca::decrypt_symmetric_key(read_secret_file(files.secrets_key(1)).value().view(), passphrase);
    all = all && symmetric && symmetric->text() == secrets.text();
    return all;
  }
  /// Every file with its contents.
  std::map<std::string, std::string> contents() const {
    std::map<std::string, std::string> all;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder.path())) {
      if (!entry.is_regular_file()) continue;
      std::ifstream file(entry.path(), std::ios::binary);
      all[entry.path().string()] = {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    }
    return all;
  }

  test::Folder folder;
  SiteFiles files{folder.path()};
  Configuration configuration;
  std::map<std::string, Bytes> halves;
  const Secret secrets{Bytes(32, 9)};
};

Rekeying rekeying(const State& state) { return {kFormer, kNext, state.folder.path() / "passphrase"}; }

TEST_CASE("every key opens with the new passphrase alone, which the next start finds") {
  const State state;
  const auto before = state.contents();
  REQUIRE(rekey_passphrase(state.configuration, std::nullopt, state.source("next")));
  CHECK(state.opens(kNext));
  CHECK_FALSE(state.opens(kFormer));
  CHECK(read_secret(state.configuration.passphrase).value().text() == kNext.text());
  const auto after = state.contents();
  CHECK(after.size() == before.size());
  for (const std::string name : {"strings.key", "issuer-2.uri"}) {
    const std::string path = (state.files.keys() / name).string();
    CHECK(after.at(path) == before.at(path));
  }
  struct stat status {};
  REQUIRE(::stat(state.files.key("audit").c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
}

TEST_CASE("a wrong passphrase changes nothing") {
  const State state;
  REQUIRE(write_new_secret_file(state.folder.path() / "wrong", as_bytes("wrong")));
  const auto before = state.contents();
  const auto refused = rekey_passphrase(state.configuration, state.source("wrong"), state.source("next"));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().reason == Reason::kWrongPassphrase);
  CHECK(state.contents() == before);
}

TEST_CASE("one key under another passphrase changes nothing") {
  const State state;
  const auto key = ca::generate_key(ca::KeyAlgorithm::kP256).value();
  REQUIRE(write_key(state.files, "wire", *key, kNext));
  const auto before = state.contents();
  CHECK(rekey_passphrase(state.configuration, std::nullopt, state.source("next")).error().reason ==
        Reason::kWrongPassphrase);
  CHECK(state.contents() == before);
}

TEST_CASE("a passphrase that is replaced by itself, or by none, is refused") {
  const State state;
  CHECK_FALSE(rekey_passphrase(state.configuration, std::nullopt, state.source("passphrase")));
  CHECK_FALSE(rekey_passphrase(state.configuration, std::nullopt, state.source("nothing")));
  CHECK(state.opens(kFormer));
}

TEST_CASE("a rekeying that was cut off before it was decided leaves everything as it was") {
  const State state;
  const auto before = state.contents();
  REQUIRE(prepare_rekeying(state.files, rekeying(state)));
  REQUIRE(finish_rekeying(state.files, state.configuration.passphrase));
  CHECK(state.contents() == before);
}

TEST_CASE("a rekeying that was cut off after it was decided is finished by whoever comes next") {
  const State state;
  REQUIRE(prepare_rekeying(state.files, rekeying(state)));
  REQUIRE(decide_rekeying(state.files));
  SECTION("before any file moved") {}
  SECTION("in the middle") {
    std::filesystem::rename(state.files.keys() / ".rekey/issuer-1.key", state.files.key("issuer-1"));
  }
  SECTION("before the passphrase moved") {
    for (const auto& [name, half] : state.halves) {
      std::filesystem::rename(state.files.keys() / ".rekey" / (name + ".key"), state.files.key(name));
    }
  }
  REQUIRE(finish_rekeying(state.files, state.configuration.passphrase));
  CHECK(state.opens(kNext));
  CHECK(read_secret(state.configuration.passphrase).value().text() == kNext.text());
  CHECK_FALSE(std::filesystem::exists(state.files.keys() / ".rekey"));
}

TEST_CASE("a passphrase that comes from somewhere else is the administrator's to change") {
  State state;
  state.configuration.passphrase = "credential:passphrase";
  const auto said = rekey_passphrase(state.configuration, state.source("passphrase"), state.source("next"));
  REQUIRE(said);
  CHECK_THAT(*said, Catch::Contains("put it where capfd gets it from"));
  CHECK(state.opens(kNext));
  CHECK(read_secret(state.source("passphrase")).value().text() == kFormer.text());
}

TEST_CASE("a key that is a link is not replaced by a file") {
  const State state;
  std::filesystem::rename(state.files.key("audit"), state.folder.path() / "elsewhere.key");
  std::filesystem::create_symlink(state.folder.path() / "elsewhere.key", state.files.key("audit"));
  const auto refused = rekey_passphrase(state.configuration, std::nullopt, state.source("next"));
  REQUIRE_FALSE(refused);
  CHECK_THAT(refused.error().message, Catch::Contains("is a link"));
  CHECK(state.opens(kFormer));
}

}  // namespace

TEST_CASE("a journal holds what is withdrawn on a site of 150,000 phones, and loses a line that a crash has cut off") {
  const test::Folder folder;
  const std::filesystem::path path = folder.path() / "journal";
  JournalFile journal(path);
  CHECK(journal.read().value().empty());
  std::vector<std::string> lines;
  for (int i = 0; i < 150'000; ++i) {
    lines.push_back("18446744073709551615 " + std::to_string(i) + " blocked_phone done " + std::to_string(i) +
                    " SEP001122334455");
  }
  REQUIRE(journal.append(lines));
  CHECK(journal.read().value() == lines);
  std::ofstream(path, std::ios::app) << "18446744073709551615 15";
  CHECK(journal.read().value() == lines);
  REQUIRE(journal.append(std::span<const std::string>(lines).first(1)));
  CHECK(journal.read().value().size() == lines.size() + 1);
  REQUIRE(journal.replace(std::span<const std::string>(lines).first(2)));
  CHECK(journal.read().value().size() == 2);
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
}
