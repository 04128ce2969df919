#include <iostream>

#include <unistd.h>

#include "capf/cli/devices.h"
#include "capf/cli/pages.h"
#include "capf/client/key.h"

namespace capf::cli {
namespace {

const std::vector<Column> kColumns{{"SERIAL", "serial"},
                                   {"DEVICE", "device"},
                                   {"KIND", "kind"},
                                   {"STATE", "state"},
                                   {"REASON", "revocation_reason"},
                                   {"NOT BEFORE", "not_before"},
                                   {"NOT AFTER", "not_after"},
                                   {"ISSUER", "issuer"}};

Result<int> list(const Arguments& arguments, Server& server) {
  v1::ListCertificatesRequest request;
  request.set_device(arguments.text("--device"));
  request.set_state(arguments.text("--state"));
  if (const auto issuer = arguments.number("--issuer")) request.set_issuer(*issuer);
  if (const auto time = arguments.time("--expires-before")) set_time(*request.mutable_expires_before(), *time);
  return print_pages(
      arguments, server, request, kColumns, [](const auto& response) -> auto& { return response.certificates(); });
}

Result<v1::GetCertificateResponse> get(const Arguments& arguments, Server& server) {
  v1::GetCertificateRequest request;
  request.set_serial_or_device(serial_or_device(arguments.text("SERIAL|DEVICE")));
  return server.call(request);
}

Result<int> show_certificate(const Arguments& arguments, Server& server) {
  CAPF_LET(const auto response, get(arguments, server));
  show(std::cout, arguments.format(), to_json(response.certificate()));
  return 0;
}

Result<int> export_certificate(const Arguments& arguments, Server& server) {
  const bool der = arguments.text("--format") == "der";
  const std::string path = arguments.text("--out");
  if (der && arguments.has("--chain")) return report_usage("DER holds one certificate: --chain needs --format pem");
  if (der && path.empty() && ::isatty(STDOUT_FILENO) != 0) {
    return report_usage("DER is not for a terminal: name a file with --out");
  }
  CAPF_LET(const auto response, get(arguments, server));
  std::string data =
      der ? response.certificate().der() : client::certificate_pem(as_bytes(response.certificate().der()));
  if (arguments.has("--chain")) {
    for (const std::string& issuer : response.chain()) data += client::certificate_pem(as_bytes(issuer));
  }
  if (path.empty()) {
    std::cout << data << std::flush;
  } else {
    CAPF_TRY(write_new_file(path, as_bytes(data)));
  }
  return 0;
}

Result<int> revoke(const Arguments& arguments, Server& server) {
  v1::RevokeCertificatesRequest request;
  request.set_serial_or_device(serial_or_device(arguments.text("SERIAL|DEVICE")));
  request.set_reason(arguments.text("--reason"));
  const std::string question = "Revoke " + request.serial_or_device() + " for " + request.reason() + "?";
  if (const auto code = confirm(arguments, question)) return *code;
  CAPF_LET(const auto response, server.call(request));
  if (response.device_blocked()) warn("the device is blocked now; 'capfctl phone unblock' lets it come again");
  return print_rows(arguments, kColumns, response.certificates());
}

Result<int> verify(const Arguments& arguments, Server& server) {
  v1::VerifyCertificatesRequest request;
  const TimePoint since = arguments.time("--since").value_or(SystemClock().now() - std::chrono::hours{24});
  set_time(*request.mutable_since(), since);
  List list(std::cout, arguments.format(),
            {{"SERIAL", "serial"}, {"DEVICE", "device"}, {"WHAT", "what"}, {"MESSAGE", "message"}});
  std::int64_t checked = 0;
  std::int64_t findings = 0;
  while (true) {
    CAPF_LET(const auto response, server.call(request));
    for (const auto& finding : response.findings()) list.add(to_json(finding));
    checked += response.checked();
    findings += response.findings_size();
    if (!response.has_since()) break;
    *request.mutable_since() = response.since();
    request.set_after(response.after());
  }
  list.finish();
  warn(std::to_string(checked) + " certificates checked, " + std::to_string(findings) + " findings");
  return findings == 0 ? 0 : 1;
}

}  // namespace

std::vector<Command> certificate_commands() {
  const Option which{"SERIAL|DEVICE", Option::Kind::kText, "a serial number, or a device: its newest valid LSC", true};
  return {
      {"certificate list",
       "Lists certificates",
       "capfctl certificate list --expires-before +30d --state confirmed",
       {{"--device", Option::Kind::kText, "only those of this device"},
        {"--state",
         Option::Kind::kChoice,
         "only these",
         false,
         false,
         {"issued", "confirmed", "superseded", "revoked", "expired"}},
        {"--issuer", Option::Kind::kNumber, "only those of this issuer, by its id"},
        {"--expires-before", Option::Kind::kTime, "a time, or from now on: +30d"},
        limit_option(),
        output_option()},
       list},
      {"certificate show",
       "Shows a certificate",
       "capfctl certificate show SEP001122334455 --output json",
       {which, output_option()},
       show_certificate},
      {"certificate export",
       "Writes a certificate as PEM or DER",
       "capfctl certificate export SEP001122334455 --chain --out SEP001122334455.pem",
       {which,
        {"--format", Option::Kind::kChoice, "the encoding (default: pem)", false, false, {"pem", "der"}},
        {"--chain", Option::Kind::kFlag, "with its issuer and what stands above it"},
        {"--out", Option::Kind::kFile, "a new file (default: standard output)"}},
       export_certificate},
      {"certificate revoke",
       "Revokes a certificate, or all of a device that have not expired",
       "capfctl certificate revoke SEP001122334455 --reason keyCompromise --yes",
       {which,
        {"--reason",
         Option::Kind::kChoice,
         "in RFC 5280's spelling; keyCompromise also blocks the device",
         true,
         false,
         {"unspecified", "keyCompromise", "cACompromise", "affiliationChanged", "superseded", "cessationOfOperation",
          "certificateHold", "privilegeWithdrawn", "aACompromise"}},
        yes_option(),
        output_option()},
       revoke},
      {"certificate verify",
       "Re-reads what was issued, and what stands on record of it, with code of its own",
       "capfctl certificate verify --since 2030-01-01",
       {{"--since", Option::Kind::kTime, "issued from then on (default: in the last 24 hours)"}, output_option()},
       verify},
  };
}

}  // namespace capf::cli
