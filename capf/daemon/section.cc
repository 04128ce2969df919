#include "capf/daemon/section.h"

namespace capf::daemon {

Section Section::section(const std::string& key) {
  const toml::node* node = find(key);
  const toml::table* table = node == nullptr ? nullptr : node->as_table();
  if (node != nullptr && table == nullptr) fault(*node, key, "is a table: [" + path_ + key + "]");
  return {file_, path_ + key + ".", table, faults_};
}

void Section::text(const std::string& key, std::string& value) {
  const toml::node* node = find(key);
  if (node == nullptr) return;
  const auto found = node->value_exact<std::string>();
  if (!found) return fault(*node, key, "is a text in quotes");
  if (found->find('\0') != std::string::npos) return fault(*node, key, "has a zero character");
  value = *found;
}

void Section::flag(const std::string& key, bool& value) {
  const toml::node* node = find(key);
  if (node == nullptr) return;
  const auto found = node->value_exact<bool>();
  if (!found) return fault(*node, key, "is true or false");
  value = *found;
}

void Section::number(const std::string& key, int least, int most, int& value) {
  const toml::node* node = find(key);
  if (node == nullptr) return;
  const auto found = node->value_exact<std::int64_t>();
  if (!found || *found < least || *found > most) {
    return fault(*node, key, "is a whole number from " + std::to_string(least) + " to " + std::to_string(most));
  }
  value = static_cast<int>(*found);
}

void Section::texts(const std::string& key, std::vector<std::string>& values) {
  const toml::node* node = find(key);
  if (node == nullptr) return;
  const toml::array* array = node->as_array();
  std::vector<std::string> found;
  const auto complain = [&] { fault(*node, key, "is a list of texts in quotes"); };
  if (array == nullptr) return complain();
  for (const toml::node& element : *array) {
    const auto text = element.value_exact<std::string>();
    if (!text) return complain();
    found.push_back(*text);
  }
  values = std::move(found);
}

std::vector<std::pair<std::string, int>> Section::numbers(const std::string& key, int least, int most) {
  const toml::node* node = find(key);
  if (node == nullptr) return {};
  const toml::table* table = node->as_table();
  if (table == nullptr) {
    fault(*node, key, "is a table: [" + path_ + key + "]");
    return {};
  }
  Section section(file_, path_ + key + ".", table, faults_);
  std::vector<std::pair<std::string, int>> values;
  for (const auto& [name, value] : *table) {
    int number = 0;
    section.number(std::string(name.str()), least, most, number);
    values.emplace_back(name.str(), number);
  }
  return values;
}

void Section::fault(const std::string& key, const std::string& words) {
  const toml::node* node = table_ == nullptr ? nullptr : table_->get(key);
  if (node != nullptr) return fault(*node, key, words);
  faults_.push_back(file_ + ": " + path_ + key + " " + words);
}

void Section::finish() {
  if (table_ == nullptr) return;
  for (const auto& [key, node] : *table_) {
    const std::string name(key.str());
    if (asked_.find(name) == asked_.end()) fault(node, name, "is not known");
  }
}

const toml::node* Section::find(const std::string& key) {
  asked_.insert(key);
  return table_ == nullptr ? nullptr : table_->get(key);
}

void Section::fault(const toml::node& node, const std::string& key, const std::string& words) {
  faults_.push_back(file_ + ":" + std::to_string(node.source().begin.line) + ": " + path_ + key + " " + words);
}

}  // namespace capf::daemon
