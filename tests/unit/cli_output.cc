#include <algorithm>
#include <sstream>

#include <catch2/catch.hpp>

#include "capf/cli/output.h"
#include "capf/client/text.h"
#include "capf/client/zone.h"

using namespace capf;
using namespace capf::cli;

namespace {

const std::vector<Column> kColumns{
    {"DEVICE", "device"}, {"STATE", "state"}, {"DESCRIPTION", "description", 1}, {"MADE AT", "made_at"}};

Json row(const std::string& device, const std::string& state, const Json& description = {}) {
  return Json::Object{{"device", device},
                      {"state", state},
                      {"description", description},
                      {"made_at", "2030-01-31T00:00:00Z"},
                      {"id", 7},
                      {"tags", Json::Array{"a", "b"}},
                      {"settings", Json::Object{{"auth", "mic"}}}};
}

std::string listed(const Style& style, const std::vector<Json>& rows) {
  std::ostringstream out;
  const auto columns = chosen_columns(style, kColumns, row("", ""));
  REQUIRE(columns);
  List list(out, style, *columns);
  for (const Json& each : rows) list.add(each);
  list.finish();
  return out.str();
}

std::size_t widest(const std::string& text) {
  std::istringstream in(text);
  std::size_t widest = 0;
  for (std::string line; std::getline(in, line);) widest = std::max(widest, client::width(line));
  return widest;
}

}  // namespace

TEST_CASE("a table fits its terminal: columns are left out by rank, and the last line says which") {
  Style style(Format::kTable);
  const std::vector<Json> rows{row("SEP001122334455", "pending", "the lobby, by the door to the left of the stairs")};
  CHECK(listed(style, rows) ==
        "DEVICE           STATE    DESCRIPTION                                       MADE AT\n"
        "SEP001122334455  pending  the lobby, by the door to the left of the stairs  2030-01-31T00:00:00Z\n");
  style.width = 80;
  CHECK(listed(style, rows) ==
        "DEVICE           STATE    MADE AT\n"
        "SEP001122334455  pending  2030-01-31T00:00:00Z\n"
        "not shown: DESCRIPTION (-o wide)\n");
  style.width = 40;
  CHECK(listed(style, rows) ==
        "DEVICE           STATE\n"
        "SEP001122334455  pending\n"
        "+2 columns: -o wide\n");
  style.columns = {"DEVICE", "STATE", "DESCRIPTION"};  // what is asked for is shown
  CHECK(listed(style, rows).find("not shown") == std::string::npos);
  CHECK(listed(style, rows).find("DESCRIPTION") != std::string::npos);
}

TEST_CASE("no line is wider than the terminal, however narrow") {
  const std::vector<Json> rows{row("SEP001122334455", "pending", "x"), row("電話電話電話電話電話電話電話", "failed"),
                               row(std::string(50, 'y'), "in_progress")};
  for (std::size_t width = 1; width <= 120; ++width) {
    CAPTURE(width);
    Style style(Format::kTable);
    style.width = width;
    CHECK(widest(listed(style, rows)) <= width);
  }
  Style narrow(Format::kTable);
  narrow.width = 20;
  CHECK(listed(narrow, {row("SEP001122334455", "pending")}) ==
        "DEVICE\n"
        "SEP001122334455\n"
        "+3 columns: -o wide\n");
  // Rows after the thousand that are measured are cut off, not wrapped.
  std::vector<Json> many(1000, row("SEP1", "failed"));
  many.push_back(row(std::string(60, 'z'), "failed"));
  CHECK(widest(listed(narrow, many)) <= 20);
}

TEST_CASE("what is wide, of East Asia or combining takes its columns") {
  CHECK(client::width("電話") == 4);
  CHECK(client::width("e\xCC\x81") == 1);
  CHECK(client::cut("abcdef", 6) == "abcdef");
  CHECK(client::cut("abcdef", 4) == "abc…");
  CHECK(client::cut("電話機", 4) == "電…");
  CHECK(client::cut("電話機", 1) == "…");
  CHECK(client::cut("abc", 0).empty());
}

TEST_CASE("a wide table has every plain member, and is never cut") {
  Style style(Format::kWide);
  style.width = 20;
  CHECK(listed(style, {row("SEP1", "failed")}) ==
        "DEVICE  STATE   DESCRIPTION  MADE AT               ID  TAGS\n"
        "SEP1    failed  -            2030-01-31T00:00:00Z  7   a, b\n");
}

TEST_CASE("columns are chosen by member or title, in every form") {
  const std::vector<Json> rows{row("SEP1", "failed")};
  Style style(Format::kTable);
  style.columns = {"Made At", "id", "device"};
  CHECK(listed(style, rows) ==
        "MADE AT               ID  DEVICE\n"
        "2030-01-31T00:00:00Z  7   SEP1\n");
  style.headers = false;
  CHECK(listed(style, rows) == "2030-01-31T00:00:00Z  7  SEP1\n");
  style.format = Format::kCsv;
  CHECK(listed(style, rows) == "2030-01-31T00:00:00Z,7,SEP1\n");
  style.format = Format::kJson;
  CHECK(listed(style, rows) == "[{\"made_at\":\"2030-01-31T00:00:00Z\",\"id\":7,\"device\":\"SEP1\"}]\n");
  style.format = Format::kJsonl;
  CHECK(listed(style, rows) == "{\"made_at\":\"2030-01-31T00:00:00Z\",\"id\":7,\"device\":\"SEP1\"}\n");
  style.columns = {"colour"};
  const auto unknown = chosen_columns(style, kColumns, row("", ""));
  REQUIRE_FALSE(unknown);
  CHECK(unknown.error().reason == Reason::kInvalidRequest);
  CHECK_THAT(unknown.error().message, Catch::Contains("'colour'") && Catch::Contains("device, state"));
}

TEST_CASE("JSON lines have one object each, and none where there is nothing") {
  CHECK(listed(Format::kJsonl, {}).empty());
  const std::string two = listed(Format::kJsonl, {row("SEP1", "failed"), row("SEP2", "failed")});
  CHECK(std::count(two.begin(), two.end(), '\n') == 2);
  CHECK(two.starts_with("{\"device\":\"SEP1\""));
}

TEST_CASE("CSV is text to a spreadsheet") {
  CHECK(listed(Format::kCsv, {}) == "device,state,description,made_at,id,tags\n");
  const auto description = [](const std::string& text) {
    Style style(Format::kCsv);
    style.columns = {"description"};
    style.headers = false;
    return listed(style, {row("SEP1", "failed", text)});
  };
  CHECK(description("=1+1") == "'=1+1\n");
  CHECK(description("+49 30") == "'+49 30\n");
  CHECK(description("-1") == "'-1\n");
  CHECK(description("@SUM(A1)") == "'@SUM(A1)\n");
  CHECK(description("\t=1") == "'\\x09=1\n");
  CHECK(description("\r=1") == "'\\x0d=1\n");
  CHECK(description("a=1") == "a=1\n");
  CHECK(description("Miller, \"Hans\"") == "\"Miller, \"\"Hans\"\"\"\n");
  CHECK(description("\x1b[31m") == "\\x1b[31m\n");
  CHECK(description("") == "\n");
  std::ostringstream out;
  show(out, Format::kCsv, row("SEP1", "failed"));
  CHECK(out.str() ==
        "device,state,description,made_at,id,tags,settings\n"
        "SEP1,failed,,2030-01-31T00:00:00Z,7,\"a, b\",\"{\"\"auth\"\":\"\"mic\"\"}\"\n");
}

TEST_CASE("states have colours where they are asked for, and only states") {
  Style style(Format::kTable);
  style.colors = true;
  const std::string shown = listed(style, {row("failed", "failed", "pending")});
  CHECK_THAT(shown, Catch::Contains("failed  \x1b[31mfailed\x1b[0m  pending"));
  style.colors = false;
  CHECK_THAT(listed(style, {row("SEP1", "failed")}), !Catch::Contains("\x1b"));
  style.colors = true;
  std::ostringstream out;
  show(out, style, Json::Object{{"state", "succeeded"}, {"name", "succeeded"}});
  CHECK(out.str() ==
        "state  \x1b[32msucceeded\x1b[0m\n"
        "name   succeeded\n");
}

TEST_CASE("times are those of the zone in tables, and UTC in what programs read") {
  REQUIRE(client::check_zone("Europe/Berlin"));
  CHECK_FALSE(client::check_zone("Europe/Atlantis"));
  for (const char* name : {"", "/etc/localtime", "../zoneinfo/UTC", "Europe", "Europe//Berlin", "zone.tab", "a\nb"}) {
    CAPTURE(name);
    CHECK_FALSE(client::check_zone(name));
  }
  client::use_zone("Europe/Berlin");
  CHECK(client::to_local(*parse_rfc3339("2030-01-31T00:00:00Z")) == "2030-01-31T01:00:00+01:00");
  CHECK(client::to_local(*parse_rfc3339("2030-07-01T22:30:00Z")) == "2030-07-02T00:30:00+02:00");
  const TimePoint time = *parse_rfc3339("2030-07-01T22:30:00Z");
  CHECK(*parse_rfc3339(client::to_local(time)) == time);
  Style style(Format::kTable);
  style.local_times = true;
  CHECK_THAT(listed(style, {row("SEP1", "failed")}), Catch::Contains("2030-01-31T01:00:00+01:00"));
  for (const Format format : {Format::kJson, Format::kJsonl, Format::kCsv}) {
    style.format = format;
    CHECK_THAT(listed(style, {row("SEP1", "failed")}), Catch::Contains("2030-01-31T00:00:00Z"));
  }
  client::use_zone("America/St_Johns");
  CHECK(client::to_local(*parse_rfc3339("2030-01-31T00:00:00Z")) == "2030-01-30T20:30:00-03:30");
  client::use_zone("UTC");
}

TEST_CASE("a refusal for its form is wrong usage") {
  CHECK(report(fail(Reason::kInvalidRequest, "no").value(), true) == 2);
  CHECK(report(fail(Reason::kInvalidRequest, "a file with a fault").value()) == 1);
  CHECK(report(fail(Reason::kInvalidPattern, "no").value()) == 2);
  CHECK(report(fail(Reason::kInvalidCertificate, "no").value(), true) == 1);
  CHECK(report(fail(Reason::kUnknownDevice, "no").value(), true) == 1);
  CHECK(report(fail(Reason::kServerNotReached, "no").value()) == 3);
}
