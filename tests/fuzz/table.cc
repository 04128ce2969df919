#include "capf/cli/phone_rows.h"
#include "capf/cli/strings_file.h"
#include "capf/domain/device.h"

using namespace capf;

namespace {

struct Rows final : cli::TableUser {
  Status take_titles(const cli::TableRow& row) override {
    all.push_back(row);
    return {};
  }
  void take_row(cli::TableRow row) override { all.push_back(std::move(row)); }
  std::vector<cli::TableRow> all;
};

Status read(std::string_view text, cli::TableUser& user, std::size_t piece) {
  cli::TableParser parser(user);
  for (; !text.empty(); text.remove_prefix(std::min(piece, text.size()))) CAPF_TRY(parser.take(text.substr(0, piece)));
  return parser.finish();
}

/// Pieces change nothing, lines grow, limits hold, and the rows are the same when written in canonical form.
void check_table(std::string_view text) {
  Rows rows;
  Rows in_pieces;
  const Status status = read(text, rows, text.size());
  const Status same = read(text, in_pieces, 5);
  CAPF_INVARIANT(status.has_value() == same.has_value());  // of two faults in a line, either may be seen first
  CAPF_INVARIANT(rows.all.size() == in_pieces.all.size() && (!status || !rows.all.empty()));
  std::string written = "\n";  // so that a byte-order mark of a title is none of the file
  std::size_t last = 0;
  std::size_t longest = 0;
  for (std::size_t i = 0; i < rows.all.size(); ++i) {
    const cli::TableRow& row = rows.all[i];
    CAPF_INVARIANT(row.cells == in_pieces.all[i].cells && row.line == in_pieces.all[i].line && row.line > last);
    CAPF_INVARIANT(!row.cells.empty() && row.cells.size() <= cli::kMostColumns);
    last = row.line;
    for (const std::string& cell : row.cells) {
      longest = std::max(longest, cell.size());
      written += (&cell == &row.cells.front() ? "" : ",") + cli::to_cell(cell);
    }
    written += '\n';
  }
  CAPF_INVARIANT(longest <= cli::kMostCellOctets);
  if (!status || longest == cli::kMostCellOctets) return;  // an apostrophe may not fit
  Rows again;
  CAPF_INVARIANT(read(written, again, written.size()) && again.all.size() == rows.all.size());
  for (std::size_t i = 0; i < again.all.size(); ++i) {
    CAPF_INVARIANT(again.all[i].cells.size() == rows.all[i].cells.size());
    for (std::size_t j = 0; j < rows.all[i].cells.size(); ++j) {
      CAPF_INVARIANT(cli::from_spreadsheet(again.all[i].cells[j]) == rows.all[i].cells[j]);
    }
  }
}

/// The server accepts the name and the model of each row, and no name occurs twice.
void check_rows(std::string_view text) {
  const cli::ImportOptions options;
  std::string last;
  cli::PhoneRows rows(
      options,
      [&](const cli::PhoneRow& row) {
        CAPF_INVARIANT(DeviceName::parse(row.device) && check_model(row.model) && row.tags.size() <= 16);
        CAPF_INVARIANT(row.device != last);
        last = row.device;
      },
      [](const cli::RowProblem& problem) {
        const std::string line = cli::to_line(problem);
        CAPF_INVARIANT(problem.line > 1 && line.find('\n') == line.size() - 1 &&
                       line.find('\x1b') == std::string::npos);
      });
  static_cast<void>(read(text, rows, 4096));
}

void check_preset(std::string_view text) {
  cli::ColumnMap columns;
  if (!columns.add_preset(text)) return;
  for (const auto& [folded, choice] : columns.choices()) {
    CAPF_INVARIANT(choice.preset && folded == cli::folded_title(choice.title));
  }
}

/// A strings file has whole strings for devices, up to its last whole line.
void check_strings(std::string_view text) {
  const auto parsed = cli::parse_strings(text);
  if (!parsed) return;
  CAPF_INVARIANT(parsed->whole > 0 && text[parsed->whole - 1] == '\n' && parsed->run.id.size() == 32);
  for (const cli::DeviceString& each : parsed->strings) {
    CAPF_INVARIANT(DeviceName::parse(each.device) && each.digits.view().size() >= 4 && each.digits.view().size() <= 10);
  }
  CAPF_INVARIANT(cli::parse_strings(text.substr(0, parsed->whole))->strings.size() == parsed->strings.size());
}

}  // namespace

// The first octet chooses how to read the rest: as a table and the phones in it, as a preset, or as a strings file.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string text(reinterpret_cast<const char*>(data + 1), size - 1);
  switch (data[0] % 3) {
    case 0:
      check_table(text);
      check_rows(text);
      break;
    case 1: check_preset(text); break;
    case 2: check_strings(text); break;
  }
  return 0;
}
