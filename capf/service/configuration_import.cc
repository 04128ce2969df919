#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "capf/domain/audit_store.h"
#include "capf/domain/phone_store.h"
#include "capf/files/name.h"
#include "capf/files/xml.h"
#include "capf/service/configurations.h"
#include "capf/service/secrets.h"
#include "capf/service/shared_lines.h"
#include "capf/service/steps.h"

namespace capf::service {

/// A file of an import that is good as far as it has been looked at, or of a removal.
struct Configurations::Parsed {
  std::size_t place = 0;  ///< among the files
  ConfigurationKind kind = ConfigurationKind::kPhone;
  std::optional<DeviceName> device{};  ///< of a phone's
  const Secret* xml = nullptr;         ///< of an import
  std::set<std::string> lines{};       ///< that it names
  std::set<std::string> former{};      ///< that the one on record names
  std::int64_t phone_id = 0;
  std::int64_t id = 0;  ///< of the one on record; 0: there is none
  bool unchanged = false;

  std::string subject() const {
    if (device) return device->text();
    return kind == ConfigurationKind::kDefault ? "XMLDefault" : std::string(kTemplateName);
  }
};

namespace {

/// The kind and the phone that a file's name says.
struct Place {
  ConfigurationKind kind = ConfigurationKind::kPhone;
  std::optional<DeviceName> device{};
};

Result<Place> place_of(const std::string& name) {
  if (name == kTemplateName) return Place{ConfigurationKind::kTemplate, {}};
  const auto request = files::parse_file_name(name);
  if (request && request->form == files::Form::kPlain) {
    if (request->wanted == files::Wanted::kDefault) return Place{ConfigurationKind::kDefault, {}};
    if (request->wanted == files::Wanted::kConfiguration) return Place{ConfigurationKind::kPhone, request->device};
  }
  return fail(Reason::kInvalidRequest,
              "a configuration file is called by its phone, as SEP001122334455.cnf.xml, or XMLDefault.cnf.xml");
}

/// Everybody gets this file as it is, so it may have no password. Its root is not a phone's, so that a whole reader of
/// phones' files does not take it.
Status check_default(BytesView xml) {
  const std::string_view text = as_text(xml);
  CAPF_TRY(files::scan_xml(text.starts_with("\xEF\xBB\xBF") ? text.substr(3) : text));
  for (const char* secret : {"authPassword", "sshPassword", "phonePassword"}) {
    if (text.find(secret) == std::string_view::npos) continue;
    return fail(Reason::kPhoneConfigurationMalformed,
                "it has the element " + std::string(secret) + ", and everybody gets this file");
  }
  return {};
}

/// The names of lines that a configuration has. @return whether one is no name that a line can have
bool read_lines(const files::Configuration& configuration, std::set<std::string>& lines) {
  bool bad = false;
  for (std::string& name : configuration.lines()) {
    if (name.empty()) continue;
    if (check_line_name(name)) {
      lines.insert(std::move(name));
    } else {
      bad = true;
    }
  }
  return bad;
}

std::vector<std::int64_t> ids_of_phones(const std::map<std::int64_t, std::size_t>& places) {
  std::vector<std::int64_t> ids;
  for (const auto& [id, place] : places) ids.push_back(id);
  return ids;
}

}  // namespace

std::vector<Configurations::Parsed> Configurations::parse(std::span<const ImportedConfiguration> files,
                                                          ConfigurationImport& outcome) const {
  std::vector<Parsed> parsed;
  std::set<std::string> names;
  const auto parse_one = [&](std::size_t place) -> Status {
    const ImportedConfiguration& file = files[place];
    CAPF_LET(Place at, place_of(file.name));
    if (!names.insert(file.name).second) return fail(Reason::kInvalidRequest, "there are two files of this name");
    Parsed found{.place = place, .kind = at.kind, .device = std::move(at.device), .xml = &file.xml};
    if (at.kind == ConfigurationKind::kDefault) {
      CAPF_TRY(check_default(file.xml.view()));
    } else {
      CAPF_LET(const files::Configuration configuration, files::Configuration::parse(file.xml.view()));
      if (found.device && read_lines(configuration, found.lines)) {
        outcome.warnings.push_back(file.name + " has a line whose name no shared line can have: it is left out there");
      }
    }
    parsed.push_back(std::move(found));
    return {};
  };
  for (std::size_t place = 0; place < files.size(); ++place) {
    const Status good = parse_one(place);
    if (!good) outcome.problems.push_back({place, good.error()});
  }
  return parsed;
}

Result<ConfigurationImport> Configurations::import(const Actor& actor, std::span<const ImportedConfiguration> files,
                                                   bool dry_run) {
  std::size_t octets = 0;
  for (const ImportedConfiguration& file : files) octets += file.xml.view().size();
  if (files.empty() || files.size() > kConfigurationsAtOnce || octets > kConfigurationOctetsAtOnce) {
    return fail(Reason::kInvalidRequest, "1 to " + std::to_string(kConfigurationsAtOnce) +
                                             " files are imported at once, with " +
                                             std::to_string(kConfigurationOctetsAtOnce) + " octets at most");
  }
  ConfigurationImport readable;
  const std::vector<Parsed> parsed = parse(files, readable);
  ConfigurationImport outcome;
  bool taken_back = false;
  const Status done = in_write(database_, actor, [&](Transaction& tx) -> Status {
    taken_back = false;
    outcome = readable;
    CAPF_TRY(import_in(tx, actor, parsed, outcome));
    taken_back = dry_run || !outcome.problems.empty();
    if (taken_back) return fail(Reason::kInvalidRequest, "nothing was imported");
    return {};
  });
  if (!done && !taken_back) return fail(done.error());
  const auto by_place = [](const auto& a, const auto& b) { return a.place < b.place; };
  std::stable_sort(outcome.problems.begin(), outcome.problems.end(), by_place);
  return outcome;
}

Status Configurations::import_in(Transaction& tx, const Actor& actor, std::vector<Parsed> parsed,
                                 ConfigurationImport& outcome) {
  CAPF_TRY(find_phones(tx, parsed, outcome));
  CAPF_TRY(find_former(tx, parsed));
  std::vector<LinesOfFile> lines;
  std::map<DeviceName, std::size_t> places;
  for (const Parsed& file : parsed) {
    if (!file.device || file.unchanged) continue;
    lines.push_back({file.phone_id, *file.device, file.lines, file.former});
    places.emplace(*file.device, file.place);
  }
  CAPF_LET(const auto obstacles, SharedLines::follow_files(tx, actor, lines));
  for (const LineObstacle& obstacle : obstacles)
    outcome.problems.push_back({places.at(obstacle.device), obstacle.error});
  if (!outcome.problems.empty()) return {};
  CAPF_TRY(find_former_of_site(tx, parsed));  // locks them, which comes behind the lines
  for (const Parsed& file : parsed) {
    ++(file.unchanged ? outcome.unchanged : file.id != 0 ? outcome.changed : outcome.added);
  }
  return put(tx, actor, parsed);
}

Status Configurations::find_phones(Transaction& tx, std::vector<Parsed>& parsed, ConfigurationImport& outcome) const {
  std::vector<DeviceName> devices;
  for (const Parsed& file : parsed) {
    if (file.device) devices.push_back(*file.device);
  }
  CAPF_LET(const std::vector<Phone> phones, tx.phones().lock_all(devices));
  std::map<DeviceName, std::int64_t> ids;
  for (const Phone& phone : phones) ids.emplace(phone.device, phone.id);
  std::erase_if(parsed, [&](Parsed& file) {
    if (!file.device) return false;
    const auto found = ids.find(*file.device);
    if (found == ids.end()) {
      outcome.problems.push_back({file.place, {Reason::kUnknownDevice, "there is no device " + file.device->text()}});
      return true;
    }
    file.phone_id = found->second;
    return false;
  });
  return {};
}

Status Configurations::find_former(Transaction& tx, std::vector<Parsed>& parsed) const {
  std::map<std::int64_t, std::size_t> places;
  for (std::size_t i = 0; i < parsed.size(); ++i) {
    if (parsed[i].device) places.emplace(parsed[i].phone_id, i);
  }
  CAPF_LET(std::vector<EncryptedConfiguration> on_record, tx.configurations().of_phones(ids_of_phones(places)));
  for (EncryptedConfiguration& former : on_record) {
    Parsed& file = parsed[places.at(former.phone_id)];
    CAPF_TRY(take(file, std::move(former)));
  }
  return {};
}

Status Configurations::find_former_of_site(Transaction& tx, std::vector<Parsed>& parsed) const {
  for (Parsed& file : parsed) {
    if (file.device) continue;
    CAPF_LET(auto former, tx.configurations().lock_of_site(file.kind));
    if (former) CAPF_TRY(take(file, {former->id, 0, *std::move(former->source)}));
  }
  return {};
}

Status Configurations::take(Parsed& file, EncryptedConfiguration former) const {
  file.id = former.id;
  const auto text = vault_.decrypt(cell_of_source(former.id), former.source);
  // One that does not decrypt, or is not what this version reads, is replaced.
  if (!text && text.error().reason != Reason::kSecretBroken) return fail(text.error());
  if (!text) return {};
  file.unchanged = file.xml != nullptr && std::ranges::equal(text->view(), file.xml->view());
  const auto configuration = files::Configuration::parse(text->view());
  if (configuration && file.device) read_lines(*configuration, file.former);
  return {};
}

Status Configurations::put(Transaction& tx, const Actor& actor, std::vector<Parsed>& parsed) const {
  std::erase_if(parsed, [](const Parsed& file) { return file.unchanged; });
  if (parsed.empty()) return {};
  const auto is_new = [](const Parsed& file) { return file.id == 0; };
  const auto added = static_cast<std::size_t>(std::count_if(parsed.begin(), parsed.end(), is_new));
  CAPF_LET(std::vector<std::int64_t> fresh, tx.configurations().next_ids(added));
  CAPF_LET(const SecretsWriter writer, SecretsWriter::begin(tx, vault_, random_));
  std::vector<NewConfiguration> rows;
  std::vector<std::string> subjects;
  for (const Parsed& file : parsed) {
    NewConfiguration row{.id = file.id, .kind = file.kind, .phone_id = file.phone_id, .source = {}};
    if (row.id == 0) {
      row.id = fresh.back();
      fresh.pop_back();
    }
    CAPF_LET(row.source, writer.encrypt(cell_of_source(row.id), *file.xml));
    rows.push_back(std::move(row));
    subjects.push_back(file.subject());
  }
  CAPF_TRY(tx.configurations().put(rows, actor.name));
  return record(tx, actor, "configuration.import", subjects);
}

Result<ConfigurationRemoval> Configurations::remove(const Actor& actor, std::span<const std::string> names) {
  if (names.empty() || names.size() > kConfigurationsAtOnce) {
    return fail(Reason::kInvalidRequest,
                "1 to " + std::to_string(kConfigurationsAtOnce) + " files are removed at once");
  }
  std::vector<Parsed> named;
  std::set<std::string> known;
  for (std::size_t place = 0; place < names.size(); ++place) {
    CAPF_LET(Place at, place_of(names[place]));
    if (!known.insert(names[place]).second) return fail(Reason::kInvalidRequest, names[place] + " is named twice");
    named.push_back({.place = place, .kind = at.kind, .device = std::move(at.device)});
  }
  return in_write(database_, actor, [&](Transaction& tx) { return remove_in(tx, actor, named); });
}

Result<ConfigurationRemoval> Configurations::remove_in(Transaction& tx, const Actor& actor,
                                                       std::vector<Parsed> named) const {
  ConfigurationImport found;
  CAPF_TRY(find_phones(tx, named, found));
  if (!found.problems.empty()) return fail(found.problems.front().error);
  CAPF_TRY(find_former(tx, named));
  std::vector<LinesOfFile> lines;
  for (const Parsed& file : named) {
    if (file.device && file.id != 0) lines.push_back({file.phone_id, *file.device, {}, file.former});
  }
  CAPF_TRY(SharedLines::follow_files(tx, actor, lines));  // whoever leaves a line mixes none
  CAPF_TRY(find_former_of_site(tx, named));
  const auto absent = std::erase_if(named, [](const Parsed& file) { return file.id == 0; });
  std::vector<std::int64_t> ids;
  std::vector<std::string> subjects;
  for (const Parsed& file : named) {
    ids.push_back(file.id);
    subjects.push_back(file.subject());
  }
  if (!ids.empty()) {
    CAPF_TRY(tx.configurations().remove(ids));
    CAPF_TRY(record(tx, actor, "configuration.remove", subjects));
  }
  return ConfigurationRemoval{static_cast<int>(ids.size()), static_cast<int>(absent)};
}

}  // namespace capf::service
