#include "capf/cli/configuration_diff.h"

#include <algorithm>
#include <cstdint>
#include <span>

namespace capf::cli {
namespace {

/// Tables of more places are not filled: all lines between the equal ends then count as different.
constexpr std::size_t kLargestTable = 16'000'000;

std::string_view trimmed(std::string_view text) {
  const auto begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r\n") + 1 - begin);
}

/// Whether a line has come to the end of a tag that begins an element: "<certHash>".
bool is_begin(std::string_view line) {
  return line.starts_with('<') && !line.starts_with("</") && !line.ends_with("/>") && line.find('<', 1) == line.npos;
}

/// The text in lines that end behind a tag which another tag follows, and where it has lines itself.
std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  std::size_t begin = 0;
  const auto add = [&](std::size_t end) {
    const std::string_view line = trimmed(text.substr(begin, end - begin));
    if (!line.empty()) lines.push_back(line);
    begin = end;
  };
  for (std::size_t at = 0; at < text.size(); ++at) {
    const bool between_tags = text[at] == '<' && at > begin && text[at - 1] == '>';
    const bool empty = text.substr(at, 2) == "</" && is_begin(trimmed(text.substr(begin, at - begin)));
    if (text[at] == '\n' || (between_tags && !empty)) add(at);
  }
  add(text.size());
  return lines;
}

using Lines = std::span<const std::string_view>;

/// For each pair of places, the length of the longest common sequence behind them.
class Table {
 public:
  Table(Lines before, Lines after) : width_(after.size() + 1), lengths_((before.size() + 1) * width_) {
    for (std::size_t i = before.size(); i-- > 0;) {
      for (std::size_t j = after.size(); j-- > 0;) {
        at(i, j) = before[i] == after[j] ? at(i + 1, j + 1) + 1 : std::max(at(i + 1, j), at(i, j + 1));
      }
    }
  }
  std::uint32_t& at(std::size_t i, std::size_t j) { return lengths_[i * width_ + j]; }

 private:
  std::size_t width_;
  std::vector<std::uint32_t> lengths_;
};

void add_all(const char* sign, Lines lines, std::vector<std::string>& found) {
  for (const std::string_view line : lines) found.push_back(sign + std::string(line));
}

/// The differences of lines that have no equal ones at either end.
std::vector<std::string> differences(Lines before, Lines after) {
  std::vector<std::string> found;
  if ((before.size() + 1) * (after.size() + 1) > kLargestTable) {
    add_all("- ", before, found);
    add_all("+ ", after, found);
    return found;
  }
  Table table(before, after);
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < before.size() && j < after.size()) {
    if (before[i] == after[j]) {
      ++i;
      ++j;
    } else if (table.at(i + 1, j) >= table.at(i, j + 1)) {
      add_all("- ", before.subspan(i++, 1), found);
    } else {
      add_all("+ ", after.subspan(j++, 1), found);
    }
  }
  add_all("- ", before.subspan(i), found);
  add_all("+ ", after.subspan(j), found);
  return found;
}

}  // namespace

std::vector<std::string> configuration_diff(std::string_view before, std::string_view after) {
  const std::vector<std::string_view> first = lines_of(before);
  const std::vector<std::string_view> second = lines_of(after);
  Lines a = first;
  Lines b = second;
  while (!a.empty() && !b.empty() && a.front() == b.front()) {
    a = a.subspan(1);
    b = b.subspan(1);
  }
  while (!a.empty() && !b.empty() && a.back() == b.back()) {
    a = a.first(a.size() - 1);
    b = b.first(b.size() - 1);
  }
  return differences(a, b);
}

}  // namespace capf::cli
