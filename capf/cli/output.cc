#include "capf/cli/output.h"

#include <algorithm>
#include <iostream>

#include "capf/client/text.h"

namespace capf::cli {
namespace {

constexpr std::size_t kRowsMeasured = 1000;

std::string cell(const Json& value) {
  if (const bool* boolean = value.boolean()) return *boolean ? "yes" : "no";
  if (const auto* number = value.number()) return std::to_string(*number);
  if (const auto* text = value.text()) {
    return text->empty() ? "-" : client::printable(*text, client::Backslash::kKept);
  }
  if (const auto* array = value.array()) {
    std::string joined;
    for (const Json& element : *array) joined += (joined.empty() ? "" : ", ") + cell(element);
    return joined.empty() ? "-" : joined;
  }
  return "-";
}

std::string padded(const std::string& text, std::size_t columns) {
  const std::size_t used = client::width(text);
  return used < columns ? text + std::string(columns - used, ' ') : text;
}

void show_members(std::ostream& out, const Json::Object& members, const std::string& indent) {
  std::size_t widest = 0;
  for (const auto& [name, value] : members) widest = std::max(widest, client::width(name));
  for (const auto& [name, value] : members) {
    const std::string title = client::printable(name);
    const auto* inner = value.object();
    const auto* array = value.array();
    if (inner != nullptr && !inner->empty()) {
      out << indent << title << '\n';
      show_members(out, *inner, indent + "  ");
    } else if (array != nullptr && !array->empty() && array->front().object() != nullptr) {
      out << indent << title;
      for (const Json& element : *array) {
        out << '\n';
        show_members(out, *element.object(), indent + "  ");
      }
    } else {
      out << indent << padded(title, widest) << "  " << cell(value) << '\n';
    }
  }
}

}  // namespace

List::List(std::ostream& out, Format format, std::vector<Column> columns)
    : out_(out), format_(format), columns_(std::move(columns)) {}

void List::add(Json row) {
  if (format_ == Format::kJson) {
    out_ << (started_ ? ",\n" : "[") << row.dump();
    started_ = true;
    return;
  }
  waiting_.push_back(std::move(row));
  if (waiting_.size() >= kRowsMeasured) print_rows();
}

void List::finish() {
  if (format_ == Format::kJson) {
    out_ << (started_ ? "]\n" : "[]\n");
  } else {
    print_rows();
  }
  out_.flush();
}

void List::print_rows() {
  const auto print = [this](const std::vector<std::string>& cells) {
    std::string line;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      line += i + 1 < cells.size() ? padded(cells[i], widths_[i]) + "  " : cells[i];
    }
    out_ << line << '\n';
  };
  std::vector<std::vector<std::string>> rows;
  for (const Json& row : waiting_) {
    auto& cells = rows.emplace_back();
    for (const Column& column : columns_) cells.push_back(cell(row[column.name]));
  }
  waiting_.clear();
  if (!started_) {
    std::vector<std::string> titles;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      titles.push_back(columns_[i].title);
      widths_.push_back(client::width(columns_[i].title));
      for (const auto& cells : rows) widths_[i] = std::max(widths_[i], client::width(cells[i]));
    }
    print(titles);
    started_ = true;
  }
  for (const auto& cells : rows) print(cells);
}

void show(std::ostream& out, Format format, const Json& object) {
  if (format == Format::kJson) {
    out << object.dump() << '\n';
  } else if (const auto* members = object.object()) {
    show_members(out, *members, "");
  }
  out.flush();
}

std::string line_of(const std::vector<Json>& values) {
  std::string line;
  for (const Json& value : values) line += (line.empty() ? "" : "  ") + cell(value);
  return line;
}

int report(const Error& error) {
  std::cerr << "capfctl: " << to_string(error.reason) << ": " << client::printable(error.message) << '\n';
  if (!error.cause.empty()) std::cerr << "capfctl: cause: " << client::printable(error.cause) << '\n';
  return error.reason == Reason::kServerNotReached ? 3 : 1;
}

int report_usage(const std::string& words) {
  std::cerr << "capfctl: INVALID_REQUEST: " << client::printable(words) << '\n';
  return 2;
}

void warn(const std::string& words) { std::cerr << "capfctl: " << client::printable(words) << '\n'; }

}  // namespace capf::cli
