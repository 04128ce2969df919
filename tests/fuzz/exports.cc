#include "tests/support/exports.h"

#include <algorithm>

#include "capf/base/bytes.h"

using namespace capf;

namespace {

/// The octets until the next 0xFF, which is in no UTF-8.
std::string take_text(std::string_view& rest) {
  const std::size_t end = std::min(rest.find('\xFF'), rest.size());
  std::string text(rest.substr(0, end));
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return text;
}

/// Names of phones, one behind the other; of each its first character says mode and LSC.
std::vector<exports::Device> take_devices(std::string_view& rest) {
  std::vector<exports::Device> devices;
  while (!rest.empty() && devices.size() < 3) {
    const std::string text = take_text(rest);
    if (text.empty()) break;
    const auto name = DeviceName::parse(text);
    if (!name) continue;
    const auto kind = static_cast<unsigned char>(text[0]);
    exports::Device device{*name, kDeviceModes[kind % kDeviceModes.size()]};
    if ((kind & 4U) != 0) device.lsc = sha256(as_bytes(text));
    devices.push_back(device);
  }
  return devices;
}

exports::User take_user(std::string_view& rest) {
  std::string name = take_text(rest);
  std::string realm = take_text(rest);
  const std::string digits = to_hex(sha256(as_bytes(name + realm)));
  return {std::move(name),
          std::move(realm),
          {Secret(digits.substr(32)), Secret(digits), Secret(digits)},
          take_devices(rest)};
}

}  // namespace

// Users, parted by 0xFF: name, realm, phones, and an empty text behind the last phone where fewer than three follow.
// A format's text is read back as it was meant by that format's reader, or refused.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view rest = as_text({data, size});
  std::vector<exports::User> users;
  while (!rest.empty() && users.size() < 4) users.push_back(take_user(rest));
  for (const exports::Format format : exports::kFormats) {
    CAPF_INVARIANT(test::fault_of(format, users).empty());
  }
  return 0;
}
