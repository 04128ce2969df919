#include "storage/conditions.h"

namespace capf::storage {

std::string Conditions::replaced(std::string_view condition, const std::string& number) {
  std::string text;
  for (const char c : condition) {
    if (c == '?')
      text += number;
    else
      text += c;
  }
  return text;
}

void add_page(Conditions& where, const std::string& id, const Page& page) {
  if (!page.newest) {
    where.add(id + " > ?::bigint", page.after);
  } else if (page.after != 0) {
    where.add(id + " < ?::bigint", page.after);
  }
}

std::string like_pattern(const Pattern& pattern) {
  std::string like;
  for (const char c : pattern.text()) {
    if (c == '*')
      like += '%';
    else if (c == '_')
      like += "\\_";
    else
      like += c;
  }
  return like;
}

}  // namespace capf::storage
