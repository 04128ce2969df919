#include <sstream>

#include <catch2/catch.hpp>

#include "capf/cli/devices.h"
#include "capf/cli/json.h"
#include "capf/cli/output.h"
#include "capf/client/text.h"

using namespace capf::cli;
namespace client = capf::client;

TEST_CASE("JSON escapes quotes, backslashes and every control character") {
  CHECK(Json("a\"b\\c\n\r\t").dump() == R"("a\"b\\c\n\r\t")");
  CHECK(Json(std::string("\x00\x1b[31m\x7f", 7)).dump() == R"("\u0000\u001b[31m\u007f")");
  CHECK(Json("\xC2\x9B"
             "31m")
            .dump() == R"("\u009b31m")");
  CHECK(Json("\xE2\x80\xAE").dump() == R"("\u202e")");
}

TEST_CASE("JSON keeps UTF-8 and replaces what is not UTF-8") {
  CHECK(Json("Müller \xF0\x9F\x93\x9E").dump() == "\"Müller \xF0\x9F\x93\x9E\"");
  CHECK(Json("\xC0\xAF").dump() == "\"\xEF\xBF\xBD\xEF\xBF\xBD\"");
  CHECK(Json("\xED\xA0\x80").dump() == "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"");
  CHECK(Json("\xE2\x82").dump() == "\"\xEF\xBF\xBD\xEF\xBF\xBD\"");
  CHECK(Json("\xF5\x80\x80\x80").dump().size() == 2 + std::size_t{4} * 3);
}

TEST_CASE("JSON writes nulls, numbers, booleans, arrays and objects in order") {
  const Json value =
      Json::Object{{"b", Json()}, {"a", -5}, {"c", Json::Array{true, false, "x"}}, {"d", Json::Object{}}};
  CHECK(value.dump() == R"({"b":null,"a":-5,"c":[true,false,"x"],"d":{}})");
  CHECK(value["a"].dump() == "-5");
  CHECK(value["none"].is_null());
  CHECK(text_or_null("").is_null());
}

TEST_CASE("a help fits its terminal, and its examples stay commands") {
  const std::string help =
      "Usage: capfctl phone list [OPTIONS]\n"
      "  --device TEXT    names, or patterns with one * at the end, of the phones\n"
      "\nExample:\n  capfctl phone list --device 'SEP00*' --operation failed\n";
  CHECK(client::wrapped(help, 80) == help);
  CHECK(client::wrapped(help, 40) ==
        "Usage: capfctl phone list [OPTIONS]\n"
        "  --device TEXT    names, or patterns\n"
        "                   with one * at the\n"
        "                   end, of the phones\n"
        "\nExample:\n  capfctl phone list --device 'SEP00*' --operation failed\n");
  CHECK(client::wrapped("word", 2) == "word");
  CHECK(client::wrapped("", 20).empty());
}

TEST_CASE("a terminal never gets a control character from a table") {
  CHECK(client::printable("\x1b]0;title\x07") == R"(\x1b]0;title\x07)");
  CHECK(client::printable("a\nb") == R"(a\x0ab)");
  CHECK(client::printable("\xC2\x9B") == R"(\u{009b})");
  CHECK(client::printable("\xE2\x80\xAE"
                          "abc") == R"(\u{202e}abc)");
  CHECK(client::printable("back\\slash") == R"(back\\slash)");
  CHECK(client::printable("grün") == "grün");
}

TEST_CASE("a list is one JSON array, also when it is empty") {
  std::ostringstream empty;
  List none(empty, Format::kJson, {});
  none.finish();
  CHECK(empty.str() == "[]\n");
  std::ostringstream two;
  List list(two, Format::kJson, {});
  list.add(Json::Object{{"a", 1}});
  list.add(Json::Object{{"a", Json()}});
  list.finish();
  CHECK(two.str() == "[{\"a\":1},\n{\"a\":null}]\n");
}

TEST_CASE("a table is as wide as its cells and shows what is absent as a dash") {
  std::ostringstream out;
  List list(out, Format::kTable, {{"NAME", "name"}, {"AT", "at"}, {"OPEN", "open"}});
  list.add(Json::Object{{"name", "müller"}, {"at", Json()}, {"open", true}});
  list.add(Json::Object{{"name", "x"}, {"at", "now"}, {"open", false}});
  list.finish();
  CHECK(out.str() ==
        "NAME    AT   OPEN\n"
        "müller  -    yes\n"
        "x       now  no\n");
}

TEST_CASE("a table shows the escapes of a name as they are, and those of a terminal's as text") {
  std::ostringstream out;
  List list(out, Format::kTable, {{"SUBJECT", "subject"}});
  list.add(Json::Object{{"subject", R"(CN=Miller\, Hans)"}});
  list.add(Json::Object{{"subject", "CN=\x1b[31m"}});
  list.finish();
  CHECK(out.str() ==
        "SUBJECT\n"
        R"(CN=Miller\, Hans)"
        "\n"
        R"(CN=\x1b[31m)"
        "\n");
}

TEST_CASE("an object is shown with its inner objects indented") {
  std::ostringstream out;
  show(out, Format::kTable,
       Json::Object{{"device", "SEP1"},
                    {"operation", Json::Object{{"state", "pending"}}},
                    {"certificates", Json::Array{Json::Object{{"serial", "0a"}}}},
                    {"none", Json::Array{}},
                    {"empty", Json::Object{}}});
  CHECK(out.str() ==
        "device        SEP1\n"
        "operation\n"
        "  state  pending\n"
        "certificates\n"
        "  serial  0a\n"
        "none          -\n"
        "empty         -\n");
}

TEST_CASE("serial numbers are taken as people paste them, device names as they are") {
  CHECK(serial_or_device("0A:1B:2c") == "0a1b2c");
  CHECK(serial_or_device("0xAB12") == "ab12");
  CHECK(serial_or_device("4F00112233445566778899AABBCCDDEE") == "4f00112233445566778899aabbccddee");
  CHECK(serial_or_device("SEP001122334455") == "SEP001122334455");
  CHECK(serial_or_device("ABCDEF") == "ABCDEF");
  CHECK(serial_or_device("0A:1") == "0a1");
  CHECK(serial_or_device("0A:1G") == "0A:1G");
  CHECK(serial_or_device("0A1:B") == "0A1:B");
}
