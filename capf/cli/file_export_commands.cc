#include <filesystem>
#include <iostream>
#include <optional>

#include "capf/base/tree.h"
#include "capf/cli/command.h"
#include "capf/cli/connection.h"
#include "capf/cli/devices.h"
#include "capf/client/site.h"
#include "capf/domain/device.h"
#include "capf/files/name.h"
#include "capf/files/signed_file.h"

namespace capf::cli {
namespace {

const std::string kSignedFiles = ".capf-signed";                          // no export removes them
constexpr std::size_t kLargestFileToSign = std::size_t{8} * 1024 * 1024;  // the server takes no more

/// Takes no name from the server that could be another file than one of phones.
Status put(Tree& tree, const v1::ExportedFile& part) {
  if (!files::parse_file_name(part.name())) {
    return fail(Reason::kInvalidRequest, "the server sent a file whose name is none of phones' files");
  }
  return tree.put(part.name(), part.generation(), as_bytes(part.part()), part.last());
}

/// Whether the file would have been in an export of these devices.
bool is_of(const std::string& name, const std::optional<Pattern>& devices) {
  if (!devices) return true;
  const auto request = files::parse_file_name(name);
  return request && request->device && devices->matches(request->device->text());
}

Result<int> export_files(const Arguments& arguments, Connection& server) {
  std::optional<Pattern> devices;
  v1::ExportFilesRequest request;
  if (arguments.has("--device")) {
    CAPF_LET(devices, Pattern::parse(named_device(arguments, "--device")));
    request.set_devices(devices->text());
  }
  const std::string folder = arguments.text("DIRECTORY");
  CAPF_LET(Tree tree, Tree::open(folder));
  int exported = 0;
  CAPF_TRY(server.export_files(request, [&](const v1::ExportedFile& part) {
    exported += part.last() ? 1 : 0;
    return put(tree, part);
  }));
  CAPF_LET(const int removed, tree.finish([&](const std::string& name) { return is_of(name, devices); }));
  show(std::cout, arguments.format(),
       Json::Object{{"directory", folder}, {"files", exported}, {"written", tree.written()}, {"removed", removed}});
  return 0;
}

/// The name under which phones ask for it.
std::string name_of(const Arguments& arguments, const std::string& path) {
  const std::string name = std::filesystem::path(path).filename().string();
  return arguments.has("--folder") ? arguments.text("--folder") + "/" + name : name;
}

Result<int> sign_files(const Arguments& arguments, Connection& server) {
  CAPF_LET(Tree tree, Tree::open(arguments.text("--out"), kSignedFiles));
  List list(std::cout, arguments.format(), {{"FILE", "file"}, {"DIGEST", "digest"}});
  for (const std::string& path : arguments.list("FILE")) {
    v1::SignFileRequest request;
    request.set_name(name_of(arguments, path));
    CAPF_LET(*request.mutable_content(), client::read_file(path, kLargestFileToSign));
    CAPF_LET(const auto response, server.call(request));
    const std::string name = request.name() + ".sgn";
    CAPF_LET(const files::Parts parts, files::read_header(as_bytes(response.file())));
    CAPF_TRY(tree.put(name, "signed", as_bytes(response.file()), true));
    list.add(Json::Object{{"file", name}, {"digest", files::to_string(parts.header.digest)}});
    if (parts.header.digest == files::Digest::kSha1) {
      warn(name + " is signed under SHA-1 (files.digest), for which others can make two files with one signature");
    }
  }
  CAPF_TRY(tree.finish([](const std::string&) { return false; }));
  list.finish();
  return 0;
}

}  // namespace

std::vector<Command> file_export_commands() {
  return {
      {"files export",
       "Writes all files of phones into a folder for another server, and removes those of an earlier export that are "
       "no "
       "more; this is on record",
       "capfctl files export /srv/tftp",
       {{"DIRECTORY", Option::Kind::kFolder, "a folder that is there", true},
        pattern_option("the files of these devices alone: 'SEP0011*'"),
        as_written_option(),
        output_option()},
       export_files},
      {"files sign",
       "Has files signed that phones fetch beside their configuration; this is on record",
       "capfctl files sign dialplan.xml --out /srv/tftp",
       {{"FILE", Option::Kind::kFile, "up to 8 MiB", true, true},
        {"--out", Option::Kind::kFolder, "the folder for the signed files, which is there", true},
        {"--folder", Option::Kind::kText, "under which phones ask for them, as locale files"},
        output_option()},
       sign_files},
  };
}

}  // namespace capf::cli
