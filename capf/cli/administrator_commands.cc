#include <filesystem>
#include <iostream>
#include <optional>

#include "capf/cli/pages.h"
#include "capf/cli/passphrase.h"
#include "capf/cli/secret_file.h"
#include "capf/client/administrator.h"
#include "capf/client/container.h"
#include "capf/client/key.h"
#include "capf/client/site.h"

namespace capf::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLargestFile = 65536;
const std::vector<std::string> kRoles{"admin", "operator", "auditor", "monitor"};

template <class Response>
std::vector<Bytes> certificates_of(const Response& response) {
  const auto octets = [](const std::string& der) { return Bytes(der.begin(), der.end()); };
  std::vector<Bytes> certificates{octets(response.certificate())};
  for (const std::string& above : response.chain()) certificates.push_back(octets(above));
  return certificates;
}

/// The folder of new files: that of --out, or where the site's administrators have theirs. A context has no such place.
fs::path folder_of(const Arguments& arguments, const Connection& server) {
  if (arguments.has("--out")) return arguments.text("--out");
  return server.place().context.empty() ? fs::path(server.place().state) / "admin" : fs::current_path();
}

/// The file of the request: --csr, or --request as it was called before.
std::string csr_of(const Arguments& arguments) {
  return arguments.has("--csr") ? arguments.text("--csr") : arguments.text("--request");
}

/// The file of --pkcs12, for a browser. Its passphrase is asked for before anything is done.
class Container {
 public:
  /// Errors: INVALID_REQUEST where something is there, INVALID_PASSWORD.
  static Result<Container> begin(const std::string& path) {
    CAPF_LET(SecretFile file, SecretFile::begin(path, false));
    CAPF_LET(Secret passphrase, read_new_passphrase(path));
    return Container(std::move(file), std::move(passphrase));
  }
  capf::Status write(const client::AdministratorFiles& files) {
    CAPF_LET(const std::string certificate, client::read_file(files.certificate, kLargestFile));
    CAPF_LET(const Secret key, read_secret_file(files.key));
    CAPF_LET(const Secret whole,
             client::make_pkcs12(certificate, key.text(), passphrase_, files.certificate.stem().string()));
    CAPF_TRY(file_.write(whole.text()));
    return file_.finish();
  }

 private:
  Container(SecretFile file, Secret passphrase) : file_(std::move(file)), passphrase_(std::move(passphrase)) {}
  SecretFile file_;
  Secret passphrase_;
};

Result<std::optional<Container>> container_of(const Arguments& arguments) {
  if (!arguments.has("--pkcs12")) return std::optional<Container>();
  CAPF_LET(Container container, Container::begin(arguments.text("--pkcs12")));
  return std::optional<Container>(std::move(container));
}

/// Options that do not go together; nothing where they do.
std::optional<std::string> misuse_of(const Arguments& arguments) {
  if (arguments.has("--csr") && arguments.has("--request")) return "--request is the former name of --csr: give one";
  if (csr_of(arguments).empty() || !arguments.has("--pkcs12")) return std::nullopt;
  return "--pkcs12 has the key in it, which stays with its owner: 'capfctl administrator export' makes one there";
}

/// Says who it is now, and where the files are. Without a key it stayed with its owner.
void tell(const Arguments& arguments, const v1::Administrator& administrator, const fs::path& certificate,
          const fs::path& key) {
  const Json shown = to_json(administrator);
  Json::Object members = *shown.object();
  members.emplace_back("certificate", certificate.string());
  if (!key.empty()) members.emplace_back("key", key.string());
  if (arguments.has("--pkcs12")) members.emplace_back("pkcs12", arguments.text("--pkcs12"));
  show(std::cout, arguments.format(), members);
}

/// Both sides see the same of a request, whatever became of it on its way.
Result<std::string> key_in(BytesView request) {
  CAPF_LET(const Bytes key, client::public_key_of_request(request));
  return to_hex(sha256(key));
}

/// The server certifies a request from where the key is.
template <class Response, class Request>
Result<int> certify(const Arguments& arguments, Connection& server, Request request, const std::string& csr) {
  CAPF_LET(const std::string text, client::read_file(csr, kLargestFile));
  const auto der = client::parse_request(text);
  request.set_certification_request(der ? std::string(as_text(*der)) : text);  // where it is not PEM, it may be DER
  CAPF_LET(const std::string digest, key_in(as_bytes(request.certification_request())));
  warn("the request's key has the SHA-256 " + digest + ": its owner was shown the same");
  Response response;
  CAPF_LET(const auto path, client::write_administrator(folder_of(arguments, server), request.name(),
                                                        [&]() -> Result<std::vector<Bytes>> {
                                                          CAPF_LET(response, server.call(request));
                                                          return certificates_of(response);
                                                        }));
  tell(arguments, response.administrator(), path, {});
  return 0;
}

/// The key is made and stays here; the server gets only its certification request.
template <class Response, class Request>
Result<int> make(const Arguments& arguments, Connection& server, Request request) {
  CAPF_LET(auto container, container_of(arguments));
  Response response;
  CAPF_LET(const auto files, client::make_administrator(folder_of(arguments, server), request.name(),
                                                        [&](BytesView csr) -> Result<std::vector<Bytes>> {
                                                          request.set_certification_request(std::string(as_text(csr)));
                                                          CAPF_LET(response, server.call(request));
                                                          return certificates_of(response);
                                                        }));
  if (container) CAPF_TRY(container->write(files));
  tell(arguments, response.administrator(), files.certificate, files.key);
  warn("this key was made here: " + request.name() +
       " makes it alone with 'capfctl administrator request', and sends a request for --csr");
  return 0;
}

template <class Response, class Request>
Result<int> appoint(const Arguments& arguments, Connection& server, Request request) {
  if (const auto words = misuse_of(arguments)) return report_usage(*words);
  request.set_name(arguments.text("NAME"));
  const std::string csr = csr_of(arguments);
  return csr.empty() ? make<Response>(arguments, server, std::move(request))
                     : certify<Response>(arguments, server, std::move(request), csr);
}

Result<int> request_one(const Arguments& arguments, Connection&) {
  const std::string name = arguments.text("NAME");
  const fs::path folder = arguments.has("--out") ? fs::path(arguments.text("--out")) : fs::current_path();
  CAPF_LET(const auto files, client::request_administrator(folder, name));
  CAPF_LET(const std::string text, client::read_file(files.certificate, kLargestFile));
  CAPF_LET(const Bytes request, client::parse_request(text));
  CAPF_LET(const std::string digest, key_in(request));
  show(std::cout, arguments.format(),
       Json::Object{{"name", name},
                    {"request", files.certificate.string()},
                    {"key", files.key.string()},
                    {"key_sha256", digest}});
  warn("send the request to an admin, who gives 'capfctl administrator add " + name + " --role ROLE --csr " +
       files.certificate.filename().string() + "'; the key stays here");
  return 0;
}

Result<int> add(const Arguments& arguments, Connection& server) {
  v1::AddAdministratorRequest request;
  request.set_role(arguments.text("--role"));
  return appoint<v1::AddAdministratorResponse>(arguments, server, std::move(request));
}

Result<int> enable(const Arguments& arguments, Connection& server) {
  return appoint<v1::EnableAdministratorResponse>(arguments, server, v1::EnableAdministratorRequest());
}

/// One's own: a new key takes the place of the one that is shown to the server.
Result<int> renew_own(const Arguments& arguments, Connection& server) {
  const client::AdministratorFiles files = own_files(server.place());
  CAPF_LET(auto container, container_of(arguments));
  v1::RenewAdministratorRequest request;
  v1::RenewAdministratorResponse response;
  CAPF_TRY(client::renew_administrator(files, files.certificate.stem().string(),
                                       [&](BytesView csr) -> Result<std::vector<Bytes>> {
                                         request.set_certification_request(std::string(as_text(csr)));
                                         CAPF_LET(response, server.call(request));
                                         return certificates_of(response);
                                       }));
  if (container) CAPF_TRY(container->write(files));
  tell(arguments, response.administrator(), files.certificate, files.key);
  warn("the former certificate counts for a day; it is beside the new one, with its key, as .old");
  return 0;
}

Result<int> renew(const Arguments& arguments, Connection& server) {
  if (const auto words = misuse_of(arguments)) return report_usage(*words);
  if (arguments.has("--csr")) {
    if (!arguments.has("NAME")) return report_usage("--csr is a request of NAME's");
    v1::RenewAdministratorRequest request;
    request.set_name(arguments.text("NAME"));
    return certify<v1::RenewAdministratorResponse>(arguments, server, std::move(request), arguments.text("--csr"));
  }
  if (arguments.has("NAME")) {
    return report_usage(
        "without --csr one's own certificate is renewed; NAME makes a key and a request on their machine");
  }
  if (arguments.has("--out")) return report_usage("--out is for --csr: one's own files are renewed where they are");
  return renew_own(arguments, server);
}

Result<int> change(const Arguments& arguments, Connection& server) {
  v1::ChangeAdministratorRequest request;
  request.set_name(arguments.text("NAME"));
  request.set_role(arguments.text("--role"));
  CAPF_LET(const auto response, server.call(request));
  show(std::cout, arguments.format(), to_json(response.administrator()));
  return 0;
}

Result<int> export_own(const Arguments& arguments, Connection& server) {
  CAPF_LET(Container container, Container::begin(arguments.text("--pkcs12")));
  const client::AdministratorFiles files = own_files(server.place());
  CAPF_TRY(container.write(files));
  show(std::cout, arguments.format(),
       Json::Object{{"certificate", files.certificate.string()}, {"pkcs12", arguments.text("--pkcs12")}});
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
                     {"DISABLED AT", "disabled_at"},
                     {"RENEWED, COUNTS UNTIL", "ends_at"}},
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

Option name_option(const char* help, bool required = true) {
  return {"NAME", Option::Kind::kAdministrator, help, required};
}

Option role_option() { return {"--role", Option::Kind::kChoice, "what they may do", true, false, kRoles}; }

Option csr_option() {
  return {"--csr", Option::Kind::kFile,
          "PKCS #10, PEM or DER, of a key that stays with its owner: only NAME.pem is written"};
}

Option out_option(const char* help) { return {"--out", Option::Kind::kFolder, help}; }

Option pkcs12_option(bool required = false) {
  return {"--pkcs12", Option::Kind::kFile,
          "write certificate and key for a browser too; the passphrase is asked for, or a line of standard input",
          required};
}

constexpr const char* kOutHelp =
    "folder for the files (default: admin in the state directory; of a context the current one)";

}  // namespace

std::vector<Command> administrator_commands() {
  return {
      {"administrator request",
       "Makes a key where its owner sits, and a request for an admin: NAME.key, NAME.csr; needs no server",
       "capfctl administrator request olga --out ~/capf",
       {name_option("letters, digits, '.', '_', '-' or '@'"),
        out_option("folder for the files (default: the current one)"), output_option()},
       request_one},
      {"administrator add",
       "Appoints one, by a request of theirs; without --csr it makes their key here, NAME.key and NAME.pem",
       "capfctl administrator add olga --role operator --csr olga.csr --out .",
       {name_option("letters, digits, '.', '_', '-' or '@'"),
        role_option(),
        csr_option(),
        {"--request", Option::Kind::kFile, "the former name of --csr"},
        out_option(kOutHelp),
        pkcs12_option(),
        output_option()},
       add},
      {"administrator renew",
       "Renews one's own certificate, with a new key, in the last third of its life; or that of NAME, by a request",
       "capfctl administrator renew",
       {name_option("whose (default: one's own)", false), csr_option(), out_option(kOutHelp), pkcs12_option(),
        output_option()},
       renew},
      {"administrator change",
       "Gives an administrator another role from now on",
       "capfctl administrator change olga --role admin",
       {name_option("the administrator"), role_option(), output_option()},
       change},
      {"administrator enable",
       "Enables a disabled one, with the role of before and a new certificate: the one of before is refused for ever",
       "capfctl administrator enable olga --csr olga.csr --out .",
       {name_option("the administrator"), csr_option(), out_option(kOutHelp), pkcs12_option(), output_option()},
       enable},
      {"administrator export",
       "Writes one's own certificate and key as PKCS #12, for a browser; needs no server",
       "capfctl administrator export --pkcs12 olga.p12",
       {pkcs12_option(true), output_option()},
       export_own},
      {"administrator list", "Lists administrators", "capfctl administrator list", {output_option()}, list},
      {"administrator disable",
       "Refuses an administrator from now on",
       "capfctl administrator disable monitoring --yes",
       {name_option("the administrator"), yes_option(), output_option()},
       disable},
  };
}

}  // namespace capf::cli
