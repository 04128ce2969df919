#include <filesystem>
#include <iostream>

#include "capf/cli/pages.h"
#include "capf/client/administrator.h"
#include "capf/client/key.h"
#include "capf/client/site.h"

namespace capf::cli {
namespace {

std::vector<Bytes> certificates_of(const v1::AddAdministratorResponse& response) {
  const auto octets = [](const std::string& der) { return Bytes(der.begin(), der.end()); };
  std::vector<Bytes> certificates{octets(response.certificate())};
  for (const std::string& above : response.chain()) certificates.push_back(octets(above));
  return certificates;
}

/// For a key that stays where it was made: the server certifies a request from there.
Result<int> certify(const Arguments& arguments, Connection& server) {
  constexpr std::size_t kLargestRequest = 65536;
  v1::AddAdministratorRequest request;
  request.set_name(arguments.text("NAME"));
  request.set_role(arguments.text("--role"));
  CAPF_LET(const std::string text, client::read_file(arguments.text("--request"), kLargestRequest));
  const auto der = client::parse_request(text);
  request.set_certification_request(der ? std::string(as_text(*der)) : text);  // where it is not PEM, it may be DER
  const std::filesystem::path state(server.place().state);
  const auto folder = arguments.has("--out") ? std::filesystem::path(arguments.text("--out")) : state / "admin";
  v1::AddAdministratorResponse response;
  CAPF_LET(const auto path, client::write_administrator(folder, request.name(), [&]() -> Result<std::vector<Bytes>> {
             CAPF_LET(response, server.call(request));
             return certificates_of(response);
           }));
  Json administrator = to_json(response.administrator());
  Json::Object members = *administrator.object();
  members.emplace_back("certificate", path.string());
  show(std::cout, arguments.format(), members);
  return 0;
}

/// The key is made and stays here; the server gets only its certification request.
Result<int> add(const Arguments& arguments, Connection& server) {
  if (arguments.has("--request")) return certify(arguments, server);
  v1::AddAdministratorRequest request;
  request.set_name(arguments.text("NAME"));
  request.set_role(arguments.text("--role"));
  const std::filesystem::path state(server.place().state);
  const auto folder = arguments.has("--out") ? std::filesystem::path(arguments.text("--out")) : state / "admin";
  v1::AddAdministratorResponse response;
  CAPF_LET(const auto files,
           client::make_administrator(folder, request.name(), [&](BytesView csr) -> Result<std::vector<Bytes>> {
             request.set_certification_request(std::string(as_text(csr)));
             CAPF_LET(response, server.call(request));
             return certificates_of(response);
           }));
  Json administrator = to_json(response.administrator());
  Json::Object members = *administrator.object();
  members.emplace_back("certificate", files.certificate.string());
  members.emplace_back("key", files.key.string());
  show(std::cout, arguments.format(), members);
  return 0;
}

Result<int> list(const Arguments& arguments, Connection& server) {
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

Result<int> disable(const Arguments& arguments, Connection& server) {
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
       "Makes a key here and a certificate for it, NAME.key and NAME.pem; or a certificate for a key made elsewhere",
       "capfctl administrator add monitoring --role monitor --out /etc/capf-monitoring",
       {{"NAME", Option::Kind::kAdministrator, "letters, digits, '.', '_', '-' or '@'", true},
        {"--role", Option::Kind::kChoice, "what it may do", true, false, {"admin", "operator", "auditor", "monitor"}},
        {"--request", Option::Kind::kFile,
         "PKCS #10, PEM or DER, of a key that stays with its owner: only NAME.pem is written"},
        {"--out", Option::Kind::kFolder, "folder for the files (default: admin in the state directory)"},
        output_option()},
       add},
      {"administrator list", "Lists administrators", "capfctl administrator list", {output_option()}, list},
      {"administrator disable",
       "Refuses an administrator from now on",
       "capfctl administrator disable monitoring --yes",
       {{"NAME", Option::Kind::kAdministrator, "the administrator", true}, yes_option(), output_option()},
       disable},
  };
}

}  // namespace capf::cli
