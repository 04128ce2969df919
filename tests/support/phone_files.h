#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>

#include <botan/system_rng.h>

#include "capf/ca/certificate.h"
#include "capf/files/signed_file.h"
#include "capf/files/trust_list.h"

// The certificates and keys of tests/data/phone-files, and lists of them.

namespace capf::test {

inline Bytes read_octets(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("no such file: " + path.string());
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// Their certificates begin in November 2026.
inline TimePoint files_now() { return parse_rfc3339("2026-12-24T12:00:00Z").value(); }

/// A folder with the data.
class PhoneFiles {
 public:
  explicit PhoneFiles(std::filesystem::path folder) : folder_(std::move(folder)) {}

  Bytes octets(const std::string& path) const { return read_octets(folder_ / path); }
  Bytes der(const std::string& name) const {
    return ca::split_certificates(octets("certs/" + name + ".crt"), 1).value().at(0);
  }
  files::Certificate certificate(const std::string& name) const { return files::Certificate::read(der(name)).value(); }
  std::unique_ptr<ca::SigningKey> key(const std::string& name) const {
    return ca::decrypt_key(octets("certs/" + name + ".key"), Secret()).value();
  }
  files::Listed listed(const std::string& name, TrustRoles roles) const { return {der(name), std::move(roles)}; }

 private:
  std::filesystem::path folder_;
};

/// Somebody who signs files.
class Signatory {
 public:
  Signatory(const PhoneFiles& data, const std::string& name)
      : certificate_(data.certificate(name)), key_(data.key(name)) {}

  files::FileSigner signer() const { return {certificate_, *key_, Botan::system_rng()}; }
  const files::Certificate& certificate() const { return certificate_; }

 private:
  files::Certificate certificate_;
  std::unique_ptr<ca::SigningKey> key_;
};

}  // namespace capf::test
