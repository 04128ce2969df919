#include "capf/cli/handout.h"

#include <algorithm>
#include <tuple>

#include "capf/client/text.h"

namespace capf::cli {
namespace {

// 297 mm less the margins of 12 mm: the heading, the titles, and 25 rows of 9.4 mm, which a long text may not stretch.
constexpr const char* kBegin = R"(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Authentication strings</title>
<style>
@page { size: A4; margin: 12mm }
body { margin: 0; font: 9pt sans-serif; color: #000; background: #fff }
section { position: relative; width: 186mm; height: 272mm; overflow: hidden; break-after: page }
section:last-child { break-after: auto }
h1 { margin: 0; height: 10mm; font-size: 12pt }
table { width: 142mm; border-collapse: collapse; table-layout: fixed }
th { height: 7mm; text-align: left }
td { padding: 0 1mm; border-top: 0.2mm solid #999 }
td div { height: 9.4mm; overflow: hidden; overflow-wrap: anywhere }
.string { width: 27mm; font: bold 13pt monospace }
.device { width: 33mm }
.until { width: 22mm }
aside { position: absolute; top: 10mm; right: 0; width: 40mm }
aside p { margin: 0 0 2mm }
</style>
</head>
<body>
)";

constexpr const char* kPress = R"(<aside>
<p><b>7800, 8800</b><br>Applications (the gear) &gt; Admin settings &gt; Security setup &gt; LSC &gt; Update; type the
string &gt; Submit</p>
<p><b>7900</b><br>Settings &gt; Security Configuration; **# unlocks it; LSC &gt; Update; type the string &gt; Submit</p>
<p>The string is for this phone alone, and for one certificate. Destroy the sheet when every phone has its own.</p>
</aside>
)";

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : client::printable(text, client::Backslash::kKept)) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      default: out += c;
    }
  }
  return out;
}

/// Isolated, because a text from right to left would reorder what stands beside it.
std::string cell(const char* kind, std::string_view text) {
  return std::string("<td class=\"") + kind + "\"><div><bdi>" + escaped(text) + "</bdi></div></td>";
}

std::string joined(const std::vector<std::string>& tags) {
  std::string text;
  for (const std::string& tag : tags) text += (text.empty() ? "" : " ") + tag;
  return text;
}

/// "2030-12-31 23:59 UTC".
std::string until(TimePoint time) {
  std::string text = to_rfc3339(time).substr(0, 16);
  std::replace(text.begin(), text.end(), 'T', ' ');
  return text + " UTC";
}

void write_page(std::ostream& out, std::span<const HandoutPhone> phones, std::size_t page, std::size_t pages) {
  out << "<section>\n<h1>Authentication strings, page " << page << " of " << pages << "</h1>\n" << kPress;
  out << "<table>\n<tr><th class=\"tags\">Tags</th><th>Description</th><th class=\"device\">Phone</th>"
         "<th class=\"string\">String</th><th class=\"until\">Until</th></tr>\n";
  for (const HandoutPhone& phone : phones) {
    out << "<tr>" << cell("tags", joined(phone.tags)) << cell("description", phone.description)
        << cell("device", phone.device) << cell("string", phone.digits.text())
        << cell("until", until(phone.completes_by)) << "</tr>\n";
  }
  out << "</table>\n</section>\n";
}

}  // namespace

void write_handout(std::ostream& out, std::vector<HandoutPhone> phones) {
  std::sort(phones.begin(), phones.end(), [](const HandoutPhone& a, const HandoutPhone& b) {
    return std::tie(a.tags, a.description, a.device) < std::tie(b.tags, b.description, b.device);
  });
  const std::size_t pages = (phones.size() + kPhonesOnPage - 1) / kPhonesOnPage;
  out << kBegin;
  for (std::size_t page = 0; page < pages; ++page) {
    const std::size_t first = page * kPhonesOnPage;
    const std::size_t count = std::min(kPhonesOnPage, phones.size() - first);
    write_page(out, std::span(phones).subspan(first, count), page + 1, pages);
  }
  out << "</body>\n</html>\n";
}

}  // namespace capf::cli
