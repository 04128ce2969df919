#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "capf/service/phone_keys.h"
#include "tests/support/data.h"
#include "tests/support/phone_files.h"

// Keys for phones' files, those of tests/data/phone-files.

namespace capf::test {

/// The keys of one server: none at first.
class PhoneKeysInMemory final : public service::PhoneKeys {
 public:
  /// @param file of tests/data/phone-files/certs
  void add(const std::string& name, const std::string& file, TrustRole role, bool in_use = true) {
    own.push_back({name, read_der("phone-files/certs/" + file + ".crt"), {role}, in_use});
    if (role == TrustRole::kSast && name != "recovery-signer") signers.emplace_back(name, file);
  }
  /// All that a site has: sast_a signs lists, and sast_b is the recovery signer.
  void add_all() {
    add("list-signer", "sast_a", TrustRole::kSast);
    add("recovery-signer", "sast_b", TrustRole::kSast, false);
    add("file-signer", "tftp", TrustRole::kTftp);
    add("file-server", "tftp_ec", TrustRole::kTftp);
    add("tvs", "tvs", TrustRole::kTvs);
    add("wire", "capf", TrustRole::kCapf);
  }
  void drop_key(const std::string& name) {
    std::erase_if(signers, [&](const auto& signer) { return signer.first == name; });
  }

  std::shared_ptr<const service::PhoneKey> list_signer() const override {
    for (const service::OwnCertificate& each : own) {
      if (each.in_use && each.roles.front() == TrustRole::kSast) {
        if (auto key = list_signer(each.name)) return key;
      }
    }
    return nullptr;
  }
  std::shared_ptr<const service::PhoneKey> list_signer(const std::string& name) const override {
    for (const auto& [signer, file] : signers) {
      if (signer == name) return key_of(name, file);
    }
    return nullptr;
  }
  std::shared_ptr<const service::PhoneKey> file_signer() const override { return nullptr; }
  std::vector<service::OwnCertificate> own_certificates() const override { return own; }

  static std::shared_ptr<const service::PhoneKey> key_of(const std::string& name, const std::string& file) {
    return std::make_shared<const service::PhoneKey>(
        service::PhoneKey{name, read_der("phone-files/certs/" + file + ".crt"),
                          value_of(ca::decrypt_key(read_data("phone-files/certs/" + file + ".key"), Secret()))});
  }

  std::vector<service::OwnCertificate> own;
  std::vector<std::pair<std::string, std::string>> signers;  ///< with their files
};

/// A server's keys for phones' files: the file signer, and no others.
class FileSignerAlone final : public service::PhoneKeys {
 public:
  /// Without a signer.
  FileSignerAlone() = default;
  /// @param name of certificate and key
  FileSignerAlone(const PhoneFiles& data, const std::string& name) {
    signer_ = std::make_shared<service::PhoneKey>(service::PhoneKey{"file-signer", data.der(name), data.key(name)});
  }
  std::shared_ptr<const service::PhoneKey> list_signer() const override { return nullptr; }
  std::shared_ptr<const service::PhoneKey> list_signer(const std::string&) const override { return nullptr; }
  std::shared_ptr<const service::PhoneKey> file_signer() const override { return signer_; }
  std::vector<service::OwnCertificate> own_certificates() const override { return {}; }

 private:
  std::shared_ptr<const service::PhoneKey> signer_;
};

}  // namespace capf::test
