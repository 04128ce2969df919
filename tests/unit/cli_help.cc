#include <catch2/catch.hpp>

#include "capf/cli/arguments.h"
#include "capf/client/manual.h"
#include "capf/client/suggestion.h"

using namespace capf;

TEST_CASE("the nearest word is meant, or the only one that begins so") {
  const std::vector<std::string> known{"list", "show", "block", "unblock", "unlock", "operation", "add"};
  const auto meant = [&](std::string_view word) { return client::closest(word, known).value_or(""); };
  CHECK(meant("lst") == "list");
  CHECK(meant("lits") == "list");
  CHECK(meant("shwo") == "show");
  CHECK(meant("unblok") == "unblock");
  CHECK(meant("ad") == "add");
  CHECK(meant("oper") == "operation");
  for (const std::string& word : {std::string("list"), std::string(), std::string("un"), std::string("frob"),
                                  std::string("x"), std::string(100000, 'l')}) {
    CHECK(meant(word).empty());
  }
  CHECK(client::did_you_mean("lst", known) == "; did you mean 'list'?");
  CHECK(client::did_you_mean("frob", known).empty());
  CHECK_FALSE(client::closest("list", {}));
}

TEST_CASE("the manual page has every command and option of the parser") {
  const auto commands = cli::all_commands();
  const cli::Parsed result = cli::parse({"--describe", "man"}, commands);
  CHECK(result.command == nullptr);
  CHECK(result.exit_code == 0);
  const std::string& page = result.out;
  CHECK(page.starts_with(".TH \"CAPFCTL\" 1 "));
  CHECK(page.ends_with("\n"));
  const auto in_roff = [](std::string text) {
    for (std::size_t at = 0; (at = text.find('-', at)) != std::string::npos; at += 2) text.insert(at, "\\");
    for (std::size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 3) text.insert(at + 1, "\\:");
    return text;
  };
  for (const cli::Command& command : commands) {
    CAPTURE(command.path);
    const std::size_t at = page.find(".SS \"capfctl " + in_roff(command.path));
    REQUIRE(at != std::string::npos);
    const std::string part = page.substr(at, page.find("\n.SS ", at + 1) - at);
    for (const cli::Option& option : command.options) CHECK(part.find(in_roff(option.name)) != std::string::npos);
  }
  CHECK(cli::parse({"--describe", "html"}, commands).exit_code == 2);
  CHECK(cli::parse({"--help"}, commands).out.find("--describe man  ") != std::string::npos);
}

TEST_CASE("a manual page has no line that roff takes for a command of its own") {
  client::ManualPage page("x", 1, "it's");
  page.add_paragraph(".so /etc/passwd\n'br\n  a\\b");
  page.add_item("--x", "");
  CHECK(page.text().ends_with(".PP\n\\&.so /etc/passwd\n\\&\\(aqbr\na\\eb\n.TP\n\\fB\\-\\-x\\fR\n\\&\n"));
}
