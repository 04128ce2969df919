#pragma once

#include <map>
#include <string>

#include "capf/service/highwater.h"
#include "capf/service/journal.h"

namespace capf::test {

class MarksInMemory final : public service::Marks {
 public:
  Result<std::optional<std::string>> find(const std::string& name) override {
    const auto found = marks.find(name);
    if (found == marks.end()) return std::nullopt;
    return found->second;
  }
  Status set(const std::string& name, const std::string& value) override {
    marks[name] = value;
    return {};
  }
  std::map<std::string, std::string> marks;
};

class LinesInMemory final : public service::Lines {
 public:
  Result<std::vector<std::string>> read() override { return lines; }
  Status append(std::span<const std::string> more) override {
    lines.insert(lines.end(), more.begin(), more.end());
    return {};
  }
  Status replace(std::span<const std::string> others) override {
    lines.assign(others.begin(), others.end());
    return {};
  }
  std::vector<std::string> lines;
};

}  // namespace capf::test
