#pragma once

#include <algorithm>
#include <cstdint>
#include <iostream>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "capf/cli/command.h"
#include "capf/cli/connection.h"
#include "capf/cli/convert.h"
#include "capf/cli/output.h"
#include "capf/domain/page.h"

namespace capf::cli {

/// Prints lists that come in pages as one, all of it or up to --limit rows.
/// @param rows_of takes a response, returns its repeated field. An unknown column is wrong usage.
template <class Request, class RowsOf>
Result<int> print_pages(const Arguments& arguments, Connection& server, std::vector<Request> requests,
                        std::vector<Column> columns, RowsOf rows_of) {
  using Response = typename decltype(server.call(std::declval<const Request&>()))::value_type;
  using Row = typename std::decay_t<decltype(rows_of(std::declval<const Response&>()))>::value_type;
  std::int64_t left = arguments.number("--limit").value_or(std::numeric_limits<std::int64_t>::max());
  const Style style = arguments.format();
  auto chosen = chosen_columns(style, std::move(columns), to_json(Row()));
  if (!chosen) return report_usage(chosen.error().message);
  List list(std::cout, style, *std::move(chosen));
  for (Request& request : requests) {
    if (arguments.has("--newest")) request.mutable_page()->set_newest(true);
    while (left > 0) {
      request.mutable_page()->set_size(static_cast<std::int32_t>(std::min<std::int64_t>(left, kLargestPage)));
      CAPF_LET(const auto response, server.call(request));
      for (const auto& row : rows_of(response)) {
        if (left-- > 0) list.add(to_json(row));
      }
      if (response.next_page_token().empty()) break;
      if (!std::cout) return 0;  // nobody takes the rest: the pager has ended, or the disk is full
      if (response.next_page_token() == request.page().token()) return fail_internal("a page names itself as the next");
      request.mutable_page()->set_token(response.next_page_token());
    }
  }
  list.finish();
  return 0;
}
/// The same of one list.
template <class Request, class RowsOf>
Result<int> print_pages(const Arguments& arguments, Connection& server, Request request, std::vector<Column> columns,
                        RowsOf rows_of) {
  return print_pages(arguments, server, std::vector<Request>{std::move(request)}, std::move(columns), rows_of);
}

/// Prints a list that came at once. An unknown column is wrong usage.
template <class Rows>
Result<int> print_rows(const Arguments& arguments, std::vector<Column> columns, const Rows& rows) {
  const Style style = arguments.format();
  auto chosen = chosen_columns(style, std::move(columns), to_json(typename Rows::value_type()));
  if (!chosen) return report_usage(chosen.error().message);
  List list(std::cout, style, *std::move(chosen));
  for (const auto& row : rows) list.add(to_json(row));
  list.finish();
  return 0;
}

}  // namespace capf::cli
