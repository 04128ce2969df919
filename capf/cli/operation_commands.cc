#include <iostream>

#include "capf/cli/devices.h"
#include "capf/cli/pages.h"
#include "capf/cli/schedule.h"

namespace capf::cli {
namespace {

const std::vector<std::string> kKinds{"install", "delete", "troubleshoot"};

std::vector<Column> operation_columns() {
  return {{"DEVICE", "device"},
          {"KIND", "kind"},
          {"STATE", "state"},
          {"AUTH", "auth", 3},
          {"OVERDUE", "overdue", 2},
          {"CREATED AT", "created_at", 3},
          {"COMPLETES BY", "completes_by", 1},
          {"FINISHED AT", "finished_at", 2},
          {"STATUS", "status"}};
}

/// Asks for the list that every role may read, monitor too.
Result<int> list_pending(const Arguments& arguments, Connection& server) {
  v1::ListPendingRequest request;
  request.set_overdue(arguments.text("--state") == "overdue" || arguments.has("--overdue"));
  request.set_kind(kind_of(arguments.text("--kind")));
  if (const auto age = arguments.age("--older-than")) request.mutable_older_than()->set_seconds(age->count());
  return print_pages(
      arguments, server, request, operation_columns(),
      [](const auto& response) -> auto& { return response.operations(); });
}

Result<int> list(const Arguments& arguments, Connection& server) {
  v1::ListOperationsRequest request;
  const std::string state = arguments.text("--state");
  const bool open = state == "pending" || state == "overdue";
  if (open && !arguments.has("--device")) return list_pending(arguments, server);
  if (arguments.has("--older-than")) {
    return report_usage("--older-than belongs to --state pending or overdue, without --device");
  }
  request.set_open(state == "pending");
  request.set_overdue(state == "overdue");
  if (!request.open() && !request.overdue()) request.set_state(state_of(state));
  request.set_kind(kind_of(arguments.text("--kind")));
  request.set_device(named_device(arguments, "--device"));
  return print_pages(
      arguments, server, request, operation_columns(),
      [](const auto& response) -> auto& { return response.operations(); });
}

Result<int> show_operation(const Arguments& arguments, Connection& server) {
  v1::GetOperationRequest request;
  request.set_device(named_device(arguments));
  CAPF_LET(const auto response, server.call(request));
  const bool json = arguments.format().is_json();
  show(std::cout, arguments.format(),
       json ? to_json(response.operation()) : with_settings_in_words(response.operation()));
  return 0;
}

/// One line, or one JSON object, for each change: a stream has no end, so it is no array.
Result<int> watch(const Arguments& arguments, Connection& server) {
  std::int64_t left = arguments.number("--limit").value_or(-1);
  const Style style = arguments.format();
  CAPF_TRY(server.watch(arguments.text("--cursor"), [&](const v1::OperationChange& change) {
    const Json row = to_json(change);
    if (style.is_json()) {
      std::cout << row.dump() << std::endl;
    } else {
      const Json& operation = row["operation"];
      std::cout << line_of(style, {row["at"], operation["device"], operation["kind"], row["action"], row["outcome"],
                                   operation["state"], row["reason"]})
                << std::endl;
    }
    return left < 0 || --left > 0;
  }));
  return 0;
}

}  // namespace

std::vector<Command> operation_commands() {
  const Option device{"DEVICE", Option::Kind::kDevice, "the device name", true};
  return {
      {"operation schedule", "Schedules an operation for phones; up to 500 of them are done together or not at all",
       "capfctl operation schedule install --tag floor-2 --auth string --strings floor-2.csv --sheet floor-2.html",
       with_bulk(
           {{"KIND", Option::Kind::kChoice, "what the phone shall do", true, false, kKinds},
            {"DEVICE", Option::Kind::kText, "device names", false, true},
            {"--auth",
             Option::Kind::kChoice,
             "how the phone proves itself (default: as its settings say, and so the next ones)",
             false,
             false,
             {"string", "null", "lsc", "mic"}},
            {"--string", Option::Kind::kText,
             "4 to 10 digits, '-' reads them from standard input; default: each "
             "phone has 8 digits of its own"},
            {"--strings", Option::Kind::kFile,
             "the new file for the phones' strings; one of this command that was interrupted is continued"},
            {"--sheet", Option::Kind::kFile, "write the strings to this HTML file too, for those who walk"},
            {"--key-order", Option::Kind::kChoice, "the key to make", false, false, {"rsa", "ec", "ec-rsa"}},
            {"--rsa-size", Option::Kind::kChoice, "bits of an RSA key", false, false, {"1024", "2048", "3072", "4096"}},
            {"--ec-size", Option::Kind::kChoice, "bits of an EC key", false, false, {"256", "384", "521"}},
            {"--completes-by", Option::Kind::kDeadline, "2030-12-31T23:59:59Z, or +12h, +10d"},
            {"--skip", Option::Kind::kText, "leave out phones that are open,blocked,unknown"},
            {"--replace", Option::Kind::kFlag, "cancel open operations and schedule anew"}}),
       schedule_operations},
      {"operation list",
       "Lists operations",
       "capfctl operation list --state pending",
       {{"--state",
         Option::Kind::kChoice,
         "only these; pending: the three open states",
         false,
         false,
         {"pending", "overdue", "in_progress", "issued", "succeeded", "failed", "expired", "cancelled"}},
        {"--kind", Option::Kind::kChoice, "only these", false, false, kKinds},
        {"--device", Option::Kind::kDevice, "only those of this device"},
        as_written_option(),
        {"--older-than", Option::Kind::kAge, "only open ones that were scheduled so long ago: 90m, 12h, 10d"},
        newest_option(),
        limit_option(),
        output_option()},
       list},
      {"operation pending",
       "Lists open operations, for monitoring too",
       "capfctl operation pending --older-than 2h",
       {{"--older-than", Option::Kind::kAge, "only those that were scheduled so long ago: 90m, 12h, 10d"},
        {"--overdue", Option::Kind::kFlag, "only those past their deadline"},
        {"--kind", Option::Kind::kChoice, "only these", false, false, kKinds},
        newest_option(),
        limit_option(),
        output_option()},
       list_pending},
      {"operation show",
       "Shows the open operation of a device, or its last one",
       "capfctl operation show SEP001122334455",
       {device, as_written_option(), output_option()},
       show_operation},
      {"operation cancel", "Cancels open operations; of phones that are chosen by an option, of those that have one",
       "capfctl operation cancel SEP001122334455",
       with_bulk({{"DEVICE", Option::Kind::kText, "device names", false, true},
                  {"--skip", Option::Kind::kText, "leave out phones that are none,unknown: without an operation"}}),
       cancel_operations},
      {"operation watch",
       "Prints the changes of operations as they happen",
       "capfctl operation watch --output json",
       {{"--cursor", Option::Kind::kText, "where an earlier watch ended (default: from now on)"},
        limit_option(),
        output_option()},
       watch},
  };
}

}  // namespace capf::cli
