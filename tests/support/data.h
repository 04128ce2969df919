#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>

#include "capf/base/bytes.h"
#include "capf/base/time.h"
#include "capf/ca/certificate.h"
#include "capf/ca/key.h"

namespace capf::test {

/// The time of the tests' clock: the certificates of tests/data are made for it.
inline TimePoint test_now() { return parse_rfc3339("2026-06-01T12:00:00Z").value(); }

/// A file under tests/data.
inline Bytes read_data(const std::string& path) {
  std::ifstream file(std::filesystem::path(CAPF_TEST_DATA) / path, std::ios::binary);
  if (!file) throw std::runtime_error("no such test data: " + path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// The one certificate of a PEM file under tests/data, as DER.
inline Bytes read_der(const std::string& path) { return ca::split_certificates(read_data(path), 1).value().at(0); }

inline std::unique_ptr<ca::SigningKey> read_key(const std::string& name) {
  return ca::decrypt_key(read_data("keys/" + name + ".key"), Secret()).value();
}

/// The value, or an exception with the error.
template <class T>
T value_of(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message + ": " + result.error().cause);
  return *std::move(result);
}

/// The reason of an error; throws where there is none.
template <class T>
Reason reason_of(const Result<T>& result) {
  if (result) throw std::runtime_error("it succeeded");
  return result.error().reason;
}

}  // namespace capf::test
