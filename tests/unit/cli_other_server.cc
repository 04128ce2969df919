#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <botan/system_rng.h>
#include <catch2/catch.hpp>
#include <sqlite3.h>

#include "capf/ca/certificate.h"
#include "capf/cli/moving.h"
#include "capf/cli/other_server.h"
#include "tests/support/folder.h"
#include "tests/support/pki.h"

using namespace capf;
using namespace capf::cli;
using namespace capf::test;

namespace {

const std::string kTable =
    "create table devices (device_name text primary key, operation text, authentication text, password text, "
    "key_size integer, curve_name text, certificate text, serial_number text, not_valid_before text, "
    "not_valid_after text)";

/// A file as the other server has it.
struct Other {
  Folder folder;
  std::string path = (folder.path() / "capf.sqlite3").string();

  explicit Other(const std::string& table = kTable) { sql(table); }
  void sql(const std::string& text) const {
    sqlite3* database = nullptr;
    REQUIRE(sqlite3_open(path.c_str(), &database) == SQLITE_OK);
    char* words = nullptr;
    const int code = sqlite3_exec(database, text.c_str(), nullptr, nullptr, &words);
    INFO((words == nullptr ? "" : words));
    CHECK(code == SQLITE_OK);
    sqlite3_free(words);
    sqlite3_close(database);
  }
  void add(const std::string& device, const std::string& rest = "'none', 'none', '', 0, '', ''") const {
    sql("insert into devices (device_name, operation, authentication, password, key_size, curve_name, certificate) "
        "values ('" +
        device + "', " + rest + ")");
  }
  std::string fault() const {
    const auto server = OtherServer::open(path);
    if (server) return "none";
    CHECK(server.error().reason == Reason::kInvalidRequest);
    return server.error().message;
  }
  std::vector<OtherPhone> rows() const {
    auto server = OtherServer::open(path);
    REQUIRE(server);
    std::vector<OtherPhone> rows;
    REQUIRE(server->read([&](OtherPhone phone) -> Status {
      rows.push_back(std::move(phone));
      return {};
    }));
    return rows;
  }
};

OtherPhone phone(const std::string& operation, const std::string& authentication = "lsc") {
  OtherPhone made{.row = 1};
  made.device = "SEP001122334455";
  made.operation = operation;
  made.authentication = authentication;
  return made;
}

/// The server of a move: it has a problem with devices that are in `problems`, and operations of those in `known`.
struct Trial {
  std::set<std::string> problems{};
  std::set<std::string> known{};
  std::vector<v1::MovePhonesRequest> checks{};
  std::vector<v1::MovePhonesRequest> moves{};
  std::vector<std::string> told{};

  Result<v1::MovePhonesResponse> answer(const v1::MovePhonesRequest& request) {
    (request.dry_run() ? checks : moves).push_back(request);
    v1::MovePhonesResponse response;
    for (int i = 0; i < request.phones_size(); ++i) {
      const v1::MovedPhone& each = request.phones(i);
      if (problems.contains(each.device())) {
        auto& problem = *response.add_problems();
        problem.set_place(i);
        problem.set_reason("DEVICE_NAME_REFUSED");
        problem.set_message("words");
        continue;
      }
      response.set_added(response.added() + 1);
      if (!each.certificate().empty()) response.set_certificates(response.certificates() + 1);
      if (each.has_operation() && !known.contains(each.device())) response.add_scheduled(each.device());
    }
    return response;
  }
  Mover mover(OtherServer& other) {
    return {other,
            {"issuer"},
            parse_rfc3339("2030-12-31T23:59:59Z").value(),
            {[this](const v1::MovePhonesRequest& request) { return answer(request); },
             [this](const MovingProblem& problem) {
               told.push_back(std::to_string(problem.row) + ' ' + problem.device + ' ' + problem.words);
             },
             [](std::int64_t) {}}};
  }
};

const char* const kByString = "'install', 'password', '12345', 2048, '', ''";

}  // namespace

TEST_CASE("rows are read as they are, and their passwords are not") {
  const Other other;
  other.add("SEP001122334455", "'install', 'password', '12345', 2048, 'secp384r1', 'PEM'");
  other.add("it''s", "null, null, null, null, null, null");
  const auto rows = other.rows();
  REQUIRE(rows.size() == 2);
  CHECK(rows[0].device == "SEP001122334455");
  CHECK((rows[0].operation == "install" && rows[0].authentication == "password"));
  CHECK((rows[0].key_size == 2048 && rows[0].curve == "secp384r1" && rows[0].certificate == "PEM"));
  CHECK(rows[1].device == "it's");
  CHECK((rows[1].operation.empty() && rows[1].certificate.empty() && rows[1].key_size == 0));
  const auto moved = moved_phone(rows[1]);
  REQUIRE_FALSE(moved);
  CHECK(moved.error().reason == Reason::kInvalidDeviceName);
}

TEST_CASE("the file is never written, and is read as of one moment") {
  const Other other;
  other.add("SEP000000000001");
  const auto before = std::filesystem::last_write_time(other.path);
  auto server = OtherServer::open(other.path);
  REQUIRE(server);
  int rows = 0;
  const auto count = [&](const OtherPhone&) -> Status {
    ++rows;
    return {};
  };
  REQUIRE(server->read(count));
  CHECK(std::filesystem::last_write_time(other.path) == before);
  CHECK(rows == 1);
  REQUIRE(server->read(count));
  CHECK(rows == 2);
  // An error of the reader ends it.
  const auto stopped = server->read([](const OtherPhone&) -> Status { return fail(Reason::kServerNotReached); });
  REQUIRE_FALSE(stopped);
  CHECK(stopped.error().reason == Reason::kServerNotReached);
}

TEST_CASE("what is no database of that server is refused in words") {
  const auto says = [](const Other& other, const char* words) {
    const std::string fault = other.fault();
    INFO(fault);
    CHECK(fault.find(words) != std::string::npos);
  };
  says(Other("create table phones (name text)"), "has no table devices");
  says(Other("create table devices (device_name text, operation text)"),
       "has no authentication, certificate, curve_name");
  says(Other("create view devices as select 1 as device_name"), "has no table devices");
  Other text;
  std::ofstream(text.path, std::ios::trunc) << "device,operation\nSEP1,install\n";
  says(text, "is no SQLite database");
  Other folder;
  folder.path = folder.folder.path().string();
  says(folder, "cannot be read");
  Other missing;
  missing.path += ".missing";
  says(missing, "cannot be read");
  Other cut;
  for (int i = 0; i < 300; ++i)
    cut.add("SEP" + std::to_string(i), "'none', 'none', '" + std::string(400, 'x') + "', 0, '', ''");
  std::filesystem::resize_file(cut.path, 12'288);
  auto server = OtherServer::open(cut.path);
  CHECK((!server || !server->read([](const OtherPhone&) -> Status { return {}; })));
  Other large;
  std::filesystem::resize_file(large.path, kLargestOtherDatabase + 1);  // without taking the room
  says(large, "larger than 1 GiB");
}

TEST_CASE("a value that is too large ends the reading, and is not kept") {
  const Other other;
  other.sql("insert into devices (device_name, certificate) values ('SEP1', zeroblob(10000000))");
  auto server = OtherServer::open(other.path);
  REQUIRE(server);
  CHECK_FALSE(server->read([](const OtherPhone&) -> Status { return {}; }));
}

TEST_CASE("operations, ways to authenticate and keys are known by the words of the other server") {
  const auto kind = [](const std::string& word) {
    const auto moved = moved_phone(phone(word));
    return moved ? v1::OperationKind_Name(moved->operation().kind()) + (moved->has_operation() ? "" : " -") : "refused";
  };
  for (const char* none : {"", "none", "NONE", "no_pending_operation"}) {
    CHECK(kind(none) == "OPERATION_KIND_UNSPECIFIED -");
  }
  for (const char* install : {"install", "Upgrade", "install/upgrade"})
    CHECK(kind(install) == "OPERATION_KIND_INSTALL");
  CHECK(kind("delete") == "OPERATION_KIND_DELETE");
  for (const char* fetch : {"fetch", "troubleshoot"}) CHECK(kind(fetch) == "OPERATION_KIND_TROUBLESHOOT");
  CHECK(kind("reboot") == "refused");

  const auto auth = [](const std::string& word) {
    const auto moved = moved_phone(phone("install", word));
    return moved ? v1::AuthMode_Name(moved->operation().auth()) : "refused";
  };
  for (const char* word : {"password", "string", "1"}) CHECK(auth(word) == "AUTH_MODE_STRING");
  for (const char* word : {"none", "null", "2"}) CHECK(auth(word) == "AUTH_MODE_NULL");
  for (const char* word : {"lsc", "LSC", "3"}) CHECK(auth(word) == "AUTH_MODE_LSC");
  for (const char* word : {"mic", "4"}) CHECK(auth(word) == "AUTH_MODE_MIC");
  CHECK(auth("whatever") == "refused");

  const auto key = [](std::int64_t bits, const std::string& curve) {
    OtherPhone made = phone("install");
    made.key_size = bits;
    made.curve = curve;
    const auto moved = moved_phone(made);
    if (!moved) return std::string("refused");
    const auto& its = moved->operation().key();
    return v1::KeyOrder_Name(its.order()) + ' ' + std::to_string(its.rsa_bits()) + ' ' + std::to_string(its.ec_bits());
  };
  CHECK(key(2048, "") == "KEY_ORDER_RSA 2048 0");
  CHECK(key(0, "secp256r1") == "KEY_ORDER_EC 0 256");
  CHECK(key(4096, "P-521") == "KEY_ORDER_EC_RSA 4096 521");
  CHECK(key(512, "") == "KEY_ORDER_UNSPECIFIED 0 0");
  CHECK(key(0, "") == "KEY_ORDER_UNSPECIFIED 0 0");
  CHECK(key(0, "brainpoolP256r1") == "refused");
}

TEST_CASE("certificates come as PEM or DER, and no larger than any may be") {
  const Manufacturer issuer("Other");
  const Bytes der = issuer.mic(PhoneKey(), "SEP001122334455");
  OtherPhone made = phone("none");
  made.certificate = ca::to_pem(der);
  CHECK(moved_phone(made)->certificate() == std::string(as_text(der)));
  made.certificate = std::string(as_text(der));
  CHECK(moved_phone(made)->certificate() == std::string(as_text(der)));
  made.certificate = "-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----\n";
  CHECK_FALSE(moved_phone(made));
  made.certificate = std::string(20'000, 'x');
  CHECK_FALSE(moved_phone(made));
}

TEST_CASE("a move tells every problem first, and leaves such rows out") {
  const Other other;
  other.add("SEP000000000001", kByString);
  other.add("bad name");
  other.add("SEP000000000003", "'reboot', 'lsc', '', 0, '', ''");
  other.add("SEP000000000004");
  other.add("SEP000000000005", kByString);
  auto server = OtherServer::open(other.path);
  REQUIRE(server);
  Trial trial{.problems = {"SEP000000000004"}, .known = {"SEP000000000005"}};
  Mover mover = trial.mover(*server);
  const auto found = mover.check();
  REQUIRE(found);
  CHECK(found->rows == 5);
  CHECK(found->problems == 3);
  CHECK(found->scheduled == 1);
  REQUIRE(trial.told.size() == 3);
  CHECK(trial.told[0].find("2  INVALID_DEVICE_NAME") == 0);
  CHECK(trial.told[1].find("3 ") == 0);
  CHECK(trial.told[2] == "4 SEP000000000004 DEVICE_NAME_REFUSED: words");
  CHECK(trial.moves.empty());
  CHECK(mover.by_string() == std::set<std::string>{"SEP000000000001"});

  MovingResult done;
  REQUIRE(mover.move(nullptr, Botan::system_rng(), done));
  REQUIRE(trial.moves.size() == 1);
  const auto& request = trial.moves.front();
  REQUIRE(request.phones_size() == 2);
  CHECK_FALSE(request.dry_run());
  // A new string of 8 digits; the operation of a phone that has one here is not sent.
  REQUIRE(mover.shown().size() == 1);
  CHECK(request.phones(0).operation().auth_string() == mover.shown().front().digits.text());
  CHECK(request.phones(0).operation().auth_string().size() == 8);
  CHECK(request.phones(0).operation().auth_string() != "12345");
  CHECK_FALSE(request.phones(1).has_operation());
}

TEST_CASE("strings are on disk before they are sent, and an interrupted move goes on with them") {
  const Other other;
  for (int i = 0; i < 600; ++i) other.add("SEP" + std::to_string(100'000'000'000 + i), kByString);
  const std::string path = (other.folder.path() / "strings.csv").string();
  std::map<std::string, std::string> sent;
  for (const bool first : {true, false}) {
    auto server = OtherServer::open(other.path);
    REQUIRE(server);
    Trial trial;
    Mover mover = trial.mover(*server);
    REQUIRE(mover.check());
    CHECK(mover.by_string().size() == 600);
    auto file = StringsFile::open(path, "site import-capfd FILE", Botan::system_rng());
    REQUIRE(file);
    MovingResult done;
    REQUIRE(mover.move(&*file, Botan::system_rng(), done));
    CHECK(trial.moves.size() == 2);  // 500 and 100
    CHECK(mover.shown().empty());
    CHECK(file->strings().size() == 600);
    for (const auto& request : trial.moves) {
      for (const auto& each : request.phones()) {
        const std::string& digits = each.operation().auth_string();
        CHECK(digits == file->find(each.device())->digits.text());
        if (first) sent[each.device()] = digits;
        CHECK(sent[each.device()] == digits);
      }
    }
  }
}

TEST_CASE("a device that is there twice is a problem of the second row") {
  const Other other(
      "create table devices (device_name text, operation text, authentication text, password text, "
      "key_size integer, curve_name text, certificate text)");
  other.add("SEP000000000001");
  other.add("SEP000000000001");
  auto server = OtherServer::open(other.path);
  REQUIRE(server);
  Trial trial;
  Mover mover = trial.mover(*server);
  const auto found = mover.check();
  REQUIRE(found);
  CHECK(found->problems == 1);
  CHECK(trial.told.front().find("is there twice") != std::string::npos);
}
