#include "tests/support/exports.h"

#include <algorithm>
#include <cstring>
#include <set>
#include <sstream>
#include <stdexcept>

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

namespace capf::test {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;
using exports::Format;
using exports::User;

[[noreturn]] void wrong(const std::string& what) { throw std::runtime_error(what); }

/// ast_strip().
std::string strip(std::string text) {
  const auto visible = [](char c) { return static_cast<unsigned char>(c) > 32; };
  text.erase(text.begin(), std::find_if(text.begin(), text.end(), visible));
  text.erase(std::find_if(text.rbegin(), text.rend(), visible).base(), text.end());
  return text;
}

std::string without_comment(const std::string& line) {
  std::string out;
  for (const char c : line) {
    if (c != ';') {
      out += c;
    } else if (!out.empty() && out.back() == '\\') {
      out.back() = ';';
    } else {
      break;  // ";--" would begin a comment of many lines, but no line of ours has one
    }
  }
  return out;
}

void read_section(const std::string& line, std::vector<Section>& sections) {
  const auto end = line.find(']');
  if (end == std::string::npos) wrong("no closing ]");
  const std::string rest = line.substr(end + 1);
  Section section{line.substr(1, end - 1), "", {}};
  if (section.name.size() > 79) wrong("a name that is cut");
  if (!rest.empty()) {
    if (rest.front() != '(' || rest.find(')') != rest.size() - 1) wrong("text behind a section");
    section.options = rest.substr(1, rest.size() - 2);
  }
  sections.push_back(section);
}

// FreeSWITCH

bool has_word(std::string line, const char* word) {
  std::transform(line.begin(), line.end(), line.begin(), [](unsigned char c) { return std::tolower(c); });
  return line.find(word) != std::string::npos;
}

std::string preprocessed(const std::string& text) {
  std::string out;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    if (line.size() > 2046) wrong("a line that is cut");
    if (line.find("$${") != std::string::npos) wrong("a variable");
    if (has_word(line, "x-pre-process") || line.find("<?") != std::string::npos ||
        line.find("<!--#") != std::string::npos) {
      wrong("a command");
    }
    if (line.find("<include>") == std::string::npos && line.find("</include>") == std::string::npos) out += line + '\n';
  }
  return out;
}

void append_point(std::string& out, unsigned long point) {
  if (point == 0 || point > 0x7f) wrong("a reference that ASCII does not need");
  out += static_cast<char>(point);
}

std::string decoded(const std::string& value) {
  std::string out;
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (value[i] == '<' || static_cast<unsigned char>(value[i]) < 0x20) wrong("a character that no attribute has");
    if (value[i] != '&') {
      out += value[i];
      continue;
    }
    const auto end = value.find(';', i);
    if (end == std::string::npos || value[i + 1] != '#') wrong("a reference");
    append_point(out, std::stoul(value.substr(i + 2, end - i - 2)));
    i = end;
  }
  return out;
}

class XmlReader {
 public:
  explicit XmlReader(std::string text) : text_(std::move(text)) {}

  std::vector<Element> read() {
    while (skip_to_tag()) {
      if (take("<!--")) {
        at_ = text_.find("-->", at_);
        if (at_ == std::string::npos) wrong("a comment without its end");
        at_ += 3;
      } else if (take("</")) {
        const std::string name = until(">");
        if (open_.empty() || open_.back() != name) wrong("another end");
        open_.pop_back();
      } else {
        read_element();
      }
    }
    if (!open_.empty()) wrong("an element without its end");
    return elements_;
  }

 private:
  bool skip_to_tag() {
    const auto next = text_.find('<', at_);
    const std::string between = text_.substr(at_, next == std::string::npos ? next : next - at_);
    if (!strip(between).empty()) wrong("text between elements");
    at_ = next;
    return next != std::string::npos;
  }
  bool take(const std::string& word) {
    if (text_.compare(at_, word.size(), word) != 0) return false;
    at_ += word.size();
    return true;
  }
  std::string until(const std::string& characters) {
    const auto end = text_.find_first_of(characters, at_);
    if (end == std::string::npos) wrong("no end");
    const std::string part = text_.substr(at_, end - at_);
    at_ = end + 1;
    return part;
  }
  void read_element() {
    ++at_;
    const auto end = text_.find_first_of(" >", at_);
    Element element{text_.substr(at_, end - at_), {}};
    at_ = end;
    while (take(" ")) {
      const std::string name = until("=");
      if (!take("\"")) wrong("no quote");
      element.attributes.emplace_back(name, decoded(until("\"")));
    }
    if (!take("/>")) {
      if (!take(">")) wrong("no end of a tag");
      open_.push_back(element.name);
    }
    elements_.push_back(element);
  }

  std::string text_;
  std::size_t at_ = 0;
  std::vector<std::string> open_;
  std::vector<Element> elements_;
};

// The two tables

std::string value_of(const Pairs& pairs, const std::string& name) {
  std::string found = "(none)";
  for (const auto& [key, value] : pairs) {
    if (key != name) continue;
    if (found == "(none)") {
      found = value;
    } else {
      found.append("|").append(value);
    }
  }
  return found;
}

std::string hex(const Sha256& digest) { return to_hex(digest); }

/// The facts of a phone that all formats tell: its name, and then mode and LSC.
using Facts = std::vector<std::vector<std::string>>;

Facts meant_facts(const std::vector<User>& users) {
  Facts facts;
  for (const User& user : users) {
    for (const exports::Device& device : user.devices) {
      facts.push_back({device.name.text(), "capf_mode", std::string(to_string(device.mode))});
      if (device.lsc) facts.push_back({device.name.text(), "capf_lsc", hex(*device.lsc)});
    }
  }
  return facts;
}

std::vector<std::string> hashes(const Ha1& ha1) {
  return {std::string(ha1.md5.text()), std::string(ha1.sha256.text()), std::string(ha1.sha512_256.text())};
}

template <class T>
void same(const T& read, const T& meant, const std::string& what) {
  if (read != meant) wrong(what);
}

// One check a format: what was read is what was meant.

const Section& next_section(const std::vector<Section>& sections, std::size_t& at) {
  if (at >= sections.size()) wrong("a section is missing");
  return sections[at++];
}

std::string digests_of(Format format, const Section& section) {
  if (format == Format::kAsteriskPjsip) return value_of(section.values, "md5_cred");
  return value_of(section.values, "password_digest");
}

std::string meant_digests(Format format, const Ha1& ha1) {
  const auto all = hashes(ha1);
  if (format == Format::kAsteriskPjsip) return all[0];
  return "MD5:" + all[0] + "|SHA-256:" + all[1] + "|SHA-512-256:" + all[2];
}

void check_pjsip(Format format, const std::vector<User>& users, const std::string& text) {
  const auto sections = read_asterisk(text);
  std::size_t at = 0;
  for (const std::string mode : {"nonsecure", "authenticated", "encrypted"}) {
    const Section& section = next_section(sections, at);
    same(section.name, "capf-" + mode, "the name of a template");
    same(section.options, std::string("!"), "a template");
    same(value_of(section.values, "media_encryption"), std::string(mode == "encrypted" ? "sdes" : "no"), "media");
    same(value_of(section.values, "transport"), std::string(mode == "nonsecure" ? "(none)" : "transport-tls"),
         "transport");
  }
  for (const User& user : users) {
    const Section& section = next_section(sections, at);
    same(section.name, user.name + "-auth", "the name of a section");
    same(section.options, std::string(), "the options of a section");
    same(section.values.size(), std::size_t(format == Format::kAsteriskPjsip ? 5 : 7), "the number of values");
    same(value_of(section.values, "type"), std::string("auth"), "type");
    same(value_of(section.values, "username"), user.name, "username");
    same(value_of(section.values, "realm"), user.realm, "realm");
    same(digests_of(format, section), meant_digests(format, user.ha1), "digests");
    for (const exports::Device& device : user.devices) {
      const Section& phone = next_section(sections, at);
      same(phone.name, device.name.text(), "the name of a phone");
      same(phone.options, "!,capf-" + std::string(to_string(device.mode)), "the template of a phone");
      same(value_of(phone.values, "auth"), user.name + "-auth", "auth");
      const std::string name = "CAPF_DEVICE=" + device.name.text();
      same(value_of(phone.values, "set_var"), device.lsc ? name + "|CAPF_LSC_SHA256=" + hex(*device.lsc) : name,
           "set_var");
    }
  }
  same(at, sections.size(), "the number of sections");
}

std::string meant_transport(const std::vector<exports::Device>& devices) {
  std::set<DeviceMode> modes;
  for (const exports::Device& device : devices) modes.insert(device.mode);
  if (modes.empty()) return "(none)";
  if (modes.count(DeviceMode::kNonsecure) == 0) return "tls";
  return modes.size() == 1 ? "tcp,udp" : "tls,tcp,udp";
}

std::string meant_encryption(const std::vector<exports::Device>& devices) {
  if (devices.empty()) return "(none)";
  for (const exports::Device& device : devices) {
    if (device.mode != DeviceMode::kEncrypted) return "no";
  }
  return "yes";
}

void check_chan_sip(const std::vector<User>& users, const std::string& text) {
  const auto sections = read_asterisk(text);
  same(sections.size(), users.size(), "the number of peers");
  for (std::size_t i = 0; i < users.size(); ++i) {
    const User& user = users[i];
    const Pairs& values = sections[i].values;
    same(sections[i].name, user.name, "the name of a peer");
    same(value_of(values, "md5secret"), hashes(user.ha1)[0], "md5secret");
    same(value_of(values, "transport"), meant_transport(user.devices), "transport");
    same(value_of(values, "encryption"), meant_encryption(user.devices), "encryption");
    std::string variables;
    for (const auto& fact : meant_facts({user})) {
      variables += (variables.empty() ? "" : "|") + std::string(fact[1] == "capf_mode" ? "CAPF_MODE_" : "CAPF_LSC_") +
                   fact[0] + '=' + fact[2];
    }
    same(value_of(values, "setvar"), variables.empty() ? "(none)" : variables, "setvar");
  }
}

Pairs meant_variables(const User& user) {
  Pairs meant{{"capf_realm", user.realm}};
  std::size_t encrypted = 0;
  for (const exports::Device& device : user.devices) encrypted += device.mode == DeviceMode::kEncrypted ? 1 : 0;
  if (encrypted > 0) {
    meant.emplace_back("rtp_secure_media", encrypted == user.devices.size() ? "mandatory" : "optional");
  }
  for (const auto& fact : meant_facts({user})) meant.emplace_back(fact[1] + '_' + fact[0], fact[2]);
  return meant;
}

void check_freeswitch(const std::vector<User>& users, const std::string& text) {
  std::vector<Element> meant;
  for (const User& user : users) {
    meant.push_back({"user", {{"id", user.name}}});
    meant.push_back({"params", {}});
    meant.push_back({"param", {{"name", "a1-hash"}, {"value", hashes(user.ha1)[0]}}});
    meant.push_back({"variables", {}});
    for (const auto& [name, value] : meant_variables(user)) {
      meant.push_back({"variable", {{"name", name}, {"value", value}}});
    }
  }
  const auto read = read_freeswitch(text);
  same(read.size(), meant.size(), "the number of elements");
  for (std::size_t i = 0; i < read.size(); ++i) {
    same(read[i].name, meant[i].name, "an element");
    same(read[i].attributes, meant[i].attributes, "the attributes of " + read[i].name);
  }
}

std::vector<std::string> subscriber(Format format, const User& user) {
  const auto all = hashes(user.ha1);
  if (format == Format::kKamailioSql || format == Format::kKamailioCsv) return {user.name, user.realm, "", all[0], ""};
  return {user.name, user.realm, "", all[0], all[1], all[2]};
}

std::vector<std::string> row_of_fact(Format format, const std::vector<std::string>& fact) {
  if (format == Format::kKamailioSql || format == Format::kKamailioHtableCsv)
    return {fact[0] + "::" + fact[1], fact[2]};
  std::vector<std::string> row{fact[0], fact[0], fact[1], fact[2]};
  if (format == Format::kOpensipsPreferencesCsv) row.insert(row.begin() + 3, "0");
  return row;
}

void check_sql(Format format, const std::vector<User>& users, const std::string& text) {
  const auto statements = read_sql(text);
  if (statements.size() < 5 || statements.front().text != "BEGIN" || statements.back().text != "COMMIT") {
    wrong("no transaction");
  }
  same(statements[1].text, std::string("SET LOCAL standard_conforming_strings = on"), "the setting");
  same(statements[3].text.substr(0, 7), std::string("DELETE "), "the rows before");
  std::size_t at = 4;
  for (const User& user : users) {
    same(statements.at(at).text.substr(0, 23), std::string("INSERT INTO subscriber "), "a statement");
    std::vector<std::string> literals = statements.at(at++).literals;
    const auto meant = subscriber(format, user);
    literals.resize(meant.size());  // the rest is of ON CONFLICT
    same(literals, meant, "a subscriber");
    for (const auto& fact : meant_facts({user}))
      same(statements.at(at++).literals, row_of_fact(format, fact), "a phone");
  }
  same(at + 1, statements.size(), "the number of statements");
}

void check_csv(Format format, const std::vector<User>& users, const std::string& text) {
  const bool of_phones = format == Format::kKamailioHtableCsv || format == Format::kOpensipsPreferencesCsv;
  const auto rows = read_csv(text);
  std::vector<std::vector<std::string>> meant{rows.at(0)};
  for (const User& user : users) {
    if (!of_phones) meant.push_back(subscriber(format, user));
  }
  if (of_phones) {
    for (const auto& fact : meant_facts(users)) meant.push_back(row_of_fact(format, fact));
  }
  same(rows, meant, "the rows");
  for (const auto& row : rows) same(row.size(), rows[0].size(), "the columns");
}

void check_json(const std::vector<User>& users, const std::string& text) {
  std::istringstream in(text);
  std::size_t at = 0;
  for (std::string line; std::getline(in, line); ++at) {
    google::protobuf::Struct object;
    if (!google::protobuf::util::JsonStringToMessage(line, &object).ok()) wrong("no JSON");
    const User& user = users.at(at);
    const auto& fields = object.fields();
    same(fields.at("user").string_value(), user.name, "user");
    same(fields.at("realm").string_value(), user.realm, "realm");
    const std::vector<std::string> read{fields.at("ha1_md5").string_value(), fields.at("ha1_sha256").string_value(),
                                        fields.at("ha1_sha512_256").string_value()};
    same(read, hashes(user.ha1), "HA1");
    Facts facts;
    for (const auto& value : fields.at("devices").list_value().values()) {
      const auto& device = value.struct_value().fields();
      const std::string& name = device.at("device").string_value();
      facts.push_back({name, "capf_mode", device.at("mode").string_value()});
      if (!device.at("lsc_sha256").has_null_value()) {
        facts.push_back({name, "capf_lsc", device.at("lsc_sha256").string_value()});
      }
    }
    same(facts, meant_facts({user}), "phones");
  }
  same(at, users.size(), "the number of lines");
}

void check(Format format, const std::vector<User>& users, const std::string& text) {
  switch (format) {
    case Format::kAsteriskPjsip:
    case Format::kAsteriskPjsipDigests: return check_pjsip(format, users, text);
    case Format::kAsteriskChanSip: return check_chan_sip(users, text);
    case Format::kFreeswitch: return check_freeswitch(users, text);
    case Format::kKamailioSql:
    case Format::kOpensipsSql: return check_sql(format, users, text);
    case Format::kKamailioCsv:
    case Format::kKamailioHtableCsv:
    case Format::kOpensipsCsv:
    case Format::kOpensipsPreferencesCsv: return check_csv(format, users, text);
    case Format::kJson: return check_json(users, text);
  }
}

}  // namespace

std::vector<Section> read_asterisk(const std::string& text) {
  std::vector<Section> sections;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    if (line.size() > 8190) wrong("a line that is skipped");
    if (line.find('\0') != std::string::npos) wrong("a NUL");
    const std::string rest = strip(without_comment(line));
    if (rest.empty()) continue;
    if (rest.front() == '#' || rest.front() == '\\') wrong("a command");
    if (rest.front() == '[') {
      read_section(rest, sections);
      continue;
    }
    const auto equal = rest.find('=');
    if (equal == std::string::npos || equal == 0 || rest[equal - 1] == '+') wrong("no value");
    if (rest.compare(equal, 2, "=>") == 0) wrong("an object");
    if (sections.empty()) wrong("a value outside sections");
    sections.back().values.emplace_back(strip(rest.substr(0, equal)), strip(rest.substr(equal + 1)));
  }
  return sections;
}

std::vector<Element> read_freeswitch(const std::string& text) { return XmlReader(preprocessed(text)).read(); }

std::vector<Statement> read_sql(const std::string& text) {
  std::vector<Statement> statements;
  Statement statement;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\0' || text[i] == '\\' || text[i] == ':' || text[i] == '$' || text[i] == '"') wrong("no plain SQL");
    if (text.compare(i, 2, "--") == 0) {
      i = text.find('\n', i);
    } else if (text[i] == ';') {
      statement.text = strip(statement.text);
      statements.push_back(std::exchange(statement, {}));
    } else if (text[i] == '\'') {
      std::string literal;
      for (++i; text.at(i) != '\'' || (i + 1 < text.size() && text[i + 1] == '\''); ++i) {
        if (text[i] == '\0') wrong("a NUL");
        if (text[i] == '\'') ++i;
        literal += text[i];
      }
      statement.literals.push_back(literal);
      statement.text += '?';
    } else {
      statement.text += text[i];
    }
  }
  if (!strip(statement.text).empty()) wrong("a statement without its end");
  return statements;
}

std::vector<std::vector<std::string>> read_csv(const std::string& text) {
  std::vector<std::vector<std::string>> rows;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    if (line == "\\." || line.find('\0') != std::string::npos || line.find('\r') != std::string::npos) wrong("a line");
    std::vector<std::string> row(1);
    bool quoted = false;
    for (std::size_t i = 0; i < line.size(); ++i) {
      if (line[i] == '"' && quoted && i + 1 < line.size() && line[i + 1] == '"') {
        row.back() += line[++i];
      } else if (line[i] == '"') {
        quoted = !quoted;
      } else if (line[i] == ',' && !quoted) {
        row.emplace_back();
      } else {
        row.back() += line[i];
      }
    }
    if (quoted) wrong("a cell of several lines");
    rows.push_back(row);
  }
  return rows;
}

std::string fault_of(Format format, const std::vector<User>& users) {
  std::string text(exports::begin_of(format));
  std::vector<User> written;
  for (const User& user : users) {
    const auto lines = exports::write_user(format, user);
    if (!lines) {
      if (lines.error().message.find(user.name) == std::string::npos) return "a refusal without the user's name";
      continue;
    }
    text += lines->text();
    written.push_back(user);
  }
  text += exports::end_of(format);
  try {
    check(format, written, text);
  } catch (const std::exception& fault) {
    return std::string(exports::to_string(format)) + ": " + fault.what() + '\n' + text;
  }
  return {};
}

}  // namespace capf::test
