#include <filesystem>
#include <iostream>

#include <unistd.h>

#include "capf/cli/pages.h"
#include "capf/client/key.h"

namespace capf::cli {
namespace {

namespace fs = std::filesystem;

bool is_file_name(const std::string& name) {
  return !name.empty() && name.front() != '.' && name.find('/') == std::string::npos &&
         name.find('\0') == std::string::npos;
}

Result<fs::path> make_folder(const fs::path& folder) {
  std::error_code error;
  if (fs::is_directory(folder, error)) return folder;
  fs::create_directories(folder, error);
  if (!error) fs::permissions(folder, fs::perms::owner_all, error);
  if (error) return fail(Reason::kInvalidRequest, folder.string() + ": " + error.message());
  return folder;
}

/// The key is made and stays here; the server sees its certification request alone.
Result<int> add(const Arguments& arguments, Server& server) {
  v1::AddAdministratorRequest request;
  request.set_name(arguments.text("NAME"));
  request.set_role(arguments.text("--role"));
  if (!is_file_name(request.name())) return report_usage("this name cannot be the name of a file");
  const fs::path out =
      arguments.has("--out") ? fs::path(arguments.text("--out")) : fs::path(server.place().state) / "admin";
  CAPF_LET(const fs::path folder, make_folder(out));
  const fs::path key_path = folder / (request.name() + ".key");
  const fs::path certificate_path = folder / (request.name() + ".pem");
  std::error_code error;
  if (fs::exists(certificate_path, error)) {
    return fail(Reason::kAdministratorExists, certificate_path.string() + " exists already; nothing is overwritten");
  }
  CAPF_LET(const auto key, client::PrivateKey::generate({client::KeyKind::Type::kEc, 256}));
  CAPF_LET(const Bytes certification_request, key.certification_request(request.name()));
  request.set_certification_request(std::string(as_text(certification_request)));
  if (auto written = write_new_secret_file(key_path, key.pem().view()); !written) {
    return fail(Reason::kAdministratorExists, written.error().message);
  }
  const auto response = server.call(request);
  if (!response) {
    fs::remove(key_path, error);
    return tl::unexpected<Error>(response.error());
  }
  std::string chain = client::certificate_pem(as_bytes(response->certificate()));
  for (const std::string& above : response->chain()) chain += client::certificate_pem(as_bytes(above));
  CAPF_TRY(write_new_file(certificate_path, as_bytes(chain)));
  Json administrator = to_json(response->administrator());
  Json::Object members = *administrator.object();
  members.emplace_back("certificate", certificate_path.string());
  members.emplace_back("key", key_path.string());
  show(std::cout, arguments.format(), members);
  return 0;
}

Result<int> list(const Arguments& arguments, Server& server) {
  CAPF_LET(const auto response, server.call(v1::ListAdministratorsRequest()));
  return print_rows(arguments,
                    {{"NAME", "name"},
                     {"ROLE", "role"},
                     {"CERTIFICATE EXPIRES", "certificate_not_after"},
                     {"CREATED AT", "created_at"},
                     {"CREATED BY", "created_by"},
                     {"DISABLED AT", "disabled_at"}},
                    response.administrators());
}

Result<int> disable(const Arguments& arguments, Server& server) {
  v1::DisableAdministratorRequest request;
  request.set_name(arguments.text("NAME"));
  if (const auto code = confirm(arguments, "Disable the administrator " + request.name() + "?")) return *code;
  CAPF_TRY(server.call(request));
  show(std::cout, arguments.format(), Json::Object{{"disabled", request.name()}});
  return 0;
}

}  // namespace

std::vector<Command> administrator_commands() {
  return {
      {"administrator add",
       "Makes a key here and a certificate for it: NAME.key and NAME.pem",
       "capfctl administrator add monitoring --role monitor --out /etc/capf-monitoring",
       {{"NAME", Option::Kind::kText, "letters, digits, '.', '_', '-' or '@'", true},
        {"--role", Option::Kind::kChoice, "what it may do", true, false, {"admin", "operator", "auditor", "monitor"}},
        {"--out", Option::Kind::kFolder, "folder for the files (default: admin in the state directory)"},
        output_option()},
       add},
      {"administrator list", "Lists administrators", "capfctl administrator list", {output_option()}, list},
      {"administrator disable",
       "Refuses an administrator from now on",
       "capfctl administrator disable monitoring --yes",
       {{"NAME", Option::Kind::kText, "the administrator", true}, yes_option(), output_option()},
       disable},
  };
}

}  // namespace capf::cli
