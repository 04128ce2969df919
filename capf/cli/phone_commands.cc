#include <algorithm>
#include <iostream>

#include "capf/cli/devices.h"
#include "capf/cli/pages.h"

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
  v1::ListPhonesRequest request;
  request.set_devices(named_device(arguments, "--devices"));
  request.set_blocked(arguments.has("--blocked"));
  return print_pages(
      arguments, server, request,
      {{"DEVICE", "device"},
       {"MODEL", "model"},
       {"BLOCKED", "blocked"},
       {"STRING LOCKED UNTIL", "string_locked_until"},
       {"CREATED AT", "created_at"}},
      [](const auto& response) -> auto& { return response.phones(); });
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
      {"phone list",
       "Lists phones",
       "capfctl phone list --devices 'SEP0011*'",
       {{"--devices", Option::Kind::kText, "only names that match this pattern"},
        as_written_option(),
        {"--blocked", Option::Kind::kFlag, "only blocked ones"},
        limit_option(),
        output_option()},
       list},
      {"phone show",
       "Shows a phone, its operation, its certificates and its last attempt",
       "capfctl phone show SEP001122334455",
       {device, as_written_option(), output_option()},
       show_phone},
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
