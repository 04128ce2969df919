#include "capf/files/configuration.h"
#include "capf/files/xml.h"

using namespace capf;

namespace {

constexpr std::string_view kCanary = "canary-of-the-server";

files::ConfigurationValues values(bool secrets) {
  files::ConfigurationValues values{.mode = DeviceMode::kEncrypted,
                                    .capf_auth = AuthMode::kString,
                                    .capf = {{"capf.example.org", 3804}},
                                    .tvs = std::vector<CapfHost>{{"tvs.example.org", 2445}},
                                    .certificate_hash = "adb3b9b7d95eba189989458ca48faedd",
                                    .hardening = {{"pcPort", "1"}, {"garp", "1"}},
                                    .secrets = secrets};
  values.digest = files::DigestCredentials{"user", Secret(kCanary)};
  values.ssh_password = Secret(kCanary);
  values.phone_password = Secret(kCanary);
  return values;
}

}  // namespace

// A site's configuration. Where it is taken, it reads back as the same, also when values are set once more.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  for (const bool secrets : {false, true}) {
    auto configuration = files::Configuration::parse({data, size});
    if (!configuration) return 0;
    const std::vector<std::string> lines = configuration->lines();
    CAPF_INVARIANT(configuration->apply(values(secrets)).has_value());
    const Secret text = configuration->text();
    CAPF_INVARIANT(secrets || text.text().find(kCanary) == std::string_view::npos);
    if (text.view().size() > files::kLargestXml) return 0;  // it was near the limit, and the values are more
    auto again = files::Configuration::parse(text.view());
    if (!again) return 0;  // likewise of its elements and their depth
    CAPF_INVARIANT(again->lines() == lines);
    CAPF_INVARIANT(again->apply(values(secrets)).has_value());
    CAPF_INVARIANT(again->text().text() == text.text());
    again->mask();
    CAPF_INVARIANT(again->text().text().find(kCanary) == std::string_view::npos);
    const Bytes stub = again->stub();
    CAPF_INVARIANT(as_text(stub).find(kCanary) == std::string_view::npos);
  }
  return 0;
}
