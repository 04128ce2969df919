#include "capf/cli/output.h"

#include <algorithm>
#include <iostream>
#include <iterator>
#include <map>
#include <numeric>
#include <optional>
#include <string_view>

#include "capf/cli/table.h"
#include "capf/client/text.h"
#include "capf/client/zone.h"

namespace capf::cli {
namespace {

constexpr std::size_t kRowsMeasured = 1000;
constexpr std::size_t kBetweenColumns = 2;
constexpr std::size_t kLengthOfTime = 20;  // 2030-12-31T23:59:59Z

/// RFC 3339 in UTC, as the server's times are printed.
std::optional<TimePoint> time_in(const std::string& text) {
  if (text.size() != kLengthOfTime || text.back() != 'Z') return std::nullopt;
  const auto time = parse_rfc3339(text);
  return time ? std::optional(*time) : std::nullopt;
}

std::string cell(const Json& value, bool local_times) {
  if (const bool* boolean = value.boolean()) return *boolean ? "yes" : "no";
  if (const auto* number = value.number()) return std::to_string(*number);
  if (const auto* text = value.text()) {
    const auto time = local_times ? time_in(*text) : std::nullopt;
    if (time) return client::to_local(*time);
    return text->empty() ? "-" : client::printable(*text, client::Backslash::kKept);
  }
  if (const auto* array = value.array()) {
    std::string joined;
    for (const Json& element : *array) joined += (joined.empty() ? "" : ", ") + cell(element, local_times);
    return joined.empty() ? "-" : joined;
  }
  return "-";
}

/// Empty for what is absent. A text that begins with a tab or CR keeps its guard although these are escaped.
std::string csv_cell(const Json& value) {
  if (value.is_null()) return {};
  const auto* array = value.array();
  if (value.object() != nullptr || (array != nullptr && !array->empty() && array->front().object() != nullptr)) {
    return to_cell(value.dump());
  }
  if (array != nullptr && array->empty()) return {};
  const auto* text = value.text();
  if (text == nullptr) return to_cell(cell(value, false));
  const bool guarded = text->starts_with('\t') || text->starts_with('\r');
  return to_cell((guarded ? "'" : "") + client::printable(*text, client::Backslash::kKept));
}

std::string csv_line(const std::vector<std::string>& cells) {
  std::string line;
  for (std::size_t i = 0; i < cells.size(); ++i) line += (i == 0 ? "" : ",") + cells[i];
  return line;
}

std::string padding(const std::string& text, std::size_t columns) {
  return std::string(columns - std::min(columns, client::width(text)), ' ');
}

/// Of a state; empty for what is none, as a description that is called like one.
std::string_view color_of(std::string_view member, const Json& value) {
  constexpr std::string_view kGood = "\x1b[32m";
  constexpr std::string_view kWaits = "\x1b[33m";
  constexpr std::string_view kBad = "\x1b[31m";
  static const std::map<std::string_view, std::string_view> colors{
      {"succeeded", kGood}, {"finished", kGood}, {"confirmed", kGood}, {"valid", kGood},        {"active", kGood},
      {"done", kGood},      {"ok", kGood},       {"pending", kWaits},  {"in_progress", kWaits}, {"issued", kWaits},
      {"overdue", kWaits},  {"held", kWaits},    {"paused", kWaits},   {"waiting", kWaits},     {"late", kWaits},
      {"next", kWaits},     {"failed", kBad},    {"expired", kBad},    {"revoked", kBad},       {"refused", kBad},
      {"stopped", kBad}};
  const bool state = member == "state" || member == "outcome" || member == "lsc_status";
  if (!state || value.text() == nullptr) return {};
  const auto at = colors.find(*value.text());
  return at == colors.end() ? std::string_view() : at->second;
}

std::string painted(const Style& style, const std::string& text, std::string_view color) {
  if (!style.colors || color.empty()) return text;
  return std::string(color) + text + "\x1b[0m";
}

void show_members(std::ostream& out, const Style& style, const Json::Object& members, const std::string& indent) {
  std::size_t widest = 0;
  for (const auto& [name, value] : members) widest = std::max(widest, client::width(name));
  for (const auto& [name, value] : members) {
    const std::string title = client::printable(name);
    const auto* inner = value.object();
    const auto* array = value.array();
    if (inner != nullptr && !inner->empty()) {
      out << indent << title << '\n';
      show_members(out, style, *inner, indent + "  ");
    } else if (array != nullptr && !array->empty() && array->front().object() != nullptr) {
      out << indent << title;
      for (const Json& element : *array) {
        out << '\n';
        show_members(out, style, *element.object(), indent + "  ");
      }
    } else {
      out << indent << title << padding(title, widest) << "  "
          << painted(style, cell(value, style.local_times), color_of(name, value)) << '\n';
    }
  }
}

/// Whether a cell can show it: no object, and no list of such.
bool is_plain(const Json& value) {
  const auto* array = value.array();
  return value.object() == nullptr && (array == nullptr || array->empty() || array->front().object() == nullptr);
}

/// "COMPLETES BY" for "completes_by".
std::string title_of(const std::string& member) {
  std::string title;
  for (const char c : member) title += c == '_' ? ' ' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return title;
}

/// The columns, and behind them the other members of a row.
std::vector<Column> all_columns(std::vector<Column> columns, const Json& row, bool plain_ones) {
  if (row.object() == nullptr) return columns;
  for (const auto& [name, value] : *row.object()) {
    const bool there =
        std::any_of(columns.begin(), columns.end(), [&](const Column& each) { return each.name == name; });
    if (!there && (is_plain(value) || !plain_ones)) columns.push_back({title_of(name), name});
  }
  return columns;
}

/// Whether the words of the command are wrong. INVALID_REQUEST of this program is about a file, as far as it is no
/// wrong usage already; of the server, about the request.
bool is_wrong_form(Reason reason, bool of_server) {
  constexpr Reason kForms[]{Reason::kInvalidDeviceName, Reason::kInvalidAuthString, Reason::kInvalidDeadline,
                            Reason::kInvalidKeyPolicy,  Reason::kInvalidPattern,    Reason::kInvalidName,
                            Reason::kInvalidDigestUser, Reason::kInvalidPassword,   Reason::kInvalidSerial,
                            Reason::kInvalidTime,       Reason::kInvalidPage,       Reason::kInvalidSelection,
                            Reason::kInvalidSetting,    Reason::kInvalidWindow};
  const bool request = reason == Reason::kInvalidRequest || reason == Reason::kInvalidConfiguration;
  return (of_server && request) || std::find(std::begin(kForms), std::end(kForms), reason) != std::end(kForms);
}

}  // namespace

Result<std::vector<Column>> chosen_columns(const Style& style, std::vector<Column> columns, const Json& row) {
  const bool all = style == Format::kWide || style == Format::kCsv;
  if (style.columns.empty()) return all ? all_columns(std::move(columns), row, true) : columns;
  const std::vector<Column> known = all_columns(std::move(columns), row, false);
  std::vector<Column> chosen;
  for (const std::string& wanted : style.columns) {
    const auto named = [&](const Column& each) {
      return folded_title(each.name) == folded_title(wanted) || folded_title(each.title) == folded_title(wanted);
    };
    const auto at = std::find_if(known.begin(), known.end(), named);
    if (at == known.end()) {
      std::string names;
      for (const Column& each : known) names += (names.empty() ? "" : ", ") + each.name;
      return fail(Reason::kInvalidRequest, "there is no column '" + wanted + "'; there are " + names);
    }
    chosen.push_back({at->title, at->name});
  }
  return chosen;
}

List::List(std::ostream& out, Style style, std::vector<Column> columns)
    : out_(out), style_(std::move(style)), columns_(std::move(columns)), shown_(columns_.size()) {
  std::iota(shown_.begin(), shown_.end(), 0);
}

void List::add(Json row) {
  if (style_.is_json()) return add_json(row);
  if (style_ == Format::kCsv) return add_csv(row);
  waiting_.push_back(std::move(row));
  if (waiting_.size() >= kRowsMeasured) print_rows();
}

void List::add_json(const Json& row) {
  Json::Object chosen;
  if (!style_.columns.empty()) {
    for (const Column& column : columns_) chosen.emplace_back(column.name, row[column.name]);
  }
  const std::string line = style_.columns.empty() ? row.dump() : Json(std::move(chosen)).dump();
  if (style_ == Format::kJsonl) {
    out_ << line << '\n';
  } else {
    out_ << (started_ ? ",\n" : "[") << line;
  }
  started_ = true;
}

void List::add_csv(const Json& row) {
  std::vector<std::string> cells;
  if (!started_ && style_.headers) {
    for (const Column& column : columns_) cells.push_back(to_cell(column.name));
    out_ << csv_line(cells) << '\n';
    cells.clear();
  }
  started_ = true;
  if (row.is_null()) return;
  for (const Column& column : columns_) cells.push_back(csv_cell(row[column.name]));
  out_ << csv_line(cells) << '\n';
}

void List::finish() {
  if (style_ == Format::kJson) {
    out_ << (started_ ? "]\n" : "[]\n");
  } else if (style_ == Format::kCsv) {
    if (!started_) add_csv({});
  } else if (style_ != Format::kJsonl) {
    print_rows();
    if (shown_.size() < columns_.size()) out_ << words_of_left_out() << '\n';
  }
  out_.flush();
}

void List::print_rows() {
  std::vector<std::vector<std::string>> rows;
  for (const Json& row : waiting_) {
    auto& cells = rows.emplace_back();
    for (const Column& column : columns_) cells.push_back(cell(row[column.name], style_.local_times));
  }
  if (!started_) begin_table(rows);
  for (std::size_t i = 0; i < rows.size(); ++i) print_line(rows[i], &waiting_[i]);
  waiting_.clear();
}

void List::begin_table(const std::vector<std::vector<std::string>>& rows) {
  started_ = true;
  std::vector<std::string> titles;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    titles.push_back(columns_[i].title);
    widths_.push_back(style_.headers ? client::width(columns_[i].title) : 0);
    for (const auto& cells : rows) widths_[i] = std::max(widths_[i], client::width(cells[i]));
  }
  if (fits()) leave_out_columns();
  if (style_.headers) print_line(titles, nullptr);
}

bool List::fits() const { return style_.width > 0 && style_ == Format::kTable && style_.columns.empty(); }

/// Leaves out columns until the others fit. The first one stays, cut off where it alone is too wide.
void List::leave_out_columns() {
  const auto needed = [this] {
    std::size_t columns = kBetweenColumns * (shown_.size() - 1);
    for (const std::size_t at : shown_) columns += widths_[at];
    return columns;
  };
  while (shown_.size() > 1 && needed() > style_.width) {
    const auto least = std::max_element(shown_.begin() + 1, shown_.end(), [this](std::size_t a, std::size_t b) {
      return columns_[a].rank < columns_[b].rank || (columns_[a].rank == columns_[b].rank && a < b);
    });
    shown_.erase(least);
  }
  // Later rows may have longer cells: the last column has the room that is left.
  const std::size_t before = needed() - widths_[shown_.back()];
  widths_[shown_.back()] = style_.width - std::min(style_.width, before);
}

void List::print_line(const std::vector<std::string>& cells, const Json* row) {
  std::string line;
  for (const std::size_t at : shown_) {
    const std::string text = fits() ? client::cut(cells[at], widths_[at]) : cells[at];
    const std::string& member = columns_[at].name;
    line += painted(style_, text, row == nullptr ? std::string_view() : color_of(member, (*row)[member]));
    if (at != shown_.back()) line += padding(text, widths_[at]) + std::string(kBetweenColumns, ' ');
  }
  out_ << line << '\n';
}

std::string List::words_of_left_out() const {
  std::string names;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    if (std::find(shown_.begin(), shown_.end(), i) != shown_.end()) continue;
    names += (names.empty() ? "" : ", ") + columns_[i].title;
  }
  const std::string words = "not shown: " + names + " (-o wide)";
  if (client::width(words) <= style_.width) return words;
  const std::string count = std::to_string(columns_.size() - shown_.size());
  return client::cut("+" + count + " columns: -o wide", style_.width);
}

void show(std::ostream& out, const Style& style, const Json& object) {
  if (style.is_json()) {
    out << object.dump() << '\n';
  } else if (style == Format::kCsv && object.object() != nullptr) {
    List list(out, style, all_columns({}, object, false));
    list.add(object);
    list.finish();
  } else if (const auto* members = object.object()) {
    show_members(out, style, *members, "");
  }
  out.flush();
}

std::string line_of(const Style& style, const std::vector<Json>& values) {
  const bool csv = style == Format::kCsv;
  std::vector<std::string> cells;
  for (const Json& value : values) cells.push_back(csv ? csv_cell(value) : cell(value, style.local_times));
  if (csv) return csv_line(cells);
  std::string line;
  for (const std::string& each : cells) line += (line.empty() ? "" : "  ") + each;
  return line;
}

int report(const Error& error, bool of_server) {
  std::cerr << "capfctl: " << to_string(error.reason) << ": " << client::printable(error.message) << '\n';
  if (!error.cause.empty()) std::cerr << "capfctl: cause: " << client::printable(error.cause) << '\n';
  if (error.reason == Reason::kServerNotReached) return 3;
  return is_wrong_form(error.reason, of_server) ? 2 : 1;
}

int report_usage(const std::string& words) {
  std::cerr << "capfctl: INVALID_REQUEST: " << client::printable(words) << '\n';
  return 2;
}

void warn(const std::string& words) { std::cerr << "capfctl: " << client::printable(words) << '\n'; }

}  // namespace capf::cli
