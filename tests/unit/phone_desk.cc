#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <catch2/catch.hpp>
#include <unistd.h>

#include "capf/ca/confirmation.h"
#include "capf/ca/proof.h"
#include "capf/phone/confirmation.h"
#include "capf/phone/desk.h"
#include "capf/phone/line.h"
#include "capf/phone/options.h"
#include "capf/phone/proof.h"

using namespace capf;
using namespace capf::phone;
using client::KeyKind;
using client::PrivateKey;
using wire::Command;
using wire::Message;
namespace fs = std::filesystem;

namespace {

constexpr std::uint32_t kSession = 0xC0FFEE42;
const std::string kDevice = "SEP001122334455";

// Made by openssl: tests/data/phone/README.md and tests/data/wire/README.md.
std::string data(const std::string& name) {
  std::ifstream file(fs::path(CAPF_TEST_DATA) / name);
  return {std::istreambuf_iterator<char>(file), {}};
}

Bytes first_certificate(const std::string& name) { return client::parse_certificates(data(name)).value().at(0); }

/// Gives the one key whose certificate a test has.
class OneKey final : public KeySource {
 public:
  Result<PrivateKey> make(KeyKind kind) override {
    asked = kind;
    if (fails) return fail(Reason::kKeyGenerationFailed);
    return PrivateKey::parse(data("phone/lsc.key"));
  }
  std::string_view remark() const override { return {}; }

  std::optional<KeyKind> asked;
  bool fails = false;
};

/// A phone with a folder of its own, and its last message.
struct Table {
  Table() {
    std::string name = (fs::temp_directory_path() / "capf-desk-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path = name;
    folder.emplace(Folder::open(path, false).value());
    phone.device = kDevice;
  }
  ~Table() { fs::remove_all(path); }
  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;

  DeskPhone& begin(std::uint8_t version = wire::kVersion3) {
    desk.emplace(phone, version, true, *folder, keys);
    return *desk;
  }
  static Message say(Command command) {
    Message message;
    message.command = command;
    message.session_id = kSession;
    return message;
  }
  Result<Message> hear(const Message& message) {
    CAPF_LET(answer, desk->answer(message));
    return std::get<Message>(wire::read_message(std::get<wire::Frame>(wire::take_frame(answer))));
  }
  Message hear(Command command) { return hear(say(command)).value(); }
  Result<Done> end(std::uint8_t reason) {
    Message message = say(Command::kEndSession);
    message.reason = reason;
    return desk->end(message);
  }
  Message key_request() {
    Message message = say(Command::kKeyGenerateRequest);
    message.key_type = wire::kKeyEc;
    message.curve = std::uint8_t{1};
    return message;
  }
  Message store_request() {
    lsc = first_certificate("phone/lsc.pem");
    Message message = say(Command::kStoreRequest);
    message.certificate = wire::CertificateElement{wire::kTypeLsc, lsc};
    return message;
  }

  fs::path path;
  std::optional<Folder> folder;
  Phone phone;
  OneKey keys;
  std::optional<DeskPhone> desk;
  Bytes answer;
  Bytes lsc;
};

/// Verifies the proof as a server does.
Result<ca::ProvenCertificates> verify(const Proof& proof, const Bytes& certificate) {
  ca::ProofClaim claim{certificate, proof.sha1_signature, proof.sha512_signature, ca::ProofHash::kSha512, {}};
  if (proof.sudi) {
    claim.sudi = ca::ProofClaim::Sudi{certificate, proof.sudi->sha1_signature, proof.sudi->sha512_signature};
  }
  return ca::verify_proof(claim, DeviceName::parse(kDevice).value(), kSession);
}

}  // namespace

TEST_CASE("an RSA proof holds before the server's checks, and is fresh with the session's id alone") {
  const auto key = PrivateKey::parse(data("phone/rsa.key"));
  REQUIRE(key);
  const Bytes certificate = first_certificate("phone/rsa.pem");
  const auto fresh = verify(prove(*key, certificate, kDevice, kSession).value(), certificate);
  REQUIRE(fresh);
  CHECK(fresh->fresh);
  const auto old = verify(prove(*key, certificate, kDevice, std::nullopt).value(), certificate);
  REQUIRE(old);
  CHECK_FALSE(old->fresh);
  CHECK_FALSE(verify(prove(*key, certificate, kDevice, kSession + 1).value(), certificate));
  CHECK_FALSE(verify(prove(*key, certificate, "SEP001122334456", kSession).value(), certificate));
}

TEST_CASE("an EC proof holds before the server's checks, and signs no session id") {
  const auto key = PrivateKey::parse(data("phone/lsc.key"));
  REQUIRE(key);
  REQUIRE_FALSE(key->is_rsa());
  const Bytes certificate = first_certificate("phone/lsc.pem");
  const auto proof = prove(*key, certificate, kDevice, kSession);
  REQUIRE(proof);
  CHECK_FALSE(proof->sudi);
  CHECK(verify(*proof, certificate));
}

TEST_CASE("a phone with a string says its name, its version and the string") {
  Table table;
  table.phone.auth_string.emplace(std::string_view("12345678"));
  for (const std::uint8_t version : {wire::kVersion2, wire::kVersion3}) {
    table.begin(version);
    const Message auth = table.hear(Command::kAuthRequest);
    CHECK(auth.command == Command::kAuthResponse);
    CHECK(auth.session_id == kSession);
    CHECK(auth.version == version);
    CHECK(auth.device == kDevice);
    CHECK(auth.password == "12345678");
    CHECK_FALSE(auth.certificate);
  }
}

TEST_CASE("an installed certificate is in the folder before the phone says that it stored it") {
  Table table;
  table.begin();
  CHECK(table.hear(Command::kAuthRequest).password == "");
  CHECK(table.hear(table.key_request())->public_key);
  CHECK(table.keys.asked == KeyKind{KeyKind::Type::kEc, 384});
  CHECK(table.hear(table.store_request())->reason == wire::kReasonUpdated);
  const auto installed = table.folder->installed(kDevice);
  REQUIRE(installed);
  REQUIRE(*installed);
  CHECK((*installed)->certificates.front() == table.lsc);
  const auto done = table.end(wire::kReasonUpdated);
  REQUIRE(done);
  CHECK(done->line.find(kDevice + " install succeeded serial=4f00") == 0);

  // The next session proves it.
  table.begin();
  const Message auth = table.hear(Command::kAuthRequest);
  REQUIRE(auth.certificate);
  CHECK(auth.certificate->type == wire::kTypeLsc);
  CHECK(auth.signed_data);
  CHECK(auth.sha2_signed_data->hash == wire::kHashSha512);
}

TEST_CASE("a certificate for another key is not stored") {
  Table table;
  table.begin();
  table.hear(Command::kAuthRequest);
  REQUIRE(table.hear(table.key_request()));
  Message store = table.store_request();
  const Bytes other = first_certificate("phone/rsa.pem");
  store.certificate->der = other;
  CHECK(table.hear(store)->reason == wire::kReasonInvalidElement);
  CHECK(fs::is_empty(table.path));
  CHECK(table.end(wire::kReasonInvalidElement).error().reason == Reason::kInvalidCertificate);
}

TEST_CASE("a phone that prefers its LSC proves that, and its MIC beside it in this very session") {
  Table table;
  const auto mic = first_certificate("phone/rsa.pem");
  table.phone.server.certificate_pem = data("phone/rsa.pem");
  table.phone.server.key_pem = Secret(std::string_view(data("phone/rsa.key")));
  table.phone.prefer_lsc = true;
  table.begin();
  const Message without = table.hear(Command::kAuthRequest);
  REQUIRE(without.certificate);
  CHECK(without.certificate->type == wire::kTypeMic);
  REQUIRE(without.sudi);

  REQUIRE(table.folder->install(kDevice, data("phone/lsc.pem"), Secret(std::string_view(data("phone/lsc.key")))));
  table.begin();
  const Bytes answer = table.desk->answer(Table::say(Command::kAuthRequest)).value();
  const auto read = wire::read_message(std::get<wire::Frame>(wire::take_frame(answer)));
  const Message& both = std::get<Message>(read);
  REQUIRE(both.certificate);
  REQUIRE(both.sudi);
  CHECK(both.certificate->type == wire::kTypeLsc);
  const ca::ProofClaim claim{
      both.certificate->der, *both.signed_data, both.sha2_signed_data->signature, ca::ProofHash::kSha512,
      ca::ProofClaim::Sudi{both.sudi->certificate, both.sudi->sha1_signature, both.sudi->sha512_signature}};
  const auto proven = ca::verify_proof(claim, DeviceName::parse(kDevice).value(), kSession);
  REQUIRE(proven);
  CHECK(proven->certificate == first_certificate("phone/lsc.pem"));
  CHECK(proven->sudi == mic);
}

TEST_CASE("a phone of version 3 or 2 makes the RSA key that it is asked for") {
  Table table;
  table.begin();
  table.hear(Command::kAuthRequest);
  Message request = Table::say(Command::kKeyGenerateRequest);
  request.key_size = std::uint16_t{3072};
  REQUIRE(table.hear(request));
  CHECK(table.keys.asked == KeyKind{KeyKind::Type::kRsa, 3072});
  request.key_type = wire::kKeyRsa;
  REQUIRE(table.hear(request));
  CHECK(table.keys.asked == KeyKind{KeyKind::Type::kRsa, 3072});
}

TEST_CASE("a phone that cannot make its key says so with a reason alone") {
  Table table;
  table.keys.fails = true;
  table.begin();
  table.hear(Command::kAuthRequest);
  const auto response = table.hear(table.key_request());
  REQUIRE(response);
  CHECK(response->reason == wire::kReasonInvalidElement);
  CHECK_FALSE(response->public_key);
  CHECK(table.end(wire::kReasonInvalidElement).error().reason == Reason::kKeyGenerationFailed);
}

TEST_CASE("a phone deletes its files, and hands over what it has") {
  Table table;
  REQUIRE(table.folder->install(kDevice, data("phone/lsc.pem"), Secret(std::string_view(data("phone/lsc.key")))));
  table.begin();
  table.hear(Command::kAuthRequest);
  const Message fetched = table.hear(Command::kFetchRequest);
  REQUIRE(fetched.certificate);
  CHECK(fetched.reason == wire::kReasonUpdated);
  CHECK(table.end(wire::kReasonNoAction)->line == kDevice + " troubleshoot succeeded certificates=1");

  table.begin();
  table.hear(Command::kAuthRequest);
  CHECK(table.hear(Command::kDeleteRequest).reason == wire::kReasonUpdated);
  CHECK(fs::is_empty(table.path));
  CHECK(table.end(wire::kReasonUpdated)->line == kDevice + " delete succeeded");

  table.begin();
  table.hear(Command::kAuthRequest);
  CHECK(table.hear(Command::kFetchRequest).reason == wire::kReasonInvalidElement);
  CHECK(table.end(wire::kReasonInvalidElement).error().reason == Reason::kInvalidCertificate);
}

TEST_CASE("the reasons of end session have words") {
  Table table;
  table.begin();
  table.hear(Command::kAuthRequest);
  CHECK(table.end(wire::kReasonNoAction).error().reason == Reason::kNoPendingOperation);
  CHECK(table.end(wire::kReasonInvalidElement).error().reason == Reason::kAuthenticationFailed);
  CHECK(table.end(wire::kReasonUnknownDevice).error().reason == Reason::kUnknownDevice);
  CHECK(table.end(77).error().message == "the server ended the session with reason 77");
  REQUIRE(table.hear(table.key_request()));
  CHECK(table.end(wire::kReasonInvalidElement).error().reason == Reason::kOperationEnded);
}

TEST_CASE("what was stored before the session broke counts when nothing is pending any more") {
  Table table;
  DeskPhone& desk = table.begin();
  table.hear(Command::kAuthRequest);
  REQUIRE(table.hear(table.key_request()));
  REQUIRE(table.hear(table.store_request()));
  desk.restart();
  table.hear(Command::kAuthRequest);
  CHECK(table.end(wire::kReasonNoAction));
}

TEST_CASE("a server that speaks out of turn is not answered") {
  Table table;
  table.begin();
  CHECK_FALSE(table.hear(Table::say(Command::kDeleteRequest)));
  table.hear(Command::kAuthRequest);
  CHECK_FALSE(table.hear(Table::say(Command::kAuthRequest)));
  CHECK_FALSE(table.hear(table.store_request()));
  CHECK_FALSE(table.hear(Table::say(Command::kStoreResponse)));
  Message other = table.key_request();
  other.session_id = kSession + 1;
  CHECK_FALSE(table.hear(other));
}

TEST_CASE("how a phone behaves on the wire needs --wire") {
  const auto code = [](const std::vector<std::string>& words) { return parse_options(words).exit_code; };
  CHECK(code({"SEP1", "--tls-1.0"}) == 2);
  CHECK(code({"SEP1", "--key-delay", "3"}) == 2);
  CHECK(code({"SEP1", "--wire", "--prefer-lsc"}) == 2);
  CHECK(code({"SEP1", "--wire", "--drop-after", "lunch"}) == 2);
  CHECK(code({"--count", "2", "--addresses", "2"}) == 2);
  CHECK(code({"--count", "2", "--addresses", "0", "--wire"}) == 2);
  CHECK(code({"SEP1", "--wire", "--wire-version", "4"}) == 2);
  const auto parsed =
      parse_options({"SEP1", "--wire", "--tls-1.0", "--drop-after", "in-progress", "--wire-version", "2"});
  REQUIRE(parsed.options);
  CHECK(parsed.options->tls_1_0);
  CHECK(message_names().at(parsed.options->drop_after) == Command::kRequestInProgress);
}

TEST_CASE("a phone confirms with its new key what it has stored, and signs only nonces of 32 octets") {
  const DeviceName device = DeviceName::parse(kDevice).value();
  ca::ConfirmationNonce nonce{};
  nonce.back() = 7;
  for (const std::string name : {"phone/rsa", "phone/lsc"}) {
    CAPTURE(name);
    const Bytes certificate = first_certificate(name + ".pem");
    const auto key = PrivateKey::parse(data(name + ".key"));
    REQUIRE(key);
    const auto signature = confirm_stored(*key, kDevice, certificate, nonce);
    REQUIRE(signature);
    CHECK(ca::verify_confirmation(certificate, device, nonce, *signature));
    CHECK_FALSE(ca::verify_confirmation(certificate, device, {}, *signature));
    for (const std::size_t size : {0, 31, 33, 64}) {
      CHECK(confirm_stored(*key, kDevice, certificate, Bytes(size)).error().reason == Reason::kInvalidRequest);
    }
  }
}
