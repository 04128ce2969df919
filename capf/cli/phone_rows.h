#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "capf/base/error.h"
#include "capf/cli/table.h"

namespace capf::cli {

/// A column of an imported file says this of a phone.
enum class PhoneSetting : std::uint8_t { kDevice, kMac, kModel, kDescription, kTags };
inline constexpr std::size_t kPhoneSettings = 5;

/// The meaning of a file's columns, where their titles alone do not give it: a column that is mapped to nothing is left
/// out. --map and --ignore count before a preset. Titles are compared as folded_title() has them.
class ColumnMap {
 public:
  /// "Standort=description". Errors: INVALID_REQUEST, also where the column is mapped already.
  Status map(std::string_view assignment);
  /// Errors: as map().
  Status ignore(std::string_view column);
  /// Lines "COLUMN = SETTING", or "COLUMN =" for one that is left out; "#" begins a comment. The file need not have the
  /// columns. Errors: INVALID_REQUEST, with the line.
  Status add_preset(std::string_view text);

  struct Choice {
    std::string title;
    std::optional<PhoneSetting> setting;  ///< nothing: left out
    bool preset = false;
  };
  /// By folded title.
  const std::map<std::string, Choice>& choices() const { return choices_; }

 private:
  Status choose(std::string_view column, std::optional<PhoneSetting> setting);

  std::map<std::string, Choice> choices_;
};

struct PhoneRow {
  std::size_t line = 0;
  std::string device;
  std::string model;
  std::string description;
  std::vector<std::string> tags;  ///< each once
};

/// Something that keeps a row from being imported.
struct RowProblem {
  std::size_t line = 0;
  std::string device;  ///< as the file has it, where it is no device's name
  std::string words;
};
/// The title line of a file of problems, and the line of one.
std::string problem_titles();
std::string to_line(const RowProblem& problem);

struct ImportOptions {
  ColumnMap columns;
  std::string prefix = "SEP";  ///< for MAC addresses without one
  bool as_written = false;     ///< names of the column device stay as they are, also where they are MAC addresses
};
/// Whether device names can begin with it. Errors: INVALID_REQUEST.
Status check_prefix(std::string_view prefix);

/// Reads the rows of a table as phones: each is given to `on_row`, or its problems to `on_problem`. The titles name the
/// columns in any order; one of them is `device` or `mac`. Memory: the names of all rows, of which none may occur
/// twice, with about 80 octets each.
class PhoneRows final : public TableUser {
 public:
  /// @param options outlive this.
  PhoneRows(const ImportOptions& options, std::function<void(PhoneRow)> on_row,
            std::function<void(const RowProblem&)> on_problem);

  /// Errors: INVALID_REQUEST for an unknown column, two columns for one setting, and where there are no titles.
  Status take_titles(const TableRow& titles) override;
  void take_row(TableRow row) override;
  /// Whether the file has a column for it: an update leaves what the file does not have.
  bool has(PhoneSetting setting) const { return place_of(setting).has_value(); }

 private:
  std::optional<std::size_t> place_of(PhoneSetting setting) const { return places_[static_cast<std::size_t>(setting)]; }
  Result<std::optional<PhoneSetting>> setting_of(const std::string& title) const;
  Status check_choices(const TableRow& titles) const;
  Status place(const TableRow& titles, std::size_t column, PhoneSetting setting);
  std::string text_of(const TableRow& row, PhoneSetting setting) const;
  std::string device_of(const TableRow& row) const;
  void find_problems(const TableRow& row, const PhoneRow& phone, std::vector<std::string>& problems);

  const ImportOptions& options_;
  std::function<void(PhoneRow)> on_row_;
  std::function<void(const RowProblem&)> on_problem_;
  TableRow titles_;
  std::array<std::optional<std::size_t>, kPhoneSettings> places_;
  std::unordered_map<std::string, std::size_t> lines_;  ///< by device
};

}  // namespace capf::cli
