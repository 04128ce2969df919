#pragma once

#include <fstream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "capf/base/bytes.h"

namespace capf::test {

/// Of the files in tests/data/wire: fields behind tabs, the last one hexadecimal.
struct WireSample {
  std::string from;
  std::string name;
  Bytes octets;
};

inline std::vector<WireSample> read_wire_samples(const std::string& file) {
  std::ifstream input(std::string(CAPF_TEST_DATA) + "/wire/" + file);
  std::vector<WireSample> samples;
  for (std::string line; std::getline(input, line);) {
    std::vector<std::string> fields;
    std::istringstream words(line);
    for (std::string field; std::getline(words, field, '\t');) fields.push_back(field);
    if (fields.size() == 2) fields.insert(fields.begin(), "phone");
    samples.push_back({fields.at(0), fields.at(1), parse_hex(fields.at(2)).value()});
  }
  if (samples.empty()) throw std::runtime_error("no samples in " + file);
  return samples;
}

inline Bytes wire_sample(const std::string& name) {
  for (const WireSample& sample : read_wire_samples("messages.txt")) {
    if (sample.name == name) return sample.octets;
  }
  throw std::runtime_error("no message named " + name);
}

}  // namespace capf::test
