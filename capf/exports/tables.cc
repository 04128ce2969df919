#include "capf/exports/formats.h"

namespace capf::exports {
namespace {

/// Of the columns `username`, `domain` and `key_name`, with either server.
constexpr std::size_t kCharacters = 64;

// The transaction leaves nothing half done, whoever reads it; a database that is not PostgreSQL stops at the setting.
// The rows of phones are all of them, so those that were there before are replaced.
constexpr std::string_view kKamailioBegin =
    R"(-- Written by capfctl. psql -v ON_ERROR_STOP=1 -f FILE
BEGIN;
SET LOCAL standard_conforming_strings = on;
SET LOCAL client_encoding = 'UTF8';
DELETE FROM htable WHERE split_part(key_name, '::', 2) IN ('capf_mode', 'capf_lsc');
)";
constexpr std::string_view kOpensipsBegin =
    R"(-- Written by capfctl. psql -v ON_ERROR_STOP=1 -f FILE
BEGIN;
SET LOCAL standard_conforming_strings = on;
SET LOCAL client_encoding = 'UTF8';
DELETE FROM usr_preferences WHERE attribute IN ('capf_mode', 'capf_lsc');
)";
constexpr std::string_view kSqlEnd = "COMMIT;\n";

/// Each fact of a phone, by its name and in text without quotes.
void for_each_fact(const User& user, void (*write)(const Device&, std::string_view, std::string_view, Text&),
                   Text& out) {
  for (const Device& device : user.devices) {
    write(device, "capf_mode", to_string(device.mode), out);
    if (device.lsc) write(device, "capf_lsc", to_hex(*device.lsc), out);
  }
}

// A password in the clear is empty, and so is the hash for phones that say user@domain as their name, which nobody can
// make of HA1.

Status write_kamailio_sql(const User& user, Text& out) {
  CAPF_LET(const std::string name, sql_literal(kName, user.name, kCharacters));
  CAPF_LET(const std::string realm, sql_literal(kRealm, user.realm, kCharacters));
  out << "INSERT INTO subscriber (username, domain, password, ha1, ha1b) VALUES (" << name << ", " << realm << ", '', '"
      << user.ha1.md5.text()
      << "', '') ON CONFLICT (username, domain) DO UPDATE SET password = '', ha1 = excluded.ha1, ha1b = '';\n";
  for_each_fact(
      user,
      [](const Device& device, std::string_view fact, std::string_view value, Text& text) {
        text << "INSERT INTO htable (key_name, key_value) VALUES ('" << device.name.text() << "::" << fact << "', '"
             << value << "');\n";
      },
      out);
  return {};
}

Status write_kamailio_csv(const User& user, Text& out) {
  CAPF_LET(const std::string name, csv_cell(kName, user.name, kCharacters));
  CAPF_LET(const std::string realm, csv_cell(kRealm, user.realm, kCharacters));
  out << name << ',' << realm << ",\"\",\"" << user.ha1.md5.text() << "\",\"\"\n";
  return {};
}

Status write_kamailio_htable(const User& user, Text& out) {
  for_each_fact(
      user,
      [](const Device& device, std::string_view fact, std::string_view value, Text& text) {
        text << '"' << device.name.text() << "::" << fact << "\",\"" << value << "\"\n";
      },
      out);
  return {};
}

Status write_opensips_sql(const User& user, Text& out) {
  CAPF_LET(const std::string name, sql_literal(kName, user.name, kCharacters));
  CAPF_LET(const std::string realm, sql_literal(kRealm, user.realm, kCharacters));
  out << "INSERT INTO subscriber (username, domain, password, ha1, ha1_sha256, ha1_sha512t256) VALUES (" << name << ", "
      << realm << ", '', '" << user.ha1.md5.text() << "', '" << user.ha1.sha256.text() << "', '"
      << user.ha1.sha512_256.text()
      << "') ON CONFLICT (username, domain) DO UPDATE SET password = '', ha1 = excluded.ha1, "
         "ha1_sha256 = excluded.ha1_sha256, ha1_sha512t256 = excluded.ha1_sha512t256;\n";
  for_each_fact(
      user,
      [](const Device& device, std::string_view fact, std::string_view value, Text& text) {
        text << "INSERT INTO usr_preferences (uuid, username, attribute, type, value) VALUES ('" << device.name.text()
             << "', '" << device.name.text() << "', '" << fact << "', 0, '" << value << "');\n";
      },
      out);
  return {};
}

Status write_opensips_csv(const User& user, Text& out) {
  CAPF_LET(const std::string name, csv_cell(kName, user.name, kCharacters));
  CAPF_LET(const std::string realm, csv_cell(kRealm, user.realm, kCharacters));
  out << name << ',' << realm << ",\"\",\"" << user.ha1.md5.text() << "\",\"" << user.ha1.sha256.text() << "\",\""
      << user.ha1.sha512_256.text() << "\"\n";
  return {};
}

Status write_opensips_preferences(const User& user, Text& out) {
  for_each_fact(
      user,
      [](const Device& device, std::string_view fact, std::string_view value, Text& text) {
        text << '"' << device.name.text() << "\",\"" << device.name.text() << "\",\"" << fact << "\",\"0\",\"" << value
             << "\"\n";
      },
      out);
  return {};
}

}  // namespace

Dialect kamailio_sql() { return {"kamailio-sql", kKamailioBegin, write_kamailio_sql, kSqlEnd}; }
Dialect kamailio_csv() { return {"kamailio-csv", "username,domain,password,ha1,ha1b\n", write_kamailio_csv}; }
Dialect kamailio_htable_csv() { return {"kamailio-htable-csv", "key_name,key_value\n", write_kamailio_htable}; }
Dialect opensips_sql() { return {"opensips-sql", kOpensipsBegin, write_opensips_sql, kSqlEnd}; }
Dialect opensips_csv() {
  return {"opensips-csv", "username,domain,password,ha1,ha1_sha256,ha1_sha512t256\n", write_opensips_csv};
}
Dialect opensips_preferences_csv() {
  return {"opensips-preferences-csv", "uuid,username,attribute,type,value\n", write_opensips_preferences};
}

}  // namespace capf::exports
