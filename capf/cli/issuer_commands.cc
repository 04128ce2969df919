#include <algorithm>
#include <iostream>

#include <botan/mem_ops.h>
#include <botan/pem.h>

#include "capf/base/secret.h"
#include "capf/cli/pages.h"
#include "capf/client/key.h"
#include "capf/client/site.h"

namespace capf::cli {
namespace {

constexpr std::size_t kLargestFile = 65536;

Result<int> list(const Arguments& arguments, Connection& server) {
  CAPF_LET(const auto response, server.call(v1::ListIssuersRequest()));
  return print_rows(arguments,
                    {{"ID", "id"},
                     {"STATE", "state"},
                     {"SUBJECT", "subject"},
                     {"NOT BEFORE", "not_before"},
                     {"NOT AFTER", "not_after"},
                     {"SHA-256", "sha256"}},
                    response.issuers());
}

/// Writes the active issuer, the former ones, then the CAs above them, each certificate once.
Result<int> export_certificates(const Arguments& arguments, Connection& server) {
  CAPF_LET(const auto response, server.call(v1::ListIssuersRequest()));
  std::vector<std::string> certificates;
  const auto add = [&](const std::string& der) {
    if (std::find(certificates.begin(), certificates.end(), der) == certificates.end()) certificates.push_back(der);
  };
  if (arguments.has("--wire")) {
    if (response.wire_certificate().empty()) {
      return fail(Reason::kUnknownCertificate, "this server has no certificate for the wire protocol");
    }
    add(response.wire_certificate());
    for (const auto& other : response.wire_certificates()) add(other.der());
  } else {
    for (const bool active : {true, false}) {
      for (const auto& issuer : response.issuers()) {
        if (issuer.active() == active) add(issuer.der());
      }
    }
    for (const auto& issuer : response.issuers()) {
      for (const std::string& above : issuer.chain()) add(above);
    }
  }
  for (const std::string& der : certificates) std::cout << client::certificate_pem(as_bytes(der));
  std::cout.flush();
  return 0;
}

Result<int> show_issuer(const Arguments& arguments, Connection& server) {
  v1::GetIssuerRequest request;
  request.set_id(*arguments.number("ID"));
  CAPF_LET(const auto response, server.call(request));
  show(std::cout, arguments.format(), to_json(response));
  return 0;
}

/// Reads an existing CA's files into the request. Errors: INVALID_REQUEST.
Status read_import(const Arguments& arguments, v1::AddIssuerRequest& request) {
  const std::string pkcs12 = arguments.text("--import-pkcs12");
  if (!pkcs12.empty()) {
    CAPF_LET(const Secret file, read_secret_file(pkcs12, kLargestFile));
    request.set_certificates(std::string(file.text()));
  } else {
    CAPF_LET(*request.mutable_certificates(), client::read_file(arguments.text("--import-certificate"), kLargestFile));
    CAPF_LET(const Secret key, read_secret_file(arguments.text("--import-key"), kLargestFile));
    request.set_private_key(std::string(key.text()));
  }
  if (arguments.has("--import-passphrase")) {
    CAPF_LET(const Secret passphrase, read_secret(arguments.text("--import-passphrase")));
    request.set_passphrase(std::string(passphrase.text()));
  }
  return {};
}

Result<int> add(const Arguments& arguments, Connection& server) {
  v1::AddIssuerRequest request;
  const bool pem = arguments.has("--import-certificate") || arguments.has("--import-key");
  const bool imports = pem || arguments.has("--import-pkcs12");
  const bool answers = arguments.has("--certificate");
  const bool brings = imports || answers;
  if (pem && arguments.has("--import-pkcs12")) return report_usage("import either PEM files or a PKCS #12 file");
  if (pem && !(arguments.has("--import-certificate") && arguments.has("--import-key"))) {
    return report_usage("--import-certificate and --import-key go together");
  }
  if (imports && answers) return report_usage("--certificate is for a key that was made with --csr-only");
  if (brings && (arguments.has("--key") || arguments.has("--key-uri") || arguments.has("--subject") ||
                 arguments.has("--days") || arguments.has("--csr-only"))) {
    return report_usage("a CA that is brought has its key, subject and validity already");
  }
  if (arguments.has("--csr-only") && (arguments.has("--days") || arguments.has("--shards"))) {
    return report_usage("validity and shards are said when the certificate is there");
  }
  if (!imports && arguments.has("--import-passphrase")) return report_usage("--import-passphrase needs an import");
  if (imports) CAPF_TRY(read_import(arguments, request));
  if (answers) {
    CAPF_LET(*request.mutable_certificates(), client::read_file(arguments.text("--certificate"), kLargestFile));
  }
  request.set_token(arguments.text("--key-uri"));
  request.set_request_only(arguments.has("--csr-only"));
  if (!brings) request.set_key(arguments.text("--key"));
  if (!brings && request.key().empty() && request.token().empty()) request.set_key("rsa-2048");
  request.set_subject(arguments.text("--subject"));
  if (const auto days = arguments.number("--days")) request.set_days(static_cast<int>(std::min(*days, 100000L)));
  if (const auto shards = arguments.number("--shards"))
    request.set_shards(static_cast<int>(std::min(*shards, 100000L)));
  auto response = server.call(request);
  for (std::string* secret :
       {request.mutable_certificates(), request.mutable_private_key(), request.mutable_passphrase()}) {
    Botan::secure_scrub_memory(secret->data(), secret->size());
  }
  if (!response) return fail(response.error());
  if (request.request_only()) {
    std::cout << Botan::PEM_Code::encode(as_bytes(response->certification_request()).data(),
                                         response->certification_request().size(), "CERTIFICATE REQUEST");
    return 0;
  }
  show(std::cout, arguments.format(), to_json(response->issuer()));
  return 0;
}

Result<int> rekey_passphrase(const Arguments& arguments, Connection& server) {
  return run_capfd("rekey-passphrase", {"--passphrase", "--new-passphrase"}, arguments, server);
}

Result<int> activate(const Arguments& arguments, Connection& server) {
  v1::ActivateIssuerRequest request;
  request.set_id(*arguments.number("ID"));
  request.set_force(arguments.has("--force"));
  CAPF_LET(const auto response, server.call(request));
  show(std::cout, arguments.format(), to_json(response.issuer()));
  return 0;
}

Result<int> retire(const Arguments& arguments, Connection& server) {
  v1::RetireIssuerRequest request;
  request.set_id(*arguments.number("ID"));
  request.set_force(arguments.has("--force"));
  const std::string question = "Retire issuer " + std::to_string(request.id()) + " for ever?";
  if (const auto code = confirm(arguments, question)) return *code;
  CAPF_LET(const auto response, server.call(request));
  show(std::cout, arguments.format(), to_json(response.issuer()));
  return 0;
}

}  // namespace

std::vector<Command> issuer_commands() {
  const Option which{"ID", Option::Kind::kNumber, "as 'issuer list' shows it", true};
  return {
      {"issuer list", "Lists the generations of the CAPF certificate", "capfctl issuer list", {output_option()}, list},
      {"issuer export",
       "Prints the issuers as PEM: the active one, the next one, former ones, what stands above them",
       "capfctl issuer export > capf.pem && openssl verify -CAfile capf.pem SEP001122334455.pem",
       {{"--wire", Option::Kind::kFlag,
         "the certificates of the wire protocol's port instead, now and next, for phones' trust lists"}},
       export_certificates},
      {"issuer show",
       "Shows an issuer, what is left under it, and which servers have its key",
       "capfctl issuer show 1 --output json",
       {which, output_option()},
       show_issuer},
      {"issuer add",
       "Makes, imports or requests the next issuer; it issues nothing before it is activated",
       "capfctl issuer add --key p-256 --subject 'CN=CAPF-2,O=Example,C=DE'",
       {{"--key",
         Option::Kind::kChoice,
         "the new key (default: rsa-2048)",
         false,
         false,
         {"rsa-2048", "rsa-3072", "rsa-4096", "p-256", "p-384"}},
        {"--key-uri", Option::Kind::kText,
         "RFC 7512: where in a token of the server the key is to be, or, without --key, is already"},
        {"--csr-only", Option::Kind::kFlag,
         "prints a request for a CA that signs offline; the key waits on the server"},
        {"--certificate", Option::Kind::kFile, "what that CA has made, with its chain, in PEM"},
        {"--subject", Option::Kind::kText, "RFC 4514 (default: CN=CAPF- and 8 hex digits, O=CAPF)"},
        {"--days", Option::Kind::kNumber, "how long it is valid (default: 3650)"},
        {"--shards", Option::Kind::kNumber, "into how many CRLs its certificates are divided (default: 1)"},
        {"--import-certificate", Option::Kind::kFile, "an existing CA's certificate, with its chain, in PEM"},
        {"--import-key", Option::Kind::kFile, "its key in PEM"},
        {"--import-pkcs12", Option::Kind::kFile, "both in a PKCS #12 file"},
        {"--import-passphrase", Option::Kind::kText, "where its passphrase is: file:PATH, fd:N or env:NAME"},
        output_option()},
       add},
      {"issuer rekey-passphrase",
       "Encrypts every key of the state directory under a new passphrase; run it on the server",
       "capfctl issuer rekey-passphrase --new-passphrase file:next",
       {{"--passphrase", Option::Kind::kText,
         "where the present one is: file:PATH, fd:N, env:NAME or credential:NAME (default: as capfd.toml says)"},
        {"--new-passphrase", Option::Kind::kText, "where the new one is", true}},
       rekey_passphrase},
      {"issuer activate",
       "Lets an issuer issue from now on; the one that did stays trusted, and 'campaign create --issuer' moves its "
       "phones",
       "capfctl issuer activate 2",
       {which,
        {"--force", Option::Kind::kFlag, "even where a server does not have its key and will refuse phones"},
        output_option()},
       activate},
      {"issuer retire",
       "Ends an issuer that nothing valid is left of, when its campaign has ended",
       "capfctl issuer retire 1 --yes",
       {which,
        {"--force", Option::Kind::kFlag, "revokes the certificates that are left"},
        yes_option(),
        output_option()},
       retire},
  };
}

}  // namespace capf::cli
