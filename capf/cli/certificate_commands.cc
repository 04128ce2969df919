#include <algorithm>
#include <iostream>

#include <unistd.h>

#include "capf/cli/devices.h"
#include "capf/cli/pages.h"
#include "capf/cli/selection.h"
#include "capf/client/key.h"
#include "capf/client/site.h"
#include "capf/domain/page.h"

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

Result<int> list(const Arguments& arguments, Connection& server) {
  v1::ListCertificatesRequest request;
  request.set_device(named_device(arguments, "--device"));
  request.set_state(arguments.text("--state"));
  if (const auto issuer = arguments.number("--issuer")) request.set_issuer(*issuer);
  if (const auto time = arguments.time("--expires-before")) set_time(*request.mutable_expires_before(), *time);
  return print_pages(
      arguments, server, request, kColumns, [](const auto& response) -> auto& { return response.certificates(); });
}

Result<v1::GetCertificateResponse> get(const Arguments& arguments, Connection& server) {
  v1::GetCertificateRequest request;
  request.set_serial_or_device(named_certificate(arguments));
  return server.call(request);
}

Result<int> show_certificate(const Arguments& arguments, Connection& server) {
  CAPF_LET(const auto response, get(arguments, server));
  show(std::cout, arguments.format(), to_json(response.certificate()));
  return 0;
}

Result<int> export_certificate(const Arguments& arguments, Connection& server) {
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

constexpr int kSample = 20;

/// Lists what a revocation of them would revoke: a sample for people, all of it for programs.
Result<int> list_selected(const Arguments& arguments, Connection& server,
                          const std::vector<v1::CertificateSelection>& slices) {
  const bool all = arguments.format().for_programs();
  List list(std::cout, arguments.format(), kColumns);
  std::int64_t count = 0;
  std::int64_t devices = 0;
  int shown = 0;
  for (const v1::CertificateSelection& slice : slices) {
    v1::SelectCertificatesRequest request;
    *request.mutable_selection() = slice;
    request.set_reason(arguments.text("--reason"));
    request.mutable_page()->set_size(all ? kLargestPage : kSample);
    do {
      CAPF_LET(const auto response, server.call(request));
      count += response.count();
      devices += response.devices();
      for (const auto& certificate : response.certificates()) {
        if (all || shown++ < kSample) list.add(to_json(certificate));
      }
      request.mutable_page()->set_token(response.next_page_token());
    } while ((all || shown < kSample) && !request.page().token().empty());
  }
  list.finish();
  warn(std::to_string(count) + " certificates of " + std::to_string(devices) +
       " devices would be revoked; nothing was done");
  return 0;
}

Result<int> revoke_selection(const Arguments& arguments, Connection& server) {
  CAPF_LET(const auto slices, chosen_certificates(arguments));
  if (arguments.has("--dry-run")) return list_selected(arguments, server, slices);
  const std::string reason = arguments.text("--reason");
  std::vector<std::int64_t> counts;
  std::int64_t count = 0;
  std::int64_t devices = 0;
  for (const v1::CertificateSelection& slice : slices) {
    v1::SelectCertificatesRequest request;
    *request.mutable_selection() = slice;
    request.set_reason(reason);
    request.mutable_page()->set_size(1);
    CAPF_LET(const auto response, server.call(request));
    counts.push_back(response.count());
    count += response.count();
    devices += response.devices();
  }
  if (count == 0) warn("there is no certificate in this selection that could be revoked");
  const std::string question = "Revoke " + std::to_string(count) + " certificates of " + std::to_string(devices) +
                               " devices for " + reason +
                               (reason == "keyCompromise" ? ", and block the devices?" : "?");
  if (count > 0) {
    if (const auto code = confirm(arguments, question)) return *code;
  }
  std::int64_t revoked = 0;
  std::int64_t others = 0;
  std::int64_t blocked = 0;
  for (std::size_t i = 0; i < slices.size(); ++i) {
    v1::RevokeSelectionRequest request;
    *request.mutable_selection() = slices[i];
    request.set_reason(reason);
    request.set_count(counts[i]);
    do {
      const auto response = server.call(request);
      if (!response) {
        if (revoked > 0) warn(std::to_string(revoked) + " were revoked; the same command goes on with the others");
        return fail(response.error());
      }
      revoked += response->revoked();
      others += response->others();
      blocked += response->devices_blocked();
      request.set_count(request.count() - response->revoked());
      request.set_cursor(response->cursor());
    } while (!request.cursor().empty());
  }
  show(std::cout, arguments.format(),
       Json::Object{{"revoked", revoked}, {"others_of_their_devices", others}, {"devices_blocked", blocked}});
  return 0;
}

/// The SHA-256 of a SubjectPublicKeyInfo, written out or as a file that holds it. Errors: KEY_ENCODING,
/// INVALID_REQUEST.
Result<v1::RevokeKeyRequest> named_key(const std::string& name) {
  v1::RevokeKeyRequest request;
  if (const auto digits = parse_hex(name); digits && digits->size() == std::tuple_size_v<Sha256>) {
    request.set_key_sha256(std::string(as_text(*digits)));
    return request;
  }
  CAPF_LET(const std::string file, client::read_file(name, kLargestCertificateFile));
  CAPF_LET(const Bytes key, client::public_key_of_file(file));
  request.set_key_sha256(std::string(as_text(sha256(key))));
  request.set_public_key(std::string(as_text(key)));
  return request;
}

Result<int> revoke_key(const Arguments& arguments, Connection& server) {
  CAPF_LET(const v1::RevokeKeyRequest request, named_key(arguments.text("--key")));
  const std::string question = "Block the key " + to_hex(as_bytes(request.key_sha256())) +
                               " for ever, revoke its certificates and block its device?";
  if (const auto code = confirm(arguments, question)) return *code;
  CAPF_LET(const auto response, server.call(request));
  if (!response.blocked_device().empty()) {
    warn(response.blocked_device() + " is blocked now; 'capfctl phone unblock' lets it come again, with another key");
  } else if (response.certificates().empty()) {
    warn("the key is refused from now on; no LSC on record has it");
  }
  return print_rows(arguments, kColumns, response.certificates());
}

Result<int> revoke(const Arguments& arguments, Connection& server) {
  const bool named = arguments.has("SERIAL|DEVICE");
  const bool by_key = arguments.has("--key");
  const bool selected = chooses_certificates(arguments);
  if (named + by_key + selected > 1) {
    return report_usage("either SERIAL|DEVICE, or --key, or the properties of a selection");
  }
  if (arguments.has("--dry-run") && (named || by_key)) return report_usage("--dry-run is for a selection");
  const std::string reason = arguments.text("--reason");
  if (by_key) {
    if (!reason.empty() && reason != "keyCompromise") return report_usage("--key is for --reason keyCompromise");
    return revoke_key(arguments, server);
  }
  if (reason.empty()) return report_usage("--reason is required");
  if (!named) return revoke_selection(arguments, server);
  v1::RevokeCertificatesRequest request;
  request.set_serial_or_device(named_certificate(arguments));
  request.set_reason(reason);
  const std::string question = "Revoke " + request.serial_or_device() + " for " + request.reason() + "?";
  if (const auto code = confirm(arguments, question)) return *code;
  CAPF_LET(const auto response, server.call(request));
  if (response.device_blocked()) warn("the device is blocked now; 'capfctl phone unblock' lets it come again");
  return print_rows(arguments, kColumns, response.certificates());
}

Result<int> release(const Arguments& arguments, Connection& server) {
  v1::ReleaseCertificatesRequest request;
  request.set_serial_or_device(named_certificate(arguments));
  CAPF_LET(const auto response, server.call(request));
  return print_rows(arguments, kColumns, response.certificates());
}

const std::vector<Column> kBlockedColumns{{"SHA-256", "sha256"},  {"BLOCKED AT", "blocked_at"},
                                          {"BY", "blocked_by"},   {"NOT AFTER", "not_after"},
                                          {"SUBJECT", "subject"}, {"ISSUER", "issuer"}};

Result<int> block(const Arguments& arguments, Connection& server) {
  v1::BlockCertificatesRequest request;
  for (const std::string& path : arguments.list("FILE")) {
    auto data = client::read_file(path, kLargestCertificateFile);
    if (!data) return report_usage(data.error().message);
    request.add_certificates(*std::move(data));
  }
  CAPF_LET(const auto response, server.call(request));
  return print_rows(arguments, kBlockedColumns, response.certificates());
}

Result<int> unblock(const Arguments& arguments, Connection& server) {
  v1::UnblockCertificateRequest request;
  request.set_sha256(arguments.text("SHA256"));
  CAPF_LET(const auto response, server.call(request));
  show(std::cout, arguments.format(), to_json(response.certificate()));
  return 0;
}

Result<int> list_blocked(const Arguments& arguments, Connection& server) {
  return print_pages(
      arguments, server, v1::ListBlockedCertificatesRequest(), kBlockedColumns,
      [](const auto& response) -> auto& { return response.certificates(); });
}

Result<int> verify(const Arguments& arguments, Connection& server) {
  v1::VerifyCertificatesRequest request;
  const TimePoint since = arguments.time("--since").value_or(SystemClock().now() - std::chrono::hours{24});
  set_time(*request.mutable_since(), since);
  if (const auto end = end_of(arguments)) set_time(*request.mutable_until(), *end);
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
  const Option which{"SERIAL|DEVICE", Option::Kind::kCertificate, "a serial number, or a device: its newest valid LSC",
                     true};
  return {
      {"certificate list",
       "Lists certificates",
       "capfctl certificate list --expires-before +30d --state confirmed",
       {{"--device", Option::Kind::kDevice, "only those of this device"},
        as_written_option(),
        {"--state",
         Option::Kind::kChoice,
         "only these",
         false,
         false,
         {"issued", "confirmed", "superseded", "revoked", "expired"}},
        {"--issuer", Option::Kind::kNumber, "only those of this issuer, by its id"},
        {"--expires-before", Option::Kind::kTime, "a time, or from now on: +30d"},
        newest_option(),
        limit_option(),
        output_option()},
       list},
      {"certificate show",
       "Shows a certificate",
       "capfctl certificate show SEP001122334455 --output json",
       {which, as_written_option(), output_option()},
       show_certificate},
      {"certificate export",
       "Writes a certificate as PEM or DER",
       "capfctl certificate export SEP001122334455 --chain --out SEP001122334455.pem",
       {which,
        as_written_option(),
        {"--format", Option::Kind::kChoice, "the encoding (default: pem)", false, false, {"pem", "der"}},
        {"--chain", Option::Kind::kFlag, "with its issuer and what stands above it"},
        {"--out", Option::Kind::kFile, "a new file (default: standard output)"}},
       export_certificate},
      {"certificate revoke",
       "Revokes a certificate, all of a device, whatever has a key, or a selection; only a hold can be taken back",
       "capfctl certificate revoke --device 'SEP0011*' --issued-after 2030-01-01 --reason keyCompromise --dry-run",
       with_certificates({{"SERIAL|DEVICE", Option::Kind::kCertificate,
                           "a serial number, or a device: all of its that have not expired"},
                          {"--reason",
                           Option::Kind::kChoice,
                           "in RFC 5280's spelling; keyCompromise also blocks the device",
                           false,
                           false,
                           {"unspecified", "keyCompromise", "cACompromise", "affiliationChanged", "superseded",
                            "cessationOfOperation", "certificateHold", "privilegeWithdrawn", "aACompromise"}},
                          {"--key", Option::Kind::kFile,
                           "a public key, certificate or request, or the SHA-256 of the public key: blocked for ever"},
                          {"--dry-run", Option::Kind::kFlag, "say what is selected, and do nothing"},
                          yes_option(),
                          output_option()}),
       revoke},
      {"certificate release",
       "Takes certificateHold back, of a certificate or all of a device",
       "capfctl certificate release SEP001122334455",
       {{"SERIAL|DEVICE", Option::Kind::kCertificate, "a serial number, or a device", true},
        as_written_option(),
        output_option()},
       release},
      {"certificate block",
       "Refuses other issuers' certificates, MICs above all, and their keys",
       "capfctl certificate block stolen-mic.pem",
       {{"FILE", Option::Kind::kFile, "PEM, DER or PKCS #7, one certificate in each", true, true}, output_option()},
       block},
      {"certificate unblock",
       "Lets a blocked certificate count again",
       "capfctl certificate unblock 6a3f0c91",
       {{"SHA256", Option::Kind::kText, "its SHA-256 in hexadecimal, at least 8 digits", true}, output_option()},
       unblock},
      {"certificate blocked",
       "Lists blocked certificates",
       "capfctl certificate blocked",
       {limit_option(), output_option()},
       list_blocked},
      {"certificate verify",
       "Re-reads what was issued, and what stands on record of it, with code of its own",
       "capfctl certificate verify --since 2030-01-01",
       {{"--since", Option::Kind::kTime, "issued from then on (default: in the last 24 hours)"},
        until_option("issued until then"),
        output_option()},
       verify},
  };
}

}  // namespace capf::cli
