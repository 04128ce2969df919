#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace CLI {
class App;
}

namespace capf::client {

/// A manual page in roff, as man(7) has it.
class ManualPage {
 public:
  /// @param name "capfd.toml". @param summary what it is, in one line
  ManualPage(const std::string& name, int section, std::string_view summary);
  void add_section(std::string_view title);
  void add_subsection(std::string_view title);
  void add_paragraph(std::string_view text);
  /// Lines that are shown as they are.
  void add_example(std::string_view text);
  /// @param tag in bold
  void add_item(std::string_view tag, std::string_view text);
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

/// The rest of a program's manual page, beside its parser.
struct Manual {
  int section = 1;
  std::string description;
  std::vector<std::pair<std::string, std::string>> sections = {};  ///< "EXIT STATUS", and its text
};

inline constexpr const char* kManualGroup = "Documentation";

/// The page of a program, from its parser: every command and option that there is.
std::string manual_of(const CLI::App& app, const Manual& manual);
/// Gives the program `--describe man`, which prints that page. `app` outlives its parsing.
void add_manual(CLI::App& app, Manual manual);

}  // namespace capf::client
