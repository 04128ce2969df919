#include "capf/cli/other_server.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <string_view>

#include <sqlite3.h>

#include "capf/base/handle.h"
#include "capf/client/key.h"
#include "capf/client/text.h"
#include "capf/domain/device.h"

namespace capf::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMagic("SQLite format 3\0", 16);
constexpr int kLongestValue = 256 * 1024;
constexpr int kStepsAtOnce = 1'000'000;
constexpr int kMostSteps = 5'000;  // times kStepsAtOnce: a minute or two
constexpr std::size_t kLargestCertificate = 16384;

using Query = std::unique_ptr<sqlite3_stmt, Freed<sqlite3_finalize>>;

/// Ends a statement that takes too long.
int count_steps(void* steps) { return ++*static_cast<int*>(steps) > kMostSteps ? 1 : 0; }

Status check_file(const std::string& path) {
  std::error_code error;
  const bool regular = fs::is_regular_file(path, error);
  std::array<char, kMagic.size()> head{};
  std::ifstream file(path, std::ios::binary);
  if (!regular || !file) return fail(Reason::kInvalidRequest, path + " cannot be read");
  const auto size = fs::file_size(path, error);
  if (error || size > kLargestOtherDatabase) {
    return fail(Reason::kInvalidRequest, path + " is larger than 1 GiB, which no server of phones is");
  }
  file.read(head.data(), head.size());
  if (file.gcount() != static_cast<std::streamsize>(head.size()) ||
      std::string_view(head.data(), head.size()) != kMagic) {
    return fail(Reason::kInvalidRequest, path + " is no SQLite database: name the file of that server's devices");
  }
  return {};
}

std::string text_of(sqlite3_stmt* query, int column) {
  const void* octets = sqlite3_column_blob(query, column);
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(query, column));
  return octets == nullptr ? std::string() : std::string(static_cast<const char*>(octets), size);
}

/// "No_Pending-Operation" is "no pending operation".
std::string plain(std::string_view word) {
  std::string text(word);
  for (char& c : text) {
    if (c == '_' || c == '-') c = ' ';
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text;
}

/// A value of a foreign file in a message: short, and without controls.
std::string in_quotes(std::string_view text) { return '"' + client::printable(std::string(text.substr(0, 40))) + '"'; }

template <class Value>
Result<Value> find_word(const std::map<std::string, Value>& words, const std::string& text, const char* what) {
  const auto found = words.find(plain(text));
  if (found != words.end()) return found->second;
  return fail(Reason::kInvalidRequest, std::string("its ") + what + ' ' + in_quotes(text) + " is not known here");
}

Result<v1::OperationKind> kind_from(const std::string& text) {
  static const std::map<std::string, v1::OperationKind> words{{"", v1::OPERATION_KIND_UNSPECIFIED},
                                                              {"none", v1::OPERATION_KIND_UNSPECIFIED},
                                                              {"no operation", v1::OPERATION_KIND_UNSPECIFIED},
                                                              {"no pending operation", v1::OPERATION_KIND_UNSPECIFIED},
                                                              {"install", v1::OPERATION_KIND_INSTALL},
                                                              {"upgrade", v1::OPERATION_KIND_INSTALL},
                                                              {"install/upgrade", v1::OPERATION_KIND_INSTALL},
                                                              {"delete", v1::OPERATION_KIND_DELETE},
                                                              {"fetch", v1::OPERATION_KIND_TROUBLESHOOT},
                                                              {"troubleshoot", v1::OPERATION_KIND_TROUBLESHOOT}};
  return find_word(words, text, "operation");
}

/// Words, and the numbers of the CAPF protocol.
Result<v1::AuthMode> auth_from(const std::string& text) {
  static const std::map<std::string, v1::AuthMode> words{{"password", v1::AUTH_MODE_STRING},
                                                         {"string", v1::AUTH_MODE_STRING},
                                                         {"authentication string", v1::AUTH_MODE_STRING},
                                                         {"1", v1::AUTH_MODE_STRING},
                                                         {"none", v1::AUTH_MODE_NULL},
                                                         {"null", v1::AUTH_MODE_NULL},
                                                         {"null string", v1::AUTH_MODE_NULL},
                                                         {"no password", v1::AUTH_MODE_NULL},
                                                         {"2", v1::AUTH_MODE_NULL},
                                                         {"lsc", v1::AUTH_MODE_LSC},
                                                         {"existing lsc", v1::AUTH_MODE_LSC},
                                                         {"3", v1::AUTH_MODE_LSC},
                                                         {"mic", v1::AUTH_MODE_MIC},
                                                         {"existing mic", v1::AUTH_MODE_MIC},
                                                         {"4", v1::AUTH_MODE_MIC}};
  return find_word(words, text, "authentication");
}

Result<int> curve_from(const std::string& text) {
  static const std::map<std::string, int> words{
      {"", 0},           {"none", 0},        {"secp256r1", 256}, {"prime256v1", 256},
      {"p 256", 256},    {"nistp256", 256},  {"secp384r1", 384}, {"p 384", 384},
      {"nistp384", 384}, {"secp521r1", 521}, {"p 521", 521},     {"nistp521", 521}};
  return find_word(words, text, "curve");
}

/// The key that was asked for. RSA below 2048 bits is not asked for again: what is in effect of the phone counts.
Status set_key(const OtherPhone& phone, v1::KeyPolicy& key) {
  CAPF_LET(const int curve, curve_from(phone.curve));
  const bool rsa = phone.key_size == 2048 || phone.key_size == 3072 || phone.key_size == 4096;
  if (rsa) key.set_rsa_bits(static_cast<std::int32_t>(phone.key_size));
  if (curve != 0) key.set_ec_bits(curve);
  if (rsa && curve != 0) key.set_order(v1::KEY_ORDER_EC_RSA);
  if (rsa && curve == 0) key.set_order(v1::KEY_ORDER_RSA);
  if (!rsa && curve != 0) key.set_order(v1::KEY_ORDER_EC);
  return {};
}

Result<std::string> der_of(const std::string& certificate) {
  if (certificate.empty()) return std::string();
  if (certificate.find("-----BEGIN") == std::string::npos) {
    if (certificate.size() <= kLargestCertificate) return certificate;
    return fail(Reason::kInvalidCertificate, "its certificate is larger than 16 KiB");
  }
  const auto parsed = client::parse_certificates(certificate);
  if (!parsed || parsed->empty() || parsed->front().size() > kLargestCertificate) {
    return fail(Reason::kInvalidCertificate, "its certificate cannot be read");
  }
  return std::string(as_text(parsed->front()));
}

}  // namespace

void OtherServer::Close::operator()(sqlite3* database) const { sqlite3_close_v2(database); }

tl::unexpected<Error> OtherServer::refuse() const {
  const int code = sqlite3_errcode(database_.get());
  std::string words = path_ + ": " + client::printable(sqlite3_errmsg(database_.get()));
  if (code == SQLITE_BUSY || code == SQLITE_LOCKED || code == SQLITE_CANTOPEN || code == SQLITE_READONLY) {
    words += "; a copy of it can be read: sqlite3 " + path_ + " '.backup copy.sqlite3'";
  }
  if (code == SQLITE_INTERRUPT) words += ": it takes too long, as no table of phones does";
  return fail(Reason::kInvalidRequest, std::move(words));
}

Result<OtherServer> OtherServer::open(const std::string& path) {
  CAPF_TRY(check_file(path));
  sqlite3* database = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &database, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, nullptr);
  OtherServer server(path, database);
  if (code != SQLITE_OK) return server.refuse();
  CAPF_TRY(server.prepare());
  CAPF_TRY(server.check_table());
  return server;
}

Status OtherServer::prepare() {
  sqlite3* const database = database_.get();
  for (const int off : {SQLITE_DBCONFIG_ENABLE_TRIGGER, SQLITE_DBCONFIG_ENABLE_VIEW, SQLITE_DBCONFIG_TRUSTED_SCHEMA,
                        SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, SQLITE_DBCONFIG_DQS_DML, SQLITE_DBCONFIG_DQS_DDL}) {
    if (sqlite3_db_config(database, off, 0, nullptr) != SQLITE_OK) return refuse();
  }
  if (sqlite3_db_config(database, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr) != SQLITE_OK) return refuse();
  sqlite3_limit(database, SQLITE_LIMIT_LENGTH, kLongestValue);
  sqlite3_limit(database, SQLITE_LIMIT_SQL_LENGTH, 65536);
  sqlite3_limit(database, SQLITE_LIMIT_COLUMN, 100);
  sqlite3_limit(database, SQLITE_LIMIT_ATTACHED, 0);
  sqlite3_limit(database, SQLITE_LIMIT_TRIGGER_DEPTH, 1);
  sqlite3_drop_modules(database, nullptr);  // a forged schema could name one
  sqlite3_busy_timeout(database, 5000);
  sqlite3_progress_handler(database, kStepsAtOnce, count_steps, steps_.get());
  CAPF_TRY(execute("pragma query_only = on"));
  CAPF_TRY(execute("pragma cell_size_check = on"));
  return execute("begin");
}

Status OtherServer::execute(const char* sql) {
  return sqlite3_exec(database_.get(), sql, nullptr, nullptr, nullptr) == SQLITE_OK ? Status() : refuse();
}

/// A table of the file's own, and no view or table of a module, with the columns that are read.
Status OtherServer::check_table() {
  sqlite3_stmt* made = nullptr;
  if (sqlite3_prepare_v2(
          database_.get(),
          "select count(*) from sqlite_schema where name = 'devices' and type = 'table' and rootpage > 0", -1, &made,
          nullptr) != SQLITE_OK) {
    return refuse();
  }
  const Query table(made);
  if (sqlite3_step(table.get()) != SQLITE_ROW) return refuse();
  if (sqlite3_column_int(table.get(), 0) == 0) {
    return fail(Reason::kInvalidRequest, path_ + " has no table devices: it is not that server's database");
  }
  if (sqlite3_prepare_v2(database_.get(), "pragma table_info(devices)", -1, &made, nullptr) != SQLITE_OK) {
    return refuse();
  }
  const Query columns(made);
  std::set<std::string> missing{"device_name", "operation", "authentication", "key_size", "curve_name", "certificate"};
  while (sqlite3_step(columns.get()) == SQLITE_ROW) missing.erase(text_of(columns.get(), 1));
  if (missing.empty()) return {};
  std::string names;
  for (const std::string& name : missing) names += (names.empty() ? "" : ", ") + name;
  return fail(Reason::kInvalidRequest,
              path_ + ": its table devices has no " + names + ": it is of another version, or of another program");
}

Status OtherServer::read(const std::function<Status(OtherPhone)>& each) {
  *steps_ = 0;
  sqlite3_stmt* made = nullptr;
  if (sqlite3_prepare_v2(
          database_.get(),
          "select device_name, operation, authentication, key_size, curve_name, certificate from devices", -1, &made,
          nullptr) != SQLITE_OK) {
    return refuse();
  }
  const Query query(made);
  std::size_t row = 0;
  int code = sqlite3_step(query.get());
  for (; code == SQLITE_ROW; code = sqlite3_step(query.get())) {
    if (++row > kMostOtherPhones) return fail(Reason::kInvalidRequest, path_ + " has more than 1,000,000 phones");
    OtherPhone phone{.row = row};
    phone.device = text_of(query.get(), 0);
    phone.operation = text_of(query.get(), 1);
    phone.authentication = text_of(query.get(), 2);
    phone.key_size = sqlite3_column_int64(query.get(), 3);
    phone.curve = text_of(query.get(), 4);
    phone.certificate = text_of(query.get(), 5);
    CAPF_TRY(each(std::move(phone)));
  }
  return code == SQLITE_DONE ? Status() : refuse();
}

Result<v1::MovedPhone> moved_phone(const OtherPhone& phone) {
  v1::MovedPhone moved;
  const auto device = DeviceName::parse(phone.device);
  if (!device) return fail(device.error().reason, in_quotes(phone.device) + ": " + device.error().message);
  moved.set_device(device->text());
  CAPF_LET(*moved.mutable_certificate(), der_of(phone.certificate));
  CAPF_LET(const v1::OperationKind kind, kind_from(phone.operation));
  if (kind == v1::OPERATION_KIND_UNSPECIFIED) return moved;
  CAPF_LET(const v1::AuthMode auth, auth_from(phone.authentication));
  moved.mutable_operation()->set_kind(kind);
  moved.mutable_operation()->set_auth(auth);
  CAPF_TRY(set_key(phone, *moved.mutable_operation()->mutable_key()));
  return moved;
}

}  // namespace capf::cli
