#include <sstream>

#include "capf/cli/devices.h"
#include "capf/cli/seals.h"

using namespace capf;

namespace {

bool is_sorted_out(const std::string& field) { return field.find_first_of("\n,;") == std::string::npos; }

void check_devices(const std::string& text) {
  std::istringstream lines(text);
  const auto devices = cli::parse_device_lines(lines);
  if (!devices) {
    CAPF_INVARIANT(devices.error().reason == Reason::kInvalidRequest);
    return;
  }
  std::string written = "device,model\n";
  for (const cli::DeviceLine& line : *devices) {
    CAPF_INVARIANT(!line.device.empty() && is_sorted_out(line.device) && is_sorted_out(line.model));
    written += '"' + line.device + "\",\"" + line.model + "\"\r\n";
  }
  std::istringstream again(written);
  const auto read = cli::parse_device_lines(again);
  CAPF_INVARIANT(read && read->size() == devices->size());
  for (std::size_t i = 0; i < read->size(); ++i) {
    CAPF_INVARIANT((*read)[i].device == (*devices)[i].device && (*read)[i].model == (*devices)[i].model);
  }
}

void check_serial(const std::string& text) {
  const std::string serial = cli::serial_or_device(text);
  CAPF_INVARIANT(serial == text || serial.find_first_not_of("0123456789abcdef") == std::string::npos);
  CAPF_INVARIANT(text.empty() || !serial.empty());
  CAPF_INVARIANT(cli::serial_or_device(serial) == serial);
}

void check_time(const std::string& text) {
  const TimePoint now = parse_rfc3339("2026-06-01T12:00:00Z").value();
  const auto begins = cli::parse_time(text, now, cli::Day::kBegins);
  const auto ends = cli::parse_time(text, now, cli::Day::kEnds);
  CAPF_INVARIANT(begins.has_value() == ends.has_value());
  if (!begins) return;
  CAPF_INVARIANT(text[0] != '+' || *begins >= now);
  CAPF_INVARIANT(text[0] != '-' || *begins <= now);
  CAPF_INVARIANT(*ends == *begins || *ends - *begins == std::chrono::hours{24} - std::chrono::seconds{1});
}

void check_anchors(const std::string& text) {
  const cli::Anchors anchors = cli::read_anchors(text);
  std::string written;
  for (const auto& [number, digits] : anchors) {
    CAPF_INVARIANT(number >= 0 && digits.size() == 64);
    written += "number=" + std::to_string(number) + " sha256=" + digits + '\n';
  }
  CAPF_INVARIANT(cli::read_anchors(written) == anchors);
}

}  // namespace

// The first octet says as what the rest is read: what capfctl takes from files and from its command line.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string text(reinterpret_cast<const char*>(data + 1), size - 1);
  switch (data[0] % 4) {
    case 0: check_devices(text); break;
    case 1: check_serial(text); break;
    case 2: check_time(text); break;
    case 3: check_anchors(text); break;
  }
  return 0;
}
