#include <sstream>

#include <catch2/catch.hpp>

#include "capf/cli/handout.h"

using namespace capf;
using namespace capf::cli;

namespace {

const TimePoint kDeadline = parse_rfc3339("2030-12-31T23:59:59Z").value();

HandoutPhone phone(const std::string& device, const std::string& description = {}, std::vector<std::string> tags = {}) {
  return {device, Secret(std::string_view("08154711")), kDeadline, description, std::move(tags)};
}

std::string written(std::vector<HandoutPhone> phones) {
  std::ostringstream out;
  write_handout(out, std::move(phones));
  return out.str();
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

}  // namespace

TEST_CASE("a sheet has a page for 25 phones, each with what to press") {
  for (const auto& [phones, pages] : {std::pair{1, 1}, {25, 1}, {26, 2}, {51, 3}}) {
    std::vector<HandoutPhone> all;
    for (int i = 0; i < phones; ++i) all.push_back(phone("SEP" + std::to_string(i)));
    const std::string text = written(std::move(all));
    CAPTURE(phones);
    CHECK(count(text, "<section>") == static_cast<std::size_t>(pages));
    CHECK(count(text, "Security setup &gt; LSC &gt; Update") == static_cast<std::size_t>(pages));
    CHECK(count(text, "<td class=\"device\">") == static_cast<std::size_t>(phones));
    CHECK(count(text, "page 1 of " + std::to_string(pages) + "<") == 1);
  }
}

TEST_CASE("a sheet is in the order of tags, then of descriptions") {
  std::vector<HandoutPhone> phones;
  phones.push_back(phone("SEP1", "Room 2", {"berlin", "floor-1"}));
  phones.push_back(phone("SEP2", "Room 9", {"amsterdam"}));
  phones.push_back(phone("SEP3", "Room 1", {"berlin", "floor-1"}));
  const std::string text = written(std::move(phones));
  CHECK(text.find("SEP2") < text.find("SEP3"));
  CHECK(text.find("SEP3") < text.find("SEP1"));
  CHECK_THAT(text, Catch::Contains(">berlin floor-1</bdi></div></td><td class=\"description\"><div><bdi>Room 1<"));
  CHECK_THAT(text, Catch::Contains("<bdi>08154711</bdi>") && Catch::Contains("<bdi>2030-12-31 23:59 UTC</bdi>"));
}

TEST_CASE("text of others is text on a sheet") {
  struct {
    std::string text, shown;
  } const cases[] = {
      {"<script>alert('x')</script>", "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"},
      {"</bdi>\" onload=\"x", "&lt;/bdi&gt;&quot; onload=&quot;x"},
      {"a & b", "a &amp; b"},
      {"=cmd|' /C calc'!A0", "=cmd|&#39; /C calc&#39;!A0"},
      {"\xE2\x80\xAE"
       "1174",
       "\\u{202e}1174"},
      {"\x1b[31mred", "\\x1b[31mred"},
      {"\xF0\x9F\x93\x9E", "\xF0\x9F\x93\x9E"},
      {"\xD7\xA9\xD7\x9C\xD7\x95\xD7\x9D", "\xD7\xA9\xD7\x9C\xD7\x95\xD7\x9D"},
  };
  for (const auto& each : cases) {
    CAPTURE(each.text);
    std::vector<HandoutPhone> phones;
    phones.push_back(phone("SEP1", each.text));
    const std::string text = written(std::move(phones));
    CHECK_THAT(text, Catch::Contains("<td class=\"description\"><div><bdi>" + each.shown + "</bdi></div></td>"));
    CHECK(text.find("<script") == std::string::npos);
  }
}
