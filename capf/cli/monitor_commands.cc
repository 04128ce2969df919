#include <fstream>
#include <iostream>
#include <string>

#include "capf/cli/devices.h"
#include "capf/cli/pages.h"
#include "capf/cli/seals.h"
#include "capf/client/json.h"

namespace capf::cli {
namespace {

Result<int> summary(const Arguments& arguments, Connection& server) {
  CAPF_LET(const auto response, server.call(v1::GetSummaryRequest()));
  show(std::cout, arguments.format(), to_json(response));
  return 0;
}

std::vector<Column> event_columns() {
  return {{"AT", "at"},           {"ACTOR", "actor"},        {"ADDRESS", "address", 3}, {"ACTION", "action"},
          {"SUBJECT", "subject"}, {"OUTCOME", "outcome", 1}, {"REASON", "reason", 2},   {"DETAIL", "detail", 2}};
}

Result<int> list_audit(const Arguments& arguments, Connection& server) {
  v1::ListAuditRequest request;
  request.set_subject(arguments.text("--subject"));
  request.set_actor(arguments.text("--actor"));
  request.set_action(arguments.text("--action"));
  request.set_refusals(arguments.has("--refusals"));
  if (const auto time = arguments.time("--since")) set_time(*request.mutable_since(), *time);
  if (const auto end = end_of(arguments)) set_time(*request.mutable_until(), *end);
  if (request.refusals()) {
    return print_pages(
        arguments, server, request,
        {{"MINUTE", "minute"},
         {"ADDRESS", "address_block"},
         {"DEVICE", "device"},
         {"REASON", "reason"},
         {"COUNT", "count"}},
        [](const auto& response) -> auto& { return response.refusals(); });
  }
  return print_pages(
      arguments, server, request, event_columns(), [](const auto& response) -> auto& { return response.events(); });
}

/// "phone history": the part of the record that an operator may read too.
Result<int> phone_history(const Arguments& arguments, Connection& server) {
  v1::ListPhoneHistoryRequest request;
  request.set_device(named_device(arguments));
  if (const auto time = arguments.time("--since")) set_time(*request.mutable_since(), *time);
  if (const auto end = end_of(arguments)) set_time(*request.mutable_until(), *end);
  std::vector<Column> columns = event_columns();
  columns.erase(columns.begin() + 4);  // the subject is the device
  return print_pages(
      arguments, server, request, std::move(columns), [](const auto& response) -> auto& { return response.events(); });
}

/// Verifies the server's seals after `after`. @return the last answer, which has no batches.
Result<v1::ListSealsResponse> verify_server(Connection& server, std::int64_t after, SealVerifier& verifier) {
  v1::ListSealsRequest request;
  request.set_after(after);
  while (true) {
    CAPF_LET(const auto response, server.call(request));
    for (const v1::SealedBatch& batch : response.batches()) {
      // A server that repeats its answers must not keep this loop running for ever.
      if (batch.seal().number() <= request.after()) return fail(Reason::kRecordBroken, "the seals are out of order");
      verifier.take(batch);
      request.set_after(batch.seal().number());
    }
    if (response.batches().empty()) return response;
  }
}

Status verify_archive(const std::string& path, SealVerifier& verifier) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail(Reason::kInvalidRequest, path + " cannot be read");
  std::size_t number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    v1::SealedBatch batch;
    if (const Status parsed = client::parse_json(line, batch); !parsed || !batch.has_seal()) {
      return fail(Reason::kRecordBroken, path + ", line " + std::to_string(number) + ": no sealed batch");
    }
    verifier.take(batch);
  }
  if (file.bad()) return fail(Reason::kInvalidRequest, path + " cannot be read");
  return {};
}

Result<Anchors> anchors_of(const std::string& file) {
  constexpr std::size_t kLargestAnchor = 1024UL * 1024 * 1024;
  if (file.empty()) return Anchors();
  CAPF_LET(const std::string text, client::read_file(file, kLargestAnchor));
  Anchors anchors = read_anchors(text);
  if (anchors.empty()) return fail(Reason::kInvalidRequest, file + " has no line with \"number=N sha256=...\"");
  return anchors;
}

Result<int> verify_audit(const Arguments& arguments, Connection& server) {
  constexpr std::size_t kLargestKey = 16384;
  const std::vector<std::string> archives = arguments.list("--archive");
  if (arguments.has("--offline") && archives.empty()) return report_usage("--offline needs --archive FILE");
  std::string key_file = arguments.text("--audit-key");
  if (key_file.empty()) key_file = server.place().state + "/certificates/audit.pub";
  CAPF_LET(const std::string key, client::read_trusted(key_file, kLargestKey));
  CAPF_LET(Anchors anchors, anchors_of(arguments.text("--anchor")));
  SealVerifier verifier(key, std::move(anchors));
  for (const std::string& path : archives) CAPF_TRY(verify_archive(path, verifier));
  v1::ListSealsResponse rest;
  if (!arguments.has("--offline")) {
    CAPF_LET(rest, verify_server(server, verifier.last(), verifier));
    verifier.take_unsealed(rest, SystemClock().now());
  }
  verifier.finish();
  Json::Array findings;
  for (const std::string& finding : verifier.findings()) findings.emplace_back(finding);
  Json::Array remarks;
  for (const std::string& remark : verifier.remarks()) remarks.emplace_back(remark);
  show(std::cout, arguments.format(),
       Json::Object{{"first_seal", verifier.first()},
                    {"last_seal", verifier.last()},
                    {"events", verifier.events()},
                    {"unsealed", rest.unsealed()},
                    {"anchor", text_or_null(verifier.anchor())},
                    {"remarks", remarks},
                    {"findings", findings}});
  if (verifier.findings().empty()) return 0;
  return fail(Reason::kRecordBroken, std::to_string(verifier.findings().size()) + " findings");
}

/// "security watch": one line, or one JSON object, for each change.
Result<int> watch_security(const Arguments& arguments, Connection& server) {
  std::int64_t left = arguments.number("--limit").value_or(-1);
  const Style style = arguments.format();
  const auto each = [&](const v1::SecurityChange& change) {
    const Json row = to_json(change);
    if (style.is_json()) {
      std::cout << row.dump() << std::endl;
    } else {
      std::cout << line_of(style, {row["at"], row["kind"], row["device"], row["profile"], row["mode"],
                                   row["effective_mode"], row["reason"], row["serial"], row["digest_user"]})
                << std::endl;
    }
    return left < 0 || --left > 0;
  };
  CAPF_TRY(server.watch(arguments.text("--after"), each));
  return 0;
}

}  // namespace

std::vector<Command> monitor_commands() {
  return {
      {"summary",
       "Counts: open operations, those that ended and why in the last 24 hours, refusals of the last hour, what "
       "expires",
       "capfctl summary --output json",
       {output_option()},
       summary},
      {"security watch",
       "Prints changes of modes, of digest users, and withdrawn certificates as they happen, for a SIP server to go by",
       "capfctl security watch --output json",
       {{"--after", Option::Kind::kText,
         "the cursor of the last change that was read, up to 30 days old (default: from now on)"},
        limit_option(),
        output_option()},
       watch_security},
      {"phone history",
       "Lists what the record has of a phone: who did what with it",
       "capfctl phone history SEP001122334455 --since -30d",
       {{"DEVICE", Option::Kind::kDevice, "the device name", true},
        as_written_option(),
        {"--since", Option::Kind::kTime, "only from then on"},
        until_option("only until then"),
        newest_option(),
        limit_option(),
        output_option()},
       phone_history},
      {"audit list",
       "Lists the record of changes and refusals",
       "capfctl audit list --subject SEP001122334455 --since 2030-01-01",
       {{"--subject", Option::Kind::kText, "what it happened to: a device, a serial number, an administrator"},
        {"--actor", Option::Kind::kText, "who did it"},
        {"--action", Option::Kind::kText, "what happened, or its first part: operation"},
        {"--since", Option::Kind::kTime, "only from then on"},
        until_option("only until then"),
        {"--refusals", Option::Kind::kFlag, "the counted refusals of strangers instead"},
        newest_option(),
        limit_option(),
        output_option()},
       list_audit},
      {"audit verify",
       "Checks here, by the audit key alone, that the record is as it was sealed",
       "capfctl audit verify --anchor capfd.log",
       {{"--audit-key", Option::Kind::kFile, "its public half (default: DIR/certificates/audit.pub)"},
        {"--archive", Option::Kind::kFile, "archived months, the oldest first; the server's record follows", false,
         true},
        {"--offline", Option::Kind::kFlag, "the archived months alone: no server is asked"},
        {"--anchor", Option::Kind::kFile, "seals of before: a server's log, or what this command once said"},
        output_option()},
       verify_audit},
  };
}

}  // namespace capf::cli
