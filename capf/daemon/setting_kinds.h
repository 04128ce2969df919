#pragma once

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "capf/base/address.h"
#include "capf/daemon/configuration.h"
#include "capf/daemon/section.h"
#include "capf/daemon/settings.h"
#include "capf/domain/device.h"
#include "capf/domain/setting.h"

// The kinds of plain settings, for the table. `at` gives the member of a configuration that has the value, to read it
// (Configuration&) and to write it (const Configuration&). A value of another form or out of its range is a fault of
// the section.

namespace capf::daemon {

/// The type of that member.
template <class At>
using ValueAt = std::remove_cvref_t<std::invoke_result_t<At, Configuration&>>;

/// "1 to 500"
std::string range_of(int least, int most);
/// `"a", "b" or "c"`
std::string quoted_alternatives(const std::vector<std::string>& words);

/// A value as the file has it, without its quotes.
std::string text_of(const std::string& text);
std::string text_of(const std::filesystem::path& path);
std::string text_of(const Network& network);
std::string text_of(const Pattern& pattern);
std::string text_of(const CapfHost& host);

template <class T>
std::vector<std::string> texts_of(const std::vector<T>& values) {
  std::vector<std::string> texts;
  for (const T& value : values) texts.push_back(text_of(value));
  return texts;
}

/// `["a", "b"]`
std::string toml_list(const std::vector<std::string>& texts);

/// true or false.
template <class At>
Kind flag(At at) {
  return {[at](Section& section, const std::string& key, Configuration& c) { section.flag(key, at(c)); },
          [at](const Configuration& c) { return std::string(at(c) ? "true" : "false"); }, ""};
}

/// A whole number from `least` to `most`.
template <class At>
Kind number(int least, int most, At at) {
  return {[=](Section& section, const std::string& key, Configuration& c) { section.number(key, least, most, at(c)); },
          [at](const Configuration& c) { return std::to_string(at(c)); }, range_of(least, most)};
}

/// A time in whole units of its own, which the key names: from `least` to `most` of them.
template <class Unit, class At>
Kind time(int least, int most, At at) {
  const auto count = [at](const Configuration& c) { return std::chrono::duration_cast<Unit>(at(c)).count(); };
  return {[=](Section& section, const std::string& key, Configuration& c) {
            int units = static_cast<int>(count(c));
            section.number(key, least, most, units);
            at(c) = Unit{units};
          },
          [count](const Configuration& c) { return std::to_string(count(c)); }, range_of(least, most)};
}

/// A text, or a path.
/// @param valid, words: a text that is not valid is a fault with these words.
template <class At>
Kind text(
    At at, bool (*valid)(const std::string&) = [](const std::string&) { return true; }, const char* words = "") {
  return {[=](Section& section, const std::string& key, Configuration& c) {
            std::string value = text_of(at(c));
            section.text(key, value);
            if (!valid(value)) section.fault(key, words);
            at(c) = value;
          },
          [at](const Configuration& c) { return toml_text(text_of(at(c))); }, ""};
}

/// One of these words, each with its value; the default is one of them.
template <class At>
Kind choice(std::vector<std::pair<std::string, ValueAt<At>>> values, At at) {
  std::vector<std::string> words;
  for (const auto& [word, value] : values) words.push_back(word);
  const std::string range = quoted_alternatives(words);
  const auto word_of = [=](const Configuration& c) {
    const auto same = [&](const auto& each) { return each.second == at(c); };
    return std::find_if(values.begin(), values.end(), same)->first;
  };
  return {[=](Section& section, const std::string& key, Configuration& c) {
            std::string word = word_of(c);
            section.text(key, word);
            const auto same = [&](const auto& each) { return each.first == word; };
            const auto found = std::find_if(values.begin(), values.end(), same);
            if (found == values.end()) return section.fault(key, "is " + range);
            at(c) = found->second;
          },
          [=](const Configuration& c) { return toml_text(word_of(c)); }, range};
}

/// A list of texts, each of which is parsed by `parse(text, configuration)`, which returns a Result; one that fails is
/// a fault, and the list goes on without it.
template <class At, class Parse>
Kind list(At at, Parse parse) {
  return {[=](Section& section, const std::string& key, Configuration& c) {
            std::vector<std::string> texts = texts_of(at(c));
            section.texts(key, texts);
            at(c).clear();
            for (const std::string& text : texts) {
              auto value = parse(text, c);
              if (!value) {
                section.fault(key, "has " + value.error().message);
                continue;
              }
              at(c).push_back(*std::move(value));
            }
          },
          [at](const Configuration& c) { return toml_list(texts_of(at(c))); }, ""};
}

/// The kind with a check after it was read.
Kind checked(Kind kind, const std::function<void(Section&, const std::string& key, Configuration&)>& check);

}  // namespace capf::daemon
