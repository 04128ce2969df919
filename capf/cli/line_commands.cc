#include <iostream>

#include "capf/cli/devices.h"
#include "capf/cli/pages.h"

namespace capf::cli {
namespace {

/// Adds the named devices to a request. Errors: INVALID_REQUEST, also where none is named.
template <class Request>
capf::Status add_devices(const Arguments& arguments, Request& request) {
  CAPF_LET(const auto devices, named_devices(arguments));
  if (devices.size() > static_cast<std::size_t>(kPhonesInBatch)) {
    return fail(Reason::kInvalidRequest, "a line has at most " + std::to_string(kPhonesInBatch) + " devices");
  }
  for (const DeviceLine& device : devices) request.add_devices(device.device);
  return {};
}

Result<int> add(const Arguments& arguments, Connection& server) {
  v1::AddLineRequest request;
  request.set_name(arguments.text("NAME"));
  request.set_allow_mixed(arguments.has("--allow-mixed"));
  const auto named = add_devices(arguments, request);
  if (!named) return report_usage(named.error().message);
  CAPF_LET(const auto response, server.call(request));
  show(std::cout, arguments.format(),
       Json::Object{{"line", response.line().name()},
                    {"added", response.added()},
                    {"devices", response.line().devices()},
                    {"mixed", response.line().mixed()}});
  return 0;
}

Result<int> list(const Arguments& arguments, Connection& server) {
  v1::ListLinesRequest request;
  request.set_mixed(arguments.has("--mixed"));
  request.set_mixed_in_effect(arguments.has("--mixed"));
  return print_pages(
      arguments, server, request,
      {{"NAME", "name"},
       {"DEVICES", "devices"},
       {"MIXED", "mixed"},
       {"IN EFFECT", "mixed_in_effect"},
       {"ALLOWED", "allow_mixed"},
       {"ADDED AT", "added_at"},
       {"ADDED BY", "added_by"}},
      [](const auto& response) -> auto& { return response.lines(); });
}

Result<int> show_line(const Arguments& arguments, Connection& server) {
  v1::GetLineRequest request;
  request.set_name(arguments.text("NAME"));
  CAPF_LET(const auto response, server.call(request));
  show(std::cout, arguments.format(), to_json(response));
  return 0;
}

Result<int> remove(const Arguments& arguments, Connection& server) {
  v1::RemoveLineRequest request;
  request.set_name(arguments.text("NAME"));
  const bool devices = arguments.has("DEVICE") || arguments.has("--file");
  if (devices) {
    const auto named = add_devices(arguments, request);
    if (!named) return report_usage(named.error().message);
  }
  CAPF_LET(const auto response, server.call(request));
  show(std::cout, arguments.format(),
       Json::Object{{devices ? "line" : "removed", request.name()}, {"devices_removed", response.removed()}});
  return 0;
}

}  // namespace

std::vector<Command> line_commands() {
  const Option name{"NAME", Option::Kind::kText, "the line's name or number", true};
  const Option device{"DEVICE", Option::Kind::kText, "device names", false, true};
  return {
      {"line add",
       "Adds a line that devices share, or more devices to it; encrypted ones beside others are refused",
       "capfctl line add 2001 SEP001122334455 SEP001122334456",
       {name, device, devices_file_option(), as_written_option(), allow_mixed_option(), output_option()},
       add},
      {"line list",
       "Lists shared lines",
       "capfctl line list --mixed",
       {{"--mixed", Option::Kind::kFlag, "only those that have encrypted devices and others, by profile or in effect"},
        limit_option(),
        output_option()},
       list},
      {"line show",
       "Shows a line with its devices and their modes",
       "capfctl line show 2001",
       {name, output_option()},
       show_line},
      {"line remove",
       "Takes devices off a line; without any, removes the line",
       "capfctl line remove 2001 SEP001122334455",
       {name, device, devices_file_option(), as_written_option(), output_option()},
       remove},
  };
}

}  // namespace capf::cli
