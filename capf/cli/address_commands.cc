#include <iostream>

#include "capf/cli/pages.h"

namespace capf::cli {
namespace {

Result<int> list(const Arguments& arguments, Connection& server) {
  CAPF_LET(const auto response, server.call(v1::ListLimitedAddressesRequest()));
  return print_rows(
      arguments,
      {{"ADDRESS", "address"}, {"DEVICE", "device"}, {"STRINGS", "strings"}, {"LIMIT", "limit"}, {"UNTIL", "until"}},
      response.addresses());
}

Result<int> unlock(const Arguments& arguments, Connection& server) {
  v1::UnlockAddressRequest request;
  request.set_address(arguments.text("ADDRESS"));
  CAPF_LET(const auto response, server.call(request));
  if (!response.limited()) warn("no wrong authentication string was counted for " + response.address());
  show(std::cout, arguments.format(), Json::Object{{"unlocked", response.address()}});
  return 0;
}

}  // namespace

std::vector<Command> address_commands() {
  return {
      {"address list",
       "Lists addresses from which so many wrong authentication strings came that no further one is compared",
       "capfctl address list",
       {output_option()},
       list},
      {"address unlock",
       "Forgets the wrong authentication strings of an address, for all devices",
       "capfctl address unlock 192.0.2.1",
       {{"ADDRESS", Option::Kind::kText, "an IP address, or as 'address list' shows it", true}, output_option()},
       unlock},
  };
}

}  // namespace capf::cli
