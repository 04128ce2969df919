#include "capf/daemon/configuration.h"

#include "capf/base/address.h"

using namespace capf;

// A configuration without faults is written and read back as the same.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string toml(reinterpret_cast<const char*>(data), size);
  const auto loaded = daemon::parse_configuration(toml, "/site/capfd.toml");
  if (!loaded.faults.empty()) return 0;
  const daemon::Configuration& found = loaded.configuration;
  CAPF_INVARIANT(found.state_directory.is_absolute());
  for (const daemon::Listener* listener :
       {&found.wire_listener, &found.phone, &found.admin, &found.status_listener, &found.metrics}) {
    for (const std::string& text : listener->addresses) CAPF_INVARIANT(Address::parse(text));
    CAPF_INVARIANT(!listener->enabled || !listener->addresses.empty());
  }
  // They are part of certificates.
  for (const std::string& text : {found.public_host, found.status_url}) {
    for (const char c : text) CAPF_INVARIANT(c > ' ' && c < 0x7F);
  }
  const std::string written = daemon::to_toml(found);
  const auto again = daemon::parse_configuration(written, "/site/capfd.toml");
  CAPF_INVARIANT(again.faults.empty());
  CAPF_INVARIANT(daemon::to_toml(again.configuration) == written);
  return 0;
}
