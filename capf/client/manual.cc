#include "capf/client/manual.h"

#include <CLI/CLI.hpp>

#include "capf/base/version.h"

namespace capf::client {
namespace {

/// man(7): a backslash and a hyphen are escaped, and no line of text begins with a control character. @param filled
/// the lines are made anew
std::string escaped(std::string_view text, bool filled = true) {
  std::string out;
  for (const char c : text) {
    const bool begins = out.empty() || out.back() == '\n';
    if (filled && begins && c == ' ') continue;  // a blank there breaks the line
    if (begins && (c == '.' || c == '\'')) out += "\\&";
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else if (c == '`') {
      out += "\\(ga";
    } else if (c == '\'') {
      out += "\\(aq";
    } else {
      out += c;
      if (filled && c == '|') out += "\\:";  // a line may end there
    }
  }
  return out;
}

std::string path_of(const CLI::App& app) {
  return app.get_parent() == nullptr ? app.get_name() : path_of(*app.get_parent()) + " " + app.get_name();
}

std::string tag_of(const CLI::Option& option) {
  const std::string type = option.get_expected_max() == 0 ? "" : option.get_type_name();
  if (option.get_positional()) return option.get_name();
  std::string names;
  for (const std::string& name : option.get_snames()) names += (names.empty() ? "-" : ", -") + name;
  for (const std::string& name : option.get_lnames()) names += (names.empty() ? "--" : ", --") + name;
  return names + (type.empty() ? "" : " " + type);
}

std::string words_of(const CLI::Option& option) {
  std::string words = option.get_description();
  const std::string type = option.get_type_name();
  if (option.get_positional() && type.find('|') != std::string::npos) words += ": " + type;
  if (!option.get_default_str().empty()) words += " (default: " + option.get_default_str() + ")";
  if (option.get_required()) words += "; required";
  return words;
}

void add_options(ManualPage& page, const CLI::App& app) {
  for (const CLI::Option* option : app.get_options()) {
    if (app.get_parent() != nullptr && option == app.get_help_ptr()) continue;
    page.add_item(tag_of(*option), words_of(*option));
  }
}

/// The line of a command's arguments by position behind its words.
std::string usage_of(const CLI::App& app) {
  std::string usage = path_of(app);
  for (const CLI::Option* option : app.get_options()) {
    if (!option->get_positional()) continue;
    const std::string name = option->get_name() + (option->get_expected_max() > 1 ? "..." : "");
    usage += option->get_required() ? " " + name : " [" + name + "]";
  }
  return usage;
}

void add_commands(ManualPage& page, const CLI::App& app) {
  const auto children = app.get_subcommands([](const CLI::App*) { return true; });
  if (children.empty()) {
    page.add_subsection(usage_of(app));
    page.add_paragraph(app.get_description());
    add_options(page, app);
    if (!app.get_footer().empty()) page.add_example(app.get_footer());
  }
  for (const CLI::App* child : children) add_commands(page, *child);
}

}  // namespace

ManualPage::ManualPage(const std::string& name, int section, std::string_view summary) {
  std::string title;
  for (const char c : name) title += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  text_ = ".TH \"" + escaped(title) + "\" " + std::to_string(section) + " \"\" \"CAPF " + std::string(version()) +
          "\"\n.ad l\n.SH NAME\n" + escaped(name) + " \\- " + escaped(summary) + "\n";
}

void ManualPage::add_section(std::string_view title) { text_ += ".SH \"" + escaped(title) + "\"\n"; }
void ManualPage::add_subsection(std::string_view title) { text_ += ".SS \"" + escaped(title) + "\"\n"; }
void ManualPage::add_paragraph(std::string_view text) { text_ += ".PP\n" + escaped(text) + "\n"; }

void ManualPage::add_example(std::string_view text) { text_ += ".PP\n.nf\n" + escaped(text, false) + "\n.fi\n"; }

void ManualPage::add_item(std::string_view tag, std::string_view text) {
  text_ += ".TP\n\\fB" + escaped(tag) + "\\fR\n" + (text.empty() ? "\\&" : escaped(text)) + "\n";
}

std::string manual_of(const CLI::App& app, const Manual& manual) {
  ManualPage page(app.get_name(), manual.section, app.get_description());
  const bool commands = !app.get_subcommands([](const CLI::App*) { return true; }).empty();
  page.add_section("SYNOPSIS");
  page.add_paragraph(usage_of(app) + " [OPTIONS]" + (commands ? " COMMAND" : ""));
  page.add_section("DESCRIPTION");
  page.add_paragraph(manual.description);
  page.add_section("OPTIONS");
  add_options(page, app);
  if (commands) {
    page.add_section("COMMANDS");
    add_commands(page, app);
  } else if (!app.get_footer().empty()) {
    page.add_section("EXAMPLES");
    page.add_example(app.get_footer());
  }
  for (const auto& [title, text] : manual.sections) {
    page.add_section(title);
    page.add_paragraph(text);
  }
  return page.text();
}

void add_manual(CLI::App& app, Manual manual) {
  app.add_option_function<std::string>(
         "--describe",
         [&app, rest = std::move(manual)](const std::string& /*form*/) {
           std::string page = manual_of(app, rest);
           page.pop_back();  // App::exit() ends the line
           throw CLI::CallForVersion(page, 0);
         },
         "prints the manual page of the program")
      ->check(CLI::IsMember({"man"}).description(""))
      ->type_name("man")
      ->group(kManualGroup);
}

}  // namespace capf::client
