#pragma once

#include <set>
#include <string>
#include <utility>
#include <vector>

#include <toml++/toml.h>

namespace capf::daemon {

/// Reads the keys of one table of a file in TOML. A value of another form than the one asked for is a fault; the
/// variable then keeps what it has, as where the key is absent.
class Section {
 public:
  /// @param path "policy.", empty at the top.
  /// @param table null where the file does not have it.
  /// @param faults grows by "FILE:LINE: KEY words" for each fault.
  Section(std::string file, std::string path, const toml::table* table, std::vector<std::string>& faults)
      : file_(std::move(file)), path_(std::move(path)), table_(table), faults_(faults) {}

  Section section(const std::string& key);
  void text(const std::string& key, std::string& value);
  void flag(const std::string& key, bool& value);
  void number(const std::string& key, int least, int most, int& value);
  void texts(const std::string& key, std::vector<std::string>& values);
  /// A table whose keys are the file's own, each with a number. @return them in the order of the keys.
  std::vector<std::pair<std::string, int>> numbers(const std::string& key, int least, int most);

  /// Reports a fault in the value of `key`, with its line.
  void fault(const std::string& key, const std::string& words);
  /// Every key that was not asked for is a fault.
  void finish();

 private:
  const toml::node* find(const std::string& key);
  void fault(const toml::node& node, const std::string& key, const std::string& words);

  std::string file_;
  std::string path_;
  const toml::table* table_;
  std::vector<std::string>& faults_;
  std::set<std::string> asked_;
};

}  // namespace capf::daemon
