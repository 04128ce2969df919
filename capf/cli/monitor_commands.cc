#include <iostream>

#include "capf/cli/pages.h"

namespace capf::cli {
namespace {

Result<int> summary(const Arguments& arguments, Server& server) {
  CAPF_LET(const auto response, server.call(v1::GetSummaryRequest()));
  show(std::cout, arguments.format(), to_json(response));
  return 0;
}

Result<int> list_audit(const Arguments& arguments, Server& server) {
  v1::ListAuditRequest request;
  request.set_subject(arguments.text("--subject"));
  request.set_actor(arguments.text("--actor"));
  request.set_action(arguments.text("--action"));
  request.set_refusals(arguments.has("--refusals"));
  if (const auto time = arguments.time("--since")) set_time(*request.mutable_since(), *time);
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
      arguments, server, request,
      {{"AT", "at"},
       {"ACTOR", "actor"},
       {"ADDRESS", "address"},
       {"ACTION", "action"},
       {"SUBJECT", "subject"},
       {"OUTCOME", "outcome"},
       {"REASON", "reason"},
       {"DETAIL", "detail"}},
      [](const auto& response) -> auto& { return response.events(); });
}

}  // namespace

std::vector<Command> monitor_commands() {
  return {
      {"summary",
       "Counts: operations, failures, refusals, what expires",
       "capfctl summary --output json",
       {output_option()},
       summary},
      {"audit list",
       "Lists the record of changes and refusals",
       "capfctl audit list --subject SEP001122334455 --since 2030-01-01",
       {{"--subject", Option::Kind::kText, "what it happened to: a device, a serial number, an administrator"},
        {"--actor", Option::Kind::kText, "who did it"},
        {"--action", Option::Kind::kText, "what happened, or its first part: operation"},
        {"--since", Option::Kind::kTime, "only from then on"},
        {"--refusals", Option::Kind::kFlag, "the counted refusals of strangers instead"},
        limit_option(),
        output_option()},
       list_audit},
  };
}

}  // namespace capf::cli
