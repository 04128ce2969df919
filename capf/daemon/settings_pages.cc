#include "capf/daemon/settings_pages.h"

#include <sstream>
#include <utility>

#include "capf/client/manual.h"
#include "capf/daemon/settings.h"

namespace capf::daemon {
namespace {

/// Comment lines of at most 120 characters.
std::string comment(const std::string& text) {
  constexpr std::size_t kWidth = 120;
  std::istringstream words(text);
  std::string lines;
  std::string line;
  for (std::string word; words >> word;) {
    if (!line.empty() && line.size() + 1 + word.size() > kWidth) lines += std::exchange(line, "") + "\n";
    line += (line.empty() ? "# " : " ") + word;
  }
  return line.empty() ? "" : lines + line + "\n";
}

/// The configuration of a file without a key.
Configuration defaults() {
  Configuration configuration;
  configuration.state_directory = ".";
  return configuration;
}

}  // namespace

std::string example_file() {
  const Configuration configuration = defaults();
  std::string file = comment(
      "Every setting of capfd, with its default, which a file without the key has. `capfd init` writes a short "
      "capfd.toml into the state directory; `capfd check-config` says what is wrong with one. A key that is not known "
      "is an error.");
  for (const Group& group : groups()) {
    file += "\n" + comment(group.words);
    if (!group.path.empty()) file += "[" + group.path + "]\n";
    for (const Setting& setting : group.settings) {
      const Kind& kind = setting.kind;
      file += (&setting == &group.settings.front() ? "" : "\n") +
              comment(setting.words + (kind.range.empty() ? "" : " (" + kind.range + ")")) +
              (kind.table ? "[" + group.path + "." + setting.key + "]\n" : setting.key + " = ") +
              kind.write(configuration) + (kind.table ? "" : "\n");
    }
  }
  return file;
}

std::string settings_page() {
  const Configuration configuration = defaults();
  std::string page =
      "# Settings\n"
      "For the administrator who writes `capfd.toml`; [capfd.toml](capfd.toml) is an example with every key.\n\n"
      "The file is `DIR/capfd.toml`; `capfd check-config` says what is wrong with it. A key that it lacks has its\n"
      "default. This page and the example are what `capfd check-config --describe markdown` and `--describe toml` "
      "print.\n";
  for (const Group& group : groups()) {
    const std::string prefix = group.path.empty() ? "" : group.path + ".";
    page += "\n## " + (group.path.empty() ? std::string("The site") : "[" + group.path + "]") + "\n";
    if (!group.words.empty()) page += group.words + "\n\n";
    page += "| key | words | values | default |\n| --- | --- | --- | --- |\n";
    for (const Setting& setting : group.settings) {
      const std::string value = setting.kind.write(configuration);
      page += "| `" + prefix + setting.key + "` | " + setting.words + " | " + setting.kind.range + " | " +
              (value.empty() ? "none" : "`" + value + "`") + " |\n";
    }
  }
  return page;
}

std::string settings_manual() {
  const Configuration configuration = defaults();
  client::ManualPage page("capfd.toml", 5, "the configuration of capfd");
  page.add_section("DESCRIPTION");
  page.add_paragraph(
      "DIR/capfd.toml in the state directory, in TOML. \"capfd init\" writes a short one, and \"capfd check-config\" "
      "says what is wrong with one. A key that it lacks has its default; one that is not known is an "
      "error.");
  for (const Group& group : groups()) {
    page.add_section(group.path.empty() ? "THE SITE" : "[" + group.path + "]");
    if (!group.words.empty()) page.add_paragraph(group.words);
    for (const Setting& setting : group.settings) {
      const std::string value = setting.kind.write(configuration);
      page.add_item(setting.key, setting.words + (setting.kind.range.empty() ? "" : " (" + setting.kind.range + ")") +
                                     ". Default: " + (value.empty() ? "none" : value) + ".");
    }
  }
  page.add_section("SEE ALSO");
  page.add_paragraph("capfd(8), capfctl(1)");
  return page.text();
}

}  // namespace capf::daemon
