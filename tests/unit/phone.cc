#include <filesystem>
#include <fstream>
#include <sstream>

#include <catch2/catch.hpp>
#include <openssl/ui.h>
#include <sys/stat.h>
#include <unistd.h>

#include "capf/client/key.h"
#include "capf/phone/fleet.h"
#include "capf/phone/folder.h"
#include "capf/phone/keys.h"
#include "capf/phone/options.h"
#include "capf/phone/tally.h"
#include "capf/phone/visit.h"

using namespace capf;
using namespace capf::phone;
using client::KeyKind;
using client::PrivateKey;
namespace fs = std::filesystem;

namespace {

/// A folder of one test's own, removed on destruction.
struct Scratch {
  Scratch() {
    std::string name = (fs::temp_directory_path() / "capf-phone-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~Scratch() { fs::remove_all(path); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  fs::path path;
};

std::string contents(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

PendingRequest request_for(std::int64_t operation) {
  const auto key = PrivateKey::generate({KeyKind::Type::kEc, 256});
  return {operation, key->pem(), key->public_key(), *key->certification_request("SEP001122334455")};
}

// Made by openssl: tests/data/phone/README.md.
std::string data(const std::string& name) { return contents(fs::path(CAPF_TEST_DATA) / "phone" / name); }

}  // namespace

TEST_CASE("a pending request is read as it was written") {
  const PendingRequest pending = request_for(4711);
  const auto read = decode(encode(pending).text());
  REQUIRE(read);
  CHECK(read->operation_id == 4711);
  CHECK(read->request == pending.request);
  CHECK(read->public_key == pending.public_key);
  CHECK(read->key_pem.text() == pending.key_pem.text());
}

TEST_CASE("a damaged pending request is none") {
  const PendingRequest pending = request_for(1);
  const std::string text(encode(pending).text());
  CHECK_FALSE(decode(""));
  CHECK_FALSE(decode(text.substr(0, text.size() / 2)));
  CHECK_FALSE(decode("operation -1\n" + text.substr(text.find('\n') + 1)));
  CHECK_FALSE(decode("operation 1x\n" + text.substr(text.find('\n') + 1)));
  CHECK_FALSE(decode("order 1\n" + text.substr(text.find('\n') + 1)));
  PendingRequest crossed = request_for(1);
  crossed.request = pending.request;
  CHECK_FALSE(decode(encode(crossed).text()));
}

TEST_CASE("what a phone keeps is for its owner alone, and gone when it is removed") {
  const Scratch scratch;
  const auto folder = Folder::open(scratch.path / "phones", true);
  REQUIRE(folder);
  REQUIRE(folder->keep("SEP1", request_for(1)));
  REQUIRE(folder->install("SEP1", data("lsc.pem"), Secret(std::string_view(data("lsc.key")))));
  for (const char* name : {"SEP1.pem", "SEP1.key", "SEP1.pending"}) {
    CHECK(fs::status(scratch.path / "phones" / name).permissions() == (fs::perms::owner_read | fs::perms::owner_write));
  }
  CHECK(fs::status(scratch.path / "phones").permissions() == fs::perms::owner_all);
  const auto installed = folder->installed("SEP1");
  REQUIRE(installed);
  REQUIRE(*installed);
  CHECK((*installed)->certificates.size() == 2);
  REQUIRE(folder->remove("SEP1"));
  CHECK(fs::is_empty(scratch.path / "phones"));
  CHECK_FALSE(*folder->installed("SEP1"));
  CHECK_FALSE(*folder->pending("SEP1"));
}

TEST_CASE("a phone's key is never written into a file that is there already") {
  const Scratch scratch;
  const auto folder = Folder::open(scratch.path, false);
  REQUIRE(folder);
  const fs::path temporary = scratch.path / "SEP1.pending.new";
  std::ofstream(temporary) << "of somebody else";
  fs::permissions(temporary, fs::perms::owner_all | fs::perms::group_all | fs::perms::others_all);
  fs::create_hard_link(temporary, scratch.path / "other name");
  REQUIRE(folder->keep("SEP1", request_for(1)));
  CHECK(contents(scratch.path / "other name") == "of somebody else");
  CHECK(fs::status(scratch.path / "SEP1.pending").permissions() == (fs::perms::owner_read | fs::perms::owner_write));
  CHECK_FALSE(fs::exists(temporary));
}

TEST_CASE("a phone keeps no certificates that it could not read again") {
  const Scratch scratch;
  const auto folder = Folder::open(scratch.path, false);
  REQUIRE(folder);
  REQUIRE(folder->install("SEP1", data("lsc.pem"), Secret(std::string_view(data("lsc.key")))));
  std::string many;
  while (many.size() <= 131072) many += data("lsc.pem");
  const Status installed = folder->install("SEP1", many, Secret(std::string_view(data("lsc.key"))));
  REQUIRE_FALSE(installed);
  CHECK(installed.error().reason == Reason::kInvalidCertificate);
  CHECK(*folder->installed("SEP1"));
}

TEST_CASE("a power cut between certificate and key is mended from the pending request") {
  const Scratch scratch;
  const auto folder = Folder::open(scratch.path, false);
  REQUIRE(folder);
  const std::string key = data("lsc.key");
  const auto parsed = PrivateKey::parse(key);
  REQUIRE(parsed);
  // An older key is still there, the certificate is new already.
  REQUIRE(folder->install("SEP1", data("lsc.pem"), PrivateKey::generate({KeyKind::Type::kEc, 256})->pem()));
  CHECK_FALSE(folder->installed("SEP1"));
  REQUIRE(folder->keep(
      "SEP1", {7, Secret(std::string_view(key)), parsed->public_key(), *parsed->certification_request("SEP1")}));
  const auto installed = folder->installed("SEP1");
  REQUIRE(installed);
  REQUIRE(*installed);
  CHECK(PrivateKey::parse((*installed)->key_pem.text())->public_key() == parsed->public_key());
  CHECK(PrivateKey::parse(contents(scratch.path / "SEP1.key"))->public_key() == parsed->public_key());
}

TEST_CASE("a key that others can read is not used") {
  const Scratch scratch;
  const auto folder = Folder::open(scratch.path, false);
  REQUIRE(folder->install("SEP1", data("lsc.pem"), Secret(std::string_view(data("lsc.key")))));
  fs::permissions(scratch.path / "SEP1.key", fs::perms::owner_read | fs::perms::others_read);
  const auto installed = folder->installed("SEP1");
  REQUIRE_FALSE(installed);
  CHECK(installed.error().reason == Reason::kSecretExposed);
}

TEST_CASE("a device name never leads out of the folder") {
  CHECK(is_device_name("SEP001122334455"));
  CHECK(is_device_name("A.b_c-D"));
  for (const char* name : {"", ".", "..", "../SEP1", "/SEP1", "SEP1/", "-SEP1", "SEP1-", "SEP 1", "SÉP1"}) {
    CAPTURE(name);
    CHECK_FALSE(is_device_name(name));
  }
  CHECK_FALSE(is_device_name(std::string_view("SEP1\0x", 6)));
  CHECK_FALSE(is_device_name(std::string(51, 'A')));
}

TEST_CASE("a certificate and the key of another one do not belong together") {
  CHECK(client::check_pair(data("lsc.pem"), data("lsc.key")).has_value());
  const auto other = client::check_pair(data("lsc.pem"), data("rsa.key"));
  REQUIRE_FALSE(other);
  CHECK(other.error().reason == Reason::kInvalidCertificate);
  CHECK(other.error().message == "the certificate and the key do not belong together");
  CHECK_FALSE(client::check_pair("", data("lsc.key")));
  CHECK_FALSE(client::check_pair(data("lsc.pem"), ""));
}

TEST_CASE("the serial number, end and key of a certificate are openssl's") {
  const auto certificates = client::parse_certificates(data("lsc.pem"));
  REQUIRE(certificates);
  const auto facts = client::read_certificate(certificates->front());
  REQUIRE(facts);
  CHECK(facts->serial == "4f000102030405060708090a0b0c0d0e");
  CHECK(to_rfc3339(facts->not_after) == "2049-12-31T23:59:59Z");
  CHECK(facts->public_key == PrivateKey::parse(data("lsc.key"))->public_key());
  CHECK_FALSE(facts->needs_legacy);
  CHECK(client::read_issued((*certificates)[0], (*certificates)[1]));
  CHECK_FALSE(client::read_issued((*certificates)[1], (*certificates)[0]));
}

TEST_CASE("a manufacturer's old certificate is recognised") {
  const auto certificates = client::parse_certificates(data("mic_sha1.pem"));
  REQUIRE(certificates);
  CHECK(client::read_certificate(certificates->front())->needs_legacy);
}

TEST_CASE("PEM that is cut short is refused, text without PEM holds nothing") {
  CHECK_FALSE(client::parse_certificates(data("lsc.pem").substr(0, 200)));
  CHECK(client::parse_certificates("hello\n")->empty());
  CHECK_FALSE(PrivateKey::parse("hello\n"));
  CHECK_FALSE(client::read_certificate(as_bytes("hello")));
}

TEST_CASE("what says that it is encrypted is refused, and nobody is asked on the terminal") {
  static bool asked = false;
  UI_METHOD* const terminal = UI_create_method("a terminal");
  UI_method_set_opener(terminal, [](UI*) {
    asked = true;
    return 0;
  });
  UI_set_default_method(terminal);
  const auto encrypted = [](const std::string& label) {
    return "-----BEGIN " + label +
           "-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\n\n" +
           "MDAwMDAwMDAwMDAwMDAwMA==\n-----END " + label + "-----\n";
  };
  CHECK_FALSE(client::parse_certificates(encrypted("CERTIFICATE")));
  CHECK_FALSE(client::parse_request(encrypted("CERTIFICATE REQUEST")));
  CHECK_FALSE(PrivateKey::parse(encrypted("PRIVATE KEY")));
  CHECK_FALSE(client::is_signature(encrypted("PUBLIC KEY"), {}, {}));
  CHECK_FALSE(asked);
  UI_set_default_method(nullptr);
  UI_destroy_method(terminal);
}

TEST_CASE("keys are of the type and size that the operation asks for") {
  v1::KeyPolicy policy;
  policy.set_order(v1::KEY_ORDER_RSA);
  CHECK(wanted_key(policy) == KeyKind{KeyKind::Type::kRsa, 2048});
  policy.set_rsa_bits(3072);
  CHECK(wanted_key(policy) == KeyKind{KeyKind::Type::kRsa, 3072});
  policy.set_order(v1::KEY_ORDER_EC_RSA);
  CHECK(wanted_key(policy) == KeyKind{KeyKind::Type::kEc, 384});
  policy.set_ec_bits(521);
  CHECK(wanted_key(policy) == KeyKind{KeyKind::Type::kEc, 521});
  CHECK_FALSE(PrivateKey::generate({KeyKind::Type::kRsa, 512}));
  CHECK_FALSE(PrivateKey::generate({KeyKind::Type::kEc, 224}));
}

TEST_CASE("test keys are all different, and each signs its request") {
  TestKeys keys;
  std::vector<Bytes> seen;
  for (int i = 0; i < 7; ++i) {
    const auto key = keys.make({KeyKind::Type::kRsa, 1024});
    REQUIRE(key);
    const auto request = key->certification_request("SEP1");
    REQUIRE(request);
    CHECK(*client::public_key_of_request(*request) == key->public_key());
    CHECK(std::find(seen.begin(), seen.end(), key->public_key()) == seen.end());
    seen.push_back(key->public_key());
  }
}

TEST_CASE("names of many phones count in hexadecimal") {
  CHECK(*device_at("SEP001A00000000", 0) == "SEP001A00000000");
  CHECK(*device_at("SEP001A00000000", 1) == "SEP001A00000001");
  CHECK(*device_at("SEP001A00000000", 255) == "SEP001A000000FF");
  CHECK(*device_at("LOAD-0", 15) == "LOAD-F");
  CHECK_FALSE(device_at("LOAD-0", 16));
  CHECK_FALSE(device_at("PHONE-X", 1));
  CHECK_FALSE(device_at("../0", 1));
  CHECK_FALSE(device_at("", 1));
}

TEST_CASE("authentication strings are read from the table of a schedule") {
  std::istringstream lines(
      "DEVICE  STRING    KIND     AUTH\n"
      "SEP1    12345678  install  string\n"
      "SEP2    -         install  string\n"
      "\n"
      "SEP3    0000\n");
  const auto strings = parse_strings(lines);
  CHECK(strings.size() == 2);
  CHECK(strings.at("SEP1").text() == "12345678");
  CHECK(strings.at("SEP3").text() == "0000");
}

TEST_CASE("percentiles are nearest ranks") {
  CHECK(percentile({}, 50) == 0);
  CHECK(percentile({7}, 99) == 7);
  const std::vector<double> ten{1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  CHECK(percentile(ten, 50) == 5);
  CHECK(percentile(ten, 90) == 9);
  CHECK(percentile(ten, 91) == 10);
  CHECK(percentile(ten, 99) == 10);
  CHECK(percentile(ten, 100) == 10);
  CHECK(percentile(ten, 0) == 1);
}

TEST_CASE("a tally counts outcomes, and times those that were done") {
  Tally tally;
  using Seconds = std::chrono::duration<double>;
  tally.add("done", Seconds(0.5));
  tally.add("done", Seconds(1.5));
  tally.add("AUTHENTICATION_FAILED", Seconds(9));
  CHECK(tally.total() == 3);
  CHECK(tally.count("done") == 2);
  CHECK(tally.words(Seconds(4), Seconds(0.25)) ==
        "phones=3 done=2 seconds=4.000 rate=0.5/s cpu=0.250\n"
        "latency p50=0.500 p90=1.500 p99=1.500 p99.9=1.500 max=1.500 seconds\n"
        "outcome AUTHENTICATION_FAILED 1\n"
        "outcome done 2\n");
}

TEST_CASE("options that contradict each other are wrong usage") {
  const auto code = [](const std::vector<std::string>& words) { return parse_options(words).exit_code; };
  CHECK(code({}) == 2);
  CHECK(code({"SEP1", "--count", "2"}) == 2);
  CHECK(code({"SEP1", "--certificate", "a.pem"}) == 2);
  CHECK(code({"SEP1", "--discard"}) == 2);
  CHECK(code({"--count", "0"}) == 2);
  CHECK(code({"SEP1", "--speak"}) == 2);
  const auto parsed = parse_options({"SEP1", "--string", "-", "--dir", "phones"});
  REQUIRE(parsed.options);
  CHECK(parsed.options->device == "SEP1");
  CHECK(parsed.options->auth_string == "-");
  CHECK(parse_options({"SEP1", "--site", "/site"}).options->state == "/site");
  CHECK_THAT(parse_options({"SEP1", "--strng=1234"}).error, Catch::Contains("did you mean '--string'?"));
  const auto manual = parse_options({"--describe", "man"});
  CHECK(manual.exit_code == 0);
  CHECK_THAT(manual.out, Catch::StartsWith(".TH \"CAPF\\-PHONE\" 1 ") && Catch::Contains("\\-\\-wire\\-version"));
}
