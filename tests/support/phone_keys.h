#pragma once

#include <memory>
#include <string>
#include <vector>

#include "capf/service/phone_keys.h"
#include "tests/support/phone_files.h"

namespace capf::test {

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
