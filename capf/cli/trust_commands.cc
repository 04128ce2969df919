#include <iostream>

#include "capf/cli/devices.h"
#include "capf/cli/pages.h"
#include "capf/client/key.h"
#include "capf/client/site.h"
#include "capf/domain/page.h"

namespace capf::cli {
namespace {

Result<int> add(const Arguments& arguments, Connection& server) {
  v1::AddAnchorsRequest request;
  request.set_store(arguments.text("STORE"));
  if (request.store() == "lsc" && (!arguments.has("--device") || !arguments.has("--ends"))) {
    return report_usage("another site's LSC issuer needs --device and --ends");
  }
  for (const std::string& path : arguments.list("FILE")) {
    auto data = client::read_file(path, kLargestCertificateFile);
    if (!data) return report_usage(data.error().message);
    request.add_certificates(*std::move(data));
  }
  request.set_devices(named_device(arguments, "--device"));
  request.set_models(arguments.text("--models"));
  request.set_allow_sha1(arguments.has("--allow-sha1"));
  request.set_min_rsa_bits(static_cast<std::int32_t>(arguments.number("--min-rsa-bits").value_or(0)));
  if (const auto time = arguments.deadline("--allow-expired-until"))
    set_time(*request.mutable_allow_expired_until(), *time);
  if (const auto time = arguments.deadline("--ends")) set_time(*request.mutable_ends_at(), *time);

  CAPF_LET(const auto response, server.call(request));
  List list(std::cout, arguments.format(),
            {{"SUBJECT", "subject"},
             {"ADDED", "added"},
             {"REASON", "reason"},
             {"SHA-256", "sha256"},
             {"MESSAGE", "message"}});
  bool any = false;
  for (const auto& outcome : response.outcomes()) {
    any = any || outcome.added();
    list.add(Json::Object{{"subject", outcome.subject()},
                          {"sha256", text_or_null(outcome.sha256())},
                          {"added", outcome.added()},
                          {"reason", text_or_null(outcome.reason())},
                          {"message", text_or_null(outcome.message())}});
  }
  list.finish();
  if (!any) warn("none was added");
  return any ? 0 : 1;
}

Result<int> list(const Arguments& arguments, Connection& server) {
  CAPF_LET(const auto response, server.call(v1::ListAnchorsRequest()));
  return print_rows(arguments,
                    {{"SHA-256", "sha256"},
                     {"STORE", "store"},
                     {"DEVICES", "devices"},
                     {"MODELS", "models"},
                     {"NOT AFTER", "not_after"},
                     {"ENDS", "ends_at"},
                     {"SHA-1", "allow_sha1"},
                     {"RSA BITS", "min_rsa_bits"},
                     {"EXPIRED UNTIL", "allow_expired_until"},
                     {"SUBJECT", "subject"}},
                    response.anchors());
}

Result<int> candidates(const Arguments& arguments, Connection& server) {
  CAPF_LET(const auto response, server.call(v1::ListTrustCandidatesRequest()));
  const Result<int> code = print_rows(arguments,
                                      {{"ISSUER", "issuer"},
                                       {"KEY IDENTIFIER", "key_identifier"},
                                       {"COUNT", "count"},
                                       {"LAST AT", "last_at"},
                                       {"DEVICES", "devices"},
                                       {"ADDRESSES", "addresses"},
                                       {"SHOWN", "subject"},
                                       {"SHA-256 OF IT", "certificate_sha256"}},
                                      response.candidates());
  if (code && !arguments.format().for_programs() && !response.candidates().empty()) {
    warn(
        "phones, or strangers in their names, said so: get the CA's certificate from its manufacturer, see that "
        "'openssl x509 -noout -subject -ext subjectKeyIdentifier' says the same of it, and then run 'capfctl trust add "
        "mic FILE' (or 'trust add lsc' for another site's issuer)");
  }
  return code;
}

Result<int> remove(const Arguments& arguments, Connection& server) {
  v1::RemoveAnchorRequest request;
  request.set_sha256(arguments.text("SHA256"));
  const std::string question = "Stop trusting " + request.sha256() + "?";
  if (const auto code = confirm(arguments, question)) return *code;
  CAPF_LET(const auto response, server.call(request));
  show(std::cout, arguments.format(), to_json(response.anchor()));
  return 0;
}

}  // namespace

std::vector<Command> trust_commands() {
  return {
      {"trust add",
       "Adds issuers of MICs, or of other sites' LSCs",
       "capfctl trust add mic cmca.pem crca2048.pem --device 'SEP*' --allow-sha1",
       {{"STORE", Option::Kind::kChoice, "whose certificates they issue", true, false, {"mic", "lsc"}},
        {"FILE", Option::Kind::kFile, "PEM, DER or PKCS #7, each may hold several", true, true},
        pattern_option("pattern of the devices they may speak for (default: all)"),
        as_written_option(),
        {"--models", Option::Kind::kText, "pattern of the models they may speak for (default: all)"},
        {"--allow-sha1", Option::Kind::kFlag, "take SHA-1 signatures below them"},
        {"--min-rsa-bits",
         Option::Kind::kChoice,
         "smallest key below them (default: 2048)",
         false,
         false,
         {"1024", "2048", "3072", "4096"}},
        {"--allow-expired-until", Option::Kind::kDeadline, "until then an expired MIC gets its first LSC"},
        {"--ends", Option::Kind::kDeadline, "trusted until then (default: until it expires)"},
        output_option()},
       add},
      {"trust list", "Lists the trust stores", "capfctl trust list", {output_option()}, list},
      {"trust candidates",
       "Lists issuers that are not trusted, by the certificates of the last 24 hours that were refused for it",
       "capfctl trust candidates",
       {output_option()},
       candidates},
      {"trust remove",
       "Removes an issuer from its trust store",
       "capfctl trust remove 6a3f0c91 --yes",
       {{"SHA256", Option::Kind::kText, "its SHA-256 in hexadecimal, at least 8 digits", true},
        yes_option(),
        output_option()},
       remove},
  };
}

}  // namespace capf::cli
