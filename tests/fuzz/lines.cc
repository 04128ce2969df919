#include "capf/cli/devices.h"
#include "capf/cli/seals.h"
#include "capf/domain/device.h"

using namespace capf;

namespace {

std::string in_quotes(const std::string& cell) {
  std::string quoted = "\"";
  for (const char c : cell) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + '"';
}

bool is_title(const std::string& cell) {
  return cell.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ -_") == std::string::npos;
}

/// A sheet gives the place of each fault, and its rows are the same when written in canonical form.
void check_sheet(const std::string& text) {
  const std::vector<cli::SheetColumn> columns{{"device", {"mac"}}, {"model"}};
  const cli::Sheet sheet = cli::read_sheet(text, columns);
  CAPF_INVARIANT(sheet.faults.words().size() <= std::min<std::size_t>(sheet.faults.count(), 20));
  std::string written = "model;device\r\n";
  std::size_t last = 0;
  for (const cli::Sheet::Row& row : sheet.rows) {
    CAPF_INVARIANT(row.cells.size() == 2 && !row.cells[0].empty() && row.line > last);
    last = row.line;
    written += in_quotes(row.cells[1]) + ';' + in_quotes(row.cells[0]) + "\r\n";
  }
  const cli::Sheet again = cli::read_sheet(written, columns);
  CAPF_INVARIANT(again.faults.count() == 0 && again.rows.size() == sheet.rows.size());
  for (std::size_t i = 0; i < again.rows.size(); ++i) CAPF_INVARIANT(again.rows[i].cells == sheet.rows[i].cells);
}

/// In a file without a fault the server accepts every name, and each occurs once.
void check_devices(const std::string& text) {
  check_sheet(text);
  const cli::DeviceList list = cli::read_devices({}, text, false);
  if (list.faults.count() > 0) return;
  std::string written;
  for (const cli::DeviceLine& line : list.devices) {
    CAPF_INVARIANT(DeviceName::parse(line.device) && check_model(line.model));
    written += line.device + ',' + line.model + '\n';
  }
  if (list.devices.empty() || is_title(list.devices.front().device) || is_title(list.devices.front().model)) return;
  const cli::DeviceList again = cli::read_devices({}, written, false);
  CAPF_INVARIANT(again.faults.count() == 0 && again.remarks.empty() && again.devices.size() == list.devices.size());
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

// The first octet chooses how to read the rest: as one of capfctl's inputs from files and the command line.
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
