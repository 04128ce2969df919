#include <algorithm>
#include <filesystem>
#include <iostream>
#include <set>
#include <system_error>

#include "capf/base/secret.h"
#include "capf/cli/command.h"
#include "capf/cli/configuration_diff.h"
#include "capf/cli/connection.h"
#include "capf/cli/convert.h"
#include "capf/cli/devices.h"
#include "capf/cli/phone_import.h"
#include "capf/cli/progress.h"
#include "capf/client/site.h"
#include "capf/domain/configuration.h"

namespace capf::cli {
namespace {

constexpr std::string_view kEnding = ".cnf.xml";

/// A file to be imported.
struct SourceFile {
  std::string path;
  std::string name;  ///< as the server is to know it
};

/// The configurations of a folder, in the order of their names.
Result<std::vector<SourceFile>> files_in(const std::string& folder) {
  std::vector<SourceFile> files;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (name.ends_with(kEnding)) files.push_back({entry->path().string(), name});
  }
  if (error) return fail(Reason::kInvalidRequest, folder + ": " + error.message());
  if (files.empty()) return fail(Reason::kInvalidRequest, folder + " has no files *.cnf.xml");
  std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return files;
}

/// The files that are named, and those of folders. Errors: INVALID_REQUEST, also for two files of one name.
Result<std::vector<SourceFile>> wanted_files(const Arguments& arguments) {
  std::vector<SourceFile> files;
  for (const std::string& path : arguments.list("PATH")) {
    std::error_code error;
    if (std::filesystem::is_directory(path, error)) {
      CAPF_LET(const auto found, files_in(path));
      files.insert(files.end(), found.begin(), found.end());
    } else {
      files.push_back({path, std::filesystem::path(path).filename().string()});
    }
  }
  if (arguments.has("--template")) files.push_back({arguments.text("--template"), "template"});
  if (files.empty()) return fail(Reason::kInvalidRequest, "name a file, a folder, or --template FILE");
  std::set<std::string> names;
  for (const SourceFile& file : files) {
    if (!names.insert(file.name).second) {
      return fail(Reason::kInvalidRequest, "there are two files " + file.name + ": " + file.path + " is one of them");
    }
  }
  return files;
}

/// An import in batches, each one call and one transaction.
class Importer {
 public:
  Importer(Connection& server, const std::vector<SourceFile>& files, Progress& progress)
      : server_(server), files_(files), progress_(progress) {}

  /// Goes through all files. @param dry_run finds every problem and changes nothing
  capf::Status run(bool dry_run) {
    for (const SourceFile& file : files_) {
      auto xml = client::read_file(file.path, kLargestConfiguration);
      if (!xml) {
        tell(file, "it cannot be read, or has more than 1 MiB");
        continue;
      }
      const bool full = request_.files_size() == static_cast<int>(kConfigurationsAtOnce) ||
                        octets_ + xml->size() > kConfigurationOctetsAtOnce;
      if (full) CAPF_TRY(send(dry_run));
      octets_ += xml->size();
      batch_.push_back(&file);
      v1::ConfigurationFile& added = *request_.add_files();
      added.set_name(file.name);
      added.set_xml(*std::move(xml));
    }
    return send(dry_run);
  }

  std::int64_t problems() const { return problems_; }
  std::int64_t done() const { return added_ + changed_ + unchanged_; }
  Json result() const { return Json::Object{{"added", added_}, {"changed", changed_}, {"unchanged", unchanged_}}; }

 private:
  capf::Status send(bool dry_run) {
    if (batch_.empty()) return {};
    request_.set_dry_run(dry_run);
    CAPF_LET(const auto response, server_.call(request_));
    for (const auto& problem : response.problems()) {
      const auto place = static_cast<std::size_t>(problem.place());
      if (place >= batch_.size()) return fail_internal("the server has a problem with a file that it was not sent");
      tell(*batch_[place], problem.reason() + ": " + problem.message());
    }
    progress_.clear();
    if (dry_run) {
      for (const std::string& warning : response.warnings()) warn(warning);
    }
    added_ += response.added();
    changed_ += response.changed();
    unchanged_ += response.unchanged();
    progress_.add(static_cast<std::int64_t>(batch_.size()));
    batch_.clear();
    request_.Clear();
    octets_ = 0;
    return {};
  }

  void tell(const SourceFile& file, const std::string& words) {
    if (static_cast<std::size_t>(++problems_) > kToldProblems) return;
    progress_.clear();
    warn(file.path + ": " + words);
  }

  Connection& server_;
  const std::vector<SourceFile>& files_;
  Progress& progress_;
  v1::ImportConfigurationsRequest request_;
  std::vector<const SourceFile*> batch_;
  std::size_t octets_ = 0;
  std::int64_t problems_ = 0;
  std::int64_t added_ = 0;
  std::int64_t changed_ = 0;
  std::int64_t unchanged_ = 0;
};

Error stopped_by(const Importer& importer, std::int64_t done) {
  const std::int64_t problems = importer.problems();
  std::string words = problems == 1 ? "there is a problem" : "there are " + std::to_string(problems) + " problems";
  if (problems > static_cast<std::int64_t>(kToldProblems)) {
    words += ", of which the first " + std::to_string(kToldProblems) + " are told";
  }
  if (done == 0) return fail(Reason::kInvalidRequest, "nothing was imported: " + words).value();
  return fail(Reason::kInvalidRequest,
              words + "; " + std::to_string(done) + " files are done, and the same command goes on with the others")
      .value();
}

Result<int> import_files(const Arguments& arguments, Connection& server) {
  const auto files = wanted_files(arguments);
  if (!files) return report_usage(files.error().message);
  const auto total = static_cast<std::int64_t>(files->size());
  const bool quiet = arguments.has("--quiet");
  {
    Progress progress("files checked", total, quiet);
    Importer check(server, *files, progress);
    CAPF_TRY(check.run(true));
    progress.clear();
    if (check.problems() > 0) return fail(stopped_by(check, 0));
    if (arguments.has("--dry-run")) {
      show(std::cout, arguments.format(), check.result());
      warn("this is what would be done; nothing was done");
      return 0;
    }
  }
  Progress progress("files imported", total, quiet);
  Importer importer(server, *files, progress);
  const capf::Status imported = importer.run(false);
  progress.clear();
  if (!imported) {
    if (importer.done() > 0) {
      warn(std::to_string(importer.done()) + " files are done; the same command goes on with the others");
    }
    return fail(imported.error());
  }
  if (importer.problems() > 0) return fail(stopped_by(importer, importer.done()));
  show(std::cout, arguments.format(), importer.result());
  return 0;
}

/// The files that are named, as the server knows them.
Result<std::vector<std::string>> wanted_names(const Arguments& arguments) {
  std::vector<std::string> names;
  if (!arguments.list("DEVICE").empty() || arguments.has("--file")) {
    CAPF_LET(const auto devices, named_devices(arguments));
    for (const DeviceLine& line : devices) names.push_back(line.device + std::string(kEnding));
  }
  if (arguments.has("--template")) names.emplace_back("template");
  if (arguments.has("--default")) names.emplace_back("XMLDefault.cnf.xml");
  if (names.empty()) return fail(Reason::kInvalidRequest, "name devices, --template or --default");
  return names;
}

Result<int> remove_configurations(const Arguments& arguments, Connection& server) {
  const auto names = wanted_names(arguments);
  if (!names) return report_usage(names.error().message);
  const std::string count = std::to_string(names->size());
  const std::string question = "Remove the site's own " + (names->size() == 1 ? "file" : count + " files") + "?";
  if (const auto code = confirm(arguments, question)) return *code;
  std::int64_t removed = 0;
  std::int64_t absent = 0;
  v1::RemoveConfigurationsRequest request;
  for (std::size_t i = 0; i < names->size(); ++i) {
    request.add_names((*names)[i]);
    if (i + 1 < names->size() && request.names_size() < static_cast<int>(kConfigurationsAtOnce)) continue;
    CAPF_LET(const auto response, server.call(request));
    removed += response.removed();
    absent += response.absent();
    request.Clear();
  }
  show(std::cout, arguments.format(), Json::Object{{"removed", removed}, {"absent", absent}});
  return 0;
}

Result<int> show_configuration(const Arguments& arguments, Connection& server) {
  v1::GetConfigurationRequest request;
  request.set_device(named_device(arguments));
  CAPF_LET(const auto response, server.call(request));
  Json::Object object = *to_json(response.configuration()).object();
  const bool diff = arguments.has("--diff");
  const std::vector<std::string> differences =
      diff ? configuration_diff(response.before(), response.after()) : std::vector<std::string>();
  if (arguments.format().for_programs()) {
    if (diff) {
      object.emplace_back("diff", Json::Array(differences.begin(), differences.end()));
    } else {
      object.emplace_back("text", response.after());
    }
    show(std::cout, arguments.format(), object);
    return 0;
  }
  show(std::cout, arguments.format(), object);
  std::cout << '\n';
  if (!diff) std::cout << response.after();
  for (const std::string& line : differences) std::cout << line << '\n';
  return 0;
}

Result<int> export_configuration(const Arguments& arguments, Connection& server) {
  v1::ExportConfigurationRequest request;
  request.set_device(named_device(arguments));
  request.set_form(arguments.has("--form") ? arguments.text("--form") : "plain");
  CAPF_LET(const auto response, server.call(request));
  const std::string path = arguments.text("--out");
  if (path.empty()) {
    std::cout << response.file() << std::flush;
    return 0;
  }
  CAPF_TRY(write_new_file(path, as_bytes(response.file())));
  return 0;
}

Result<int> check_configurations(const Arguments& arguments, Connection& server) {
  const auto named = named_devices(arguments);
  if (!named) return report_usage(named.error().message);
  List list(std::cout, arguments.format(),
            {{"DEVICE", "device"},
             {"SOURCE", "source"},
             {"MODE", "mode"},
             {"ENCRYPTED FOR", "encrypted_for"},
             {"PASSWORDS", "passwords"},
             {"FAULT", "fault"},
             {"WARNINGS", "warnings"}});
  bool good = true;
  v1::CheckConfigurationsRequest request;
  for (std::size_t i = 0; i < named->size(); ++i) {
    request.add_devices((*named)[i].device);
    if (i + 1 < named->size() && request.devices_size() < static_cast<int>(kConfigurationsChecked)) continue;
    CAPF_LET(const auto response, server.call(request));
    for (const v1::Configuration& configuration : response.configurations()) {
      good = good && configuration.fault().empty();
      list.add(to_json(configuration));
    }
    request.Clear();
  }
  list.finish();
  return good ? 0 : 1;
}

}  // namespace

std::vector<Command> configuration_commands() {
  using Kind = Option::Kind;
  const Option device{"DEVICE", Kind::kDevice, "the device", true};
  return {
      {"configuration import",
       "Imports the site's own configuration files, SEP*.cnf.xml and XMLDefault.cnf.xml; all problems come first",
       "capfctl configuration import /srv/tftp --dry-run",
       {{"PATH", Kind::kFile, "files, or folders with such files", false, true},
        {"--template", Kind::kFile, "the file of phones that have none of their own"},
        {"--dry-run", Kind::kFlag, "say what would be done, and do nothing"},
        {"--quiet", Kind::kFlag, "do not say how far it is"},
        output_option()},
       import_files},
      {"configuration remove",
       "Removes the site's own files of devices, which get the template's from then on, and leave the lines of theirs",
       "capfctl configuration remove SEP001122334455",
       {{"DEVICE", Kind::kText, "device names", false, true},
        devices_file_option(),
        {"--template", Kind::kFlag, "the file of phones that have none of their own"},
        {"--default", Kind::kFlag, "XMLDefault.cnf.xml, which phones get that are not known"},
        {"--yes", Kind::kFlag, "do not ask"},
        as_written_option(),
        output_option()},
       remove_configurations},
      {"configuration show",
       "Shows the configuration file of a device, with *** in place of passwords",
       "capfctl configuration show SEP001122334455 --diff",
       {device,
        {"--diff", Kind::kFlag, "only what differs from the site's own file"},
        as_written_option(),
        output_option()},
       show_configuration},
      {"configuration export",
       "Writes the configuration file of a device as it fetches it; passwords are in it only where it is encrypted",
       "capfctl configuration export SEP001122334455 --form encrypted --out SEP001122334455.cnf.xml.enc.sgn",
       {device,
        {"--form", Kind::kChoice, "default: plain", false, false, {"plain", "signed", "encrypted"}},
        {"--out", Kind::kFile, "a new file (default: standard output)"},
        as_written_option()},
       export_configuration},
      {"configuration check",
       "Makes the configuration files of devices, and says what is wrong with them; exits 1 where there is none",
       "capfctl configuration check SEP001122334455 SEP001122334456",
       {{"DEVICE", Kind::kText, "device names", false, true},
        devices_file_option(),
        as_written_option(),
        output_option()},
       check_configurations},
  };
}

}  // namespace capf::cli
