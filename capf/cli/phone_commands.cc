#include <algorithm>
#include <iostream>
#include <iterator>
#include <sstream>

#include "capf/cli/devices.h"
#include "capf/cli/pages.h"
#include "capf/cli/phone_import.h"
#include "capf/cli/selection.h"

namespace capf::cli {
namespace {

Result<int> add(const Arguments& arguments, Connection& server) {
  const auto devices = named_devices(arguments);
  if (!devices) return report_usage(devices.error().message);
  v1::AddPhonesRequest request;
  const std::string& model = devices->front().model;
  const bool same =
      std::all_of(devices->begin(), devices->end(), [&](const auto& each) { return each.model == model; });
  for (const DeviceLine& device : *devices) {
    request.add_devices(device.device);
    if (!same) request.add_models(device.model);
  }
  if (same) request.set_model(model);
  CAPF_LET(const auto response, server.call(request));
  show(std::cout, arguments.format(), Json::Object{{"added", response.added()}});
  return 0;
}

Result<int> list(const Arguments& arguments, Connection& server) {
  const auto chosen = chosen_phones(arguments);
  if (!chosen) return report_usage(chosen.error().message);
  v1::ListPhonesRequest request;
  // A server of an earlier version knows these two, and nothing of selections.
  request.set_devices(named_device(arguments, "--devices"));
  request.set_blocked(arguments.has("--blocked"));
  std::vector<v1::ListPhonesRequest> requests;
  for (const v1::PhoneSelection& slice : chosen->slices) {
    *request.mutable_selection() = slice;
    requests.push_back(request);
  }
  return print_pages(
      arguments, server, std::move(requests), phone_columns(),
      [](const auto& response) -> auto& { return response.phones(); });
}

std::vector<std::string> words_of(const std::string& text) {
  std::istringstream in(text);
  return {std::istream_iterator<std::string>(in), {}};
}

/// Errors: INVALID_REQUEST for options that do not go together, and for none.
Result<v1::ChangePhonesRequest> wanted_change(const Arguments& arguments) {
  const bool adds = arguments.has("--add-tags") || arguments.has("--remove-tags");
  if (adds && arguments.has("--set-tags")) {
    return fail(Reason::kInvalidRequest, "either --set-tags, or --add-tags and --remove-tags");
  }
  if (!adds && !arguments.has("--set-tags") && !arguments.has("--description")) {
    return fail(Reason::kInvalidRequest, "say what to change: --description, --add-tags, --remove-tags or --set-tags");
  }
  v1::ChangePhonesRequest request;
  if (arguments.has("--description")) request.set_description(arguments.text("--description"));
  request.set_sets_tags(arguments.has("--set-tags"));
  for (const char* option : {"--add-tags", "--set-tags"}) {
    for (const std::string& tag : words_of(arguments.text(option))) request.add_added_tags(tag);
  }
  for (const std::string& tag : words_of(arguments.text("--remove-tags"))) request.add_removed_tags(tag);
  return request;
}

Result<int> change(const Arguments& arguments, Connection& server) {
  const auto request = wanted_change(arguments);
  if (!request) return report_usage(request.error().message);
  const auto chosen = chosen_phones(arguments);
  if (!chosen) return report_usage(chosen.error().message);
  if (!chosen->any) return report_usage("name phones, or choose them by an option; --all chooses every phone");
  if (arguments.has("--dry-run")) return list_chosen(arguments, server, *chosen, "changed");
  CAPF_LET(const ChosenCount count, count_chosen(server, *chosen));
  if (const auto code = confirm_bulk(arguments, *chosen, count.phones, "Change")) return *code;
  std::int64_t selected = 0;
  std::int64_t changed = 0;
  const auto done = run_batches(server, *chosen, count, *request, [&](const v1::ChangePhonesResponse& response) {
    selected += response.selected();
    changed += response.changed();
  });
  if (!done) {
    if (selected > 0) warn(std::to_string(selected) + " phones are done; the same command goes on with the others");
    return fail(done.error());
  }
  show(std::cout, arguments.format(), Json::Object{{"selected", selected}, {"changed", changed}});
  return 0;
}

Result<int> show_phone(const Arguments& arguments, Connection& server) {
  v1::GetPhoneRequest request;
  request.set_device(named_device(arguments));
  CAPF_LET(const auto response, server.call(request));
  show(std::cout, arguments.format(), to_json(response));
  return 0;
}

Result<int> remove(const Arguments& arguments, Connection& server) {
  v1::RemovePhoneRequest request;
  request.set_device(named_device(arguments));
  if (const auto code = confirm(arguments, "Remove " + request.device() + " and revoke its certificates?"))
    return *code;
  CAPF_LET(const auto response, server.call(request));
  show(std::cout, arguments.format(), Json::Object{{"removed", request.device()}, {"revoked", response.revoked()}});
  return 0;
}

Result<int> block(const Arguments& arguments, Connection& server) {
  v1::BlockPhoneRequest request;
  request.set_device(named_device(arguments));
  CAPF_LET(const auto response, server.call(request));
  show(std::cout, arguments.format(), Json::Object{{"blocked", request.device()}, {"revoked", response.revoked()}});
  return 0;
}

Result<int> unblock(const Arguments& arguments, Connection& server) {
  v1::UnblockPhoneRequest request;
  request.set_device(named_device(arguments));
  CAPF_TRY(server.call(request));
  show(std::cout, arguments.format(), Json::Object{{"unblocked", request.device()}});
  return 0;
}

Result<int> unlock(const Arguments& arguments, Connection& server) {
  v1::UnlockPhoneRequest request;
  request.set_device(named_device(arguments));
  request.set_forget_mic(arguments.has("--forget-mic"));
  CAPF_TRY(server.call(request));
  show(std::cout, arguments.format(), Json::Object{{"unlocked", request.device()}});
  return 0;
}

Result<int> trace(const Arguments& arguments, Connection& server) {
  v1::TracePhoneRequest request;
  request.set_device(named_device(arguments));
  request.set_off(arguments.has("--off"));
  const auto until = arguments.deadline("--until");
  if (until && request.off()) return report_usage("either --until or --off");
  if (until) set_time(*request.mutable_until(), *until);
  CAPF_LET(const auto response, server.call(request));
  show(std::cout, arguments.format(), to_json(response));
  return 0;
}

}  // namespace

std::vector<Command> phone_commands() {
  const Option device{"DEVICE", Option::Kind::kDevice, "the device name", true};
  return {
      {"phone add",
       "Adds phones, all of them or none",
       "capfctl phone add SEP001122334455 SEP001122334456 --model CP-8861",
       {{"DEVICE", Option::Kind::kText, "device names", false, true},
        devices_file_option(),
        as_written_option(),
        {"--model", Option::Kind::kText, "the model, where the file has no second column with it"},
        output_option()},
       add},
      phone_import_command(),
      {"phone list", "Lists phones", "capfctl phone list --device 'SEP0011*' --lsc none --lsc expired",
       with_selection({{"--devices", Option::Kind::kText, "the same as --device"}, limit_option(), output_option()}),
       list},
      {"phone show",
       "Shows a phone, its operation, its certificates and its last attempt",
       "capfctl phone show SEP001122334455",
       {device, as_written_option(), output_option()},
       show_phone},
      {"phone change",
       "Changes descriptions and tags; an option given twice chooses phones by either value, different ones by both",
       "capfctl phone change --lsc expired --add-tags 'visit floor-2' --dry-run",
       with_selection({{"DEVICE", Option::Kind::kText, "device names", false, true},
                       {"--description", Option::Kind::kText, "up to 128 characters; '' for none"},
                       {"--add-tags", Option::Kind::kText, "tags with blanks between them"},
                       {"--remove-tags", Option::Kind::kText, "tags with blanks between them"},
                       {"--set-tags", Option::Kind::kText, "these tags alone; '' for none"},
                       {"--dry-run", Option::Kind::kFlag, "say what is chosen, and do nothing"},
                       yes_option(),
                       output_option()}),
       change},
      {"phone remove",
       "Removes a phone and revokes its certificates",
       "capfctl phone remove SEP001122334455 --yes",
       {device, as_written_option(), yes_option(), output_option()},
       remove},
      {"phone block",
       "Cancels, revokes, and refuses every way to authenticate until 'phone unblock'",
       "capfctl phone block SEP001122334455",
       {device, as_written_option(), output_option()},
       block},
      {"phone unblock",
       "Lets a blocked phone come again",
       "capfctl phone unblock SEP001122334455",
       {device, as_written_option(), output_option()},
       unblock},
      {"phone unlock",
       "Clears the counts of wrong authentication strings and a stop of self-service",
       "capfctl phone unlock SEP001122334455",
       {device,
        as_written_option(),
        {"--forget-mic", Option::Kind::kFlag, "also forget its MIC: the next one that authenticates is remembered"},
        output_option()},
       unlock},
      {"phone trace",
       "Logs the phone's dialogues on the wire, at whichever server it comes to; never an authentication string",
       "capfctl phone trace SEP001122334455 --until +2h",
       {device,
        as_written_option(),
        {"--until", Option::Kind::kDeadline, "2030-12-31T23:59:59Z, or +90m, +12h (default: +30m; at most +24h)"},
        {"--off", Option::Kind::kFlag, "no longer"},
        output_option()},
       trace},
  };
}

}  // namespace capf::cli
