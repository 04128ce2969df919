#include <iostream>

#include "capf/cli/pages.h"
#include "capf/client/key.h"
#include "capf/client/site.h"
#include "capf/domain/page.h"
#include "capf/domain/trust_role.h"

namespace capf::cli {
namespace {

Result<int> add(const Arguments& arguments, Connection& server) {
  v1::AddTrustedCertificateRequest request;
  auto file = client::read_file(arguments.text("FILE"), kLargestCertificateFile);
  if (!file) return report_usage(file.error().message);
  request.set_certificate(*std::move(file));
  for (const std::string& role : arguments.list("--role")) request.add_roles(role);
  request.set_dns(arguments.text("--dns"));
  request.set_address(arguments.text("--address"));
  request.set_vouch_only(arguments.has("--vouch-only"));
  CAPF_LET(const auto response, server.call(request));
  for (const std::string& warning : response.warnings()) warn(warning);
  show(std::cout, arguments.format(), to_json(response.certificate()));
  return 0;
}

Result<int> list(const Arguments& arguments, Connection& server) {
  return print_pages(
      arguments, server, v1::ListTrustedCertificatesRequest(),
      {{"SHA-256", "sha256"},
       {"ROLES", "roles"},
       {"NOT AFTER", "not_after"},
       {"DNS", "dns"},
       {"ADDRESS", "address"},
       {"VOUCH ONLY", "vouch_only"},
       {"BLOCKED", "blocked"},
       {"SUBJECT", "subject"}},
      [](const auto& response) -> auto& { return response.certificates(); });
}

Result<int> remove(const Arguments& arguments, Connection& server) {
  v1::RemoveTrustedCertificateRequest request;
  request.set_sha256(arguments.text("SHA256"));
  const std::string question = "Shall phones trust " + request.sha256() + " no longer?";
  if (const auto code = confirm(arguments, question)) return *code;
  CAPF_LET(const auto response, server.call(request));
  show(std::cout, arguments.format(), to_json(response.certificate()));
  return 0;
}

std::vector<std::string> role_names() {
  std::vector<std::string> names;
  for (const TrustRole role : kTrustRoles) names.emplace_back(to_string(role));
  return names;
}

}  // namespace

std::vector<Command> trust_list_commands() {
  return {
      {"trust-list certificate add",
       "Adds a certificate of others that phones are to trust",
       "capfctl trust-list certificate add sip.pem --role ccm --dns sip.example.org",
       {{"FILE", Option::Kind::kFile, "PEM, DER or PKCS #7 with one certificate", true},
        {"--role", Option::Kind::kChoice, "for what they are to trust it", true, true, role_names()},
        {"--dns", Option::Kind::kText, "the server's name, for the list"},
        {"--address", Option::Kind::kText, "the server's IPv4 address, for the list"},
        {"--vouch-only", Option::Kind::kFlag, "in no list: the Trust Verification Service vouches for it"},
        output_option()},
       add},
      {"trust-list certificate list",
       "Lists the certificates of others that phones are to trust",
       "capfctl trust-list certificate list",
       {limit_option(), output_option()},
       list},
      {"trust-list certificate remove",
       "Lets phones trust a certificate of others no longer",
       "capfctl trust-list certificate remove 6a3f0c91 --yes",
       {{"SHA256", Option::Kind::kText, "its SHA-256 in hexadecimal, at least 8 digits", true},
        yes_option(),
        output_option()},
       remove},
  };
}

}  // namespace capf::cli
