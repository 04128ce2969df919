#include "capf/cli/phone_rows.h"

#include <algorithm>

#include "capf/base/utf8.h"
#include "capf/cli/devices.h"
#include "capf/client/text.h"
#include "capf/domain/device.h"
#include "capf/domain/phone.h"

namespace capf::cli {
namespace {

constexpr std::size_t kLongestShown = 40;  // of a cell, in characters

constexpr std::array<std::pair<std::string_view, PhoneSetting>, kPhoneSettings> kSettings{
    {{"device", PhoneSetting::kDevice},
     {"mac", PhoneSetting::kMac},
     {"model", PhoneSetting::kModel},
     {"description", PhoneSetting::kDescription},
     {"tags", PhoneSetting::kTags}}};
constexpr std::array<std::pair<std::string_view, PhoneSetting>, 3> kOtherTitles{
    {{"devicename", PhoneSetting::kDevice}, {"macaddress", PhoneSetting::kMac}, {"tag", PhoneSetting::kTags}}};
constexpr std::string_view kNames = "device, mac, model, description, tags";

template <class Table>
std::optional<PhoneSetting> find_setting(const Table& table, std::string_view name) {
  const auto found = std::find_if(table.begin(), table.end(), [&](const auto& each) { return each.first == name; });
  if (found == table.end()) return std::nullopt;
  return found->second;
}

std::string_view name_of(PhoneSetting setting) { return kSettings[static_cast<std::size_t>(setting)].first; }

std::string in_quotes(std::string_view text) {
  const std::string_view shown = cut_characters(text, kLongestShown);
  return '"' + std::string(shown) + (shown.size() < text.size() ? "..." : "") + '"';
}

std::string_view trimmed(std::string_view text) {
  const auto begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r\n") + 1 - begin);
}

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  while (!(text = trimmed(text)).empty()) {
    const std::string_view word = text.substr(0, text.find_first_of(" \t\r\n"));
    if (std::find(words.begin(), words.end(), word) == words.end()) words.emplace_back(word);
    text.remove_prefix(word.size());
  }
  return words;
}

/// Controls of a terminal and line ends; marks of direction are part of some languages' text.
bool has_control(std::string_view text) {
  while (!text.empty()) {
    const char32_t c = take_code_point(text);
    if (c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x2028 || c == 0x2029) return true;
  }
  return false;
}

void check_description(std::string_view text, std::vector<std::string>& problems) {
  if (const std::size_t characters = characters_of(text); characters > kLongestDescription) {
    problems.push_back("the description has " + std::to_string(characters) + " characters, of " +
                       std::to_string(kLongestDescription) + " at most");
  }
  if (has_control(text)) problems.emplace_back("the description has a line end or another control character");
}

void check_tags(const std::vector<std::string>& tags, std::vector<std::string>& problems) {
  if (tags.size() > kMostTags) {
    problems.push_back("it has " + std::to_string(tags.size()) + " tags, of " + std::to_string(kMostTags) + " at most");
  }
  for (const std::string& tag : tags) {
    if (check_tag(tag)) continue;
    problems.push_back("the tag " + in_quotes(tag) + " is none: it has 1 to 32 letters, digits, '.', '_' or '-'");
  }
}

}  // namespace

Status ColumnMap::choose(std::string_view column, std::optional<PhoneSetting> setting) {
  if (column.empty()) return fail(Reason::kInvalidRequest, "a column has a title");
  const auto [at, added] = choices_.emplace(folded_title(column), Choice{std::string(column), setting, false});
  if (!added) return fail(Reason::kInvalidRequest, "the column " + in_quotes(column) + " is mapped or ignored twice");
  return {};
}

Status ColumnMap::map(std::string_view assignment) {
  const auto equals = assignment.rfind('=');
  if (equals == std::string_view::npos) {
    return fail(Reason::kInvalidRequest, in_quotes(assignment) + " is not COLUMN=SETTING");
  }
  const std::string_view name = trimmed(assignment.substr(equals + 1));
  const auto setting = find_setting(kSettings, name);
  if (!setting) {
    return fail(Reason::kInvalidRequest,
                in_quotes(name) + " is no setting of a phone: there are " + std::string(kNames));
  }
  return choose(trimmed(assignment.substr(0, equals)), setting);
}

Status ColumnMap::ignore(std::string_view column) { return choose(trimmed(column), std::nullopt); }

Status ColumnMap::add_preset(std::string_view text) {
  ColumnMap preset;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const auto end = text.find('\n');
    const std::string_view line = trimmed(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.empty() || line.front() == '#') continue;
    const Status added = line.back() == '=' ? preset.ignore(line.substr(0, line.size() - 1)) : preset.map(line);
    if (added) continue;
    return fail(Reason::kInvalidRequest, "line " + std::to_string(number) + ": " + added.error().message);
  }
  for (auto& [folded, choice] : preset.choices_) {
    choice.preset = true;
    choices_.emplace(folded, std::move(choice));
  }
  return {};
}

std::string problem_titles() { return "line,device,problem\n"; }

std::string to_line(const RowProblem& problem) {
  return std::to_string(problem.line) + ',' + to_cell(client::printable(problem.device, client::Backslash::kKept)) +
         ',' + to_cell(client::printable(problem.words, client::Backslash::kKept)) + '\n';
}

Status check_prefix(std::string_view prefix) {
  constexpr std::size_t kMacDigits = 12;
  if (DeviceName::parse(std::string(prefix) + std::string(kMacDigits, '0'))) return {};
  return fail(Reason::kInvalidRequest, in_quotes(prefix) + " begins no device name: as SEP, it has letters and digits");
}

PhoneRows::PhoneRows(const ImportOptions& options, std::function<void(PhoneRow)> on_row,
                     std::function<void(const RowProblem&)> on_problem)
    : options_(options), on_row_(std::move(on_row)), on_problem_(std::move(on_problem)) {}

/// Of a column by its title. Errors: INVALID_REQUEST for an unknown one.
Result<std::optional<PhoneSetting>> PhoneRows::setting_of(const std::string& title) const {
  const std::string folded = folded_title(title);
  const auto& choices = options_.columns.choices();
  if (const auto choice = choices.find(folded); choice != choices.end()) return choice->second.setting;
  if (folded.empty()) return std::optional<PhoneSetting>();
  auto setting = find_setting(kSettings, folded);
  if (!setting) setting = find_setting(kOtherTitles, folded);
  if (!setting) return fail(Reason::kInvalidRequest);
  return setting;
}

Status PhoneRows::take_titles(const TableRow& titles) {
  const std::string line = "line " + std::to_string(titles.line);
  std::string unknown;
  for (std::size_t column = 0; column < titles.cells.size(); ++column) {
    const auto setting = setting_of(titles.cells[column]);
    if (setting && *setting) CAPF_TRY(place(titles, column, **setting));
    if (!setting) unknown += (unknown.empty() ? "" : ", ") + in_quotes(titles.cells[column]);
  }
  titles_ = titles;
  const bool named = has(PhoneSetting::kDevice) || has(PhoneSetting::kMac);
  if (!named && std::any_of(titles.cells.begin(), titles.cells.end(), [](const auto& c) { return name_of_mac(c); })) {
    return fail(Reason::kInvalidRequest, line + " has a phone and no titles: put a line before it that names the " +
                                             "columns, as device,model,description,tags");
  }
  if (!unknown.empty()) {
    return fail(Reason::kInvalidRequest, line + ": unknown columns: " + unknown + "; say what they are by --map " +
                                             "COLUMN=SETTING (" + std::string(kNames) +
                                             "), or leave them out by --ignore");
  }
  if (!named) return fail(Reason::kInvalidRequest, line + ": no column is called device or mac");
  return check_choices(titles);
}

Status PhoneRows::place(const TableRow& titles, std::size_t column, PhoneSetting setting) {
  const auto other = place_of(setting)                  ? place_of(setting)
                     : setting == PhoneSetting::kDevice ? place_of(PhoneSetting::kMac)
                     : setting == PhoneSetting::kMac    ? place_of(PhoneSetting::kDevice)
                                                        : std::nullopt;
  places_[static_cast<std::size_t>(setting)] = column;
  if (!other) return {};
  const auto words = [&](std::size_t at) { return std::to_string(at + 1) + " (" + in_quotes(titles.cells[at]) + ")"; };
  return fail(Reason::kInvalidRequest, "line " + std::to_string(titles.line) + ": the columns " + words(*other) +
                                           " and " + words(column) + " both say the " + std::string(name_of(setting)) +
                                           ": leave one out by --ignore");
}

/// A column that an administrator has named must be there, because a mistyped title would silently lose it.
Status PhoneRows::check_choices(const TableRow& titles) const {
  for (const auto& each : options_.columns.choices()) {
    const ColumnMap::Choice& choice = each.second;
    const bool there = std::any_of(titles.cells.begin(), titles.cells.end(),
                                   [&](const std::string& title) { return folded_title(title) == each.first; });
    if (there || choice.preset) continue;
    return fail(Reason::kInvalidRequest,
                "line " + std::to_string(titles.line) + ": no column is called " + in_quotes(choice.title));
  }
  return {};
}

std::string PhoneRows::text_of(const TableRow& row, PhoneSetting setting) const {
  const auto at = place_of(setting);
  return at && *at < row.cells.size() ? std::string(trimmed(from_spreadsheet(row.cells[*at]))) : std::string();
}

std::string PhoneRows::device_of(const TableRow& row) const {
  const bool mac = has(PhoneSetting::kMac);
  const std::string text = text_of(row, mac ? PhoneSetting::kMac : PhoneSetting::kDevice);
  if (options_.as_written && !mac) return text;
  return name_of_mac(text, options_.prefix).value_or(text);
}

void PhoneRows::take_row(TableRow row) {
  PhoneRow phone{row.line, device_of(row), text_of(row, PhoneSetting::kModel), text_of(row, PhoneSetting::kDescription),
                 words_of(text_of(row, PhoneSetting::kTags))};
  std::vector<std::string> problems;
  if (row.cells == titles_.cells) {
    problems.push_back("the title line of line " + std::to_string(titles_.line) + " again");
  } else {
    find_problems(row, phone, problems);
  }
  for (std::string& words : problems) on_problem_({row.line, phone.device, std::move(words)});
  if (problems.empty()) on_row_(std::move(phone));
}

void PhoneRows::find_problems(const TableRow& row, const PhoneRow& phone, std::vector<std::string>& problems) {
  for (std::size_t column = 0; column < row.cells.size(); ++column) {
    const bool titled = column < titles_.cells.size() && !titles_.cells[column].empty();
    if (titled || row.cells[column].empty()) continue;
    problems.push_back("column " + std::to_string(column + 1) + ", " + in_quotes(row.cells[column]) +
                       ", has no title: a cell with the separator in it is written in quotes");
    return;  // the other cells may be shifted
  }
  if (const auto device = DeviceName::parse(phone.device); !device) {
    problems.push_back(phone.device.empty() ? "no device is named" : device.error().message);
  } else if (has(PhoneSetting::kMac) && !name_of_mac(text_of(row, PhoneSetting::kMac), options_.prefix)) {
    problems.emplace_back("this is no MAC address of 12 hexadecimal digits");
  } else if (const auto [at, added] = lines_.emplace(phone.device, row.line); !added) {
    problems.push_back("lines " + std::to_string(at->second) + " and " + std::to_string(row.line) + " both name it");
  }
  if (const auto model = check_model(phone.model); !model) problems.push_back(model.error().message);
  check_description(phone.description, problems);
  check_tags(phone.tags, problems);
}

}  // namespace capf::cli
