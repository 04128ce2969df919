#pragma once

#include "capf/base/secret.h"
#include "capf/daemon/site.h"
#include "capf/service/issuers.h"

namespace capf::daemon {

/// Issuers' keys in the state directory, each in an encrypted file. Threads: any.
class IssuerFiles final : public service::IssuerFolder {
 public:
  /// @param passphrase of the keys; it outlives this.
  IssuerFiles(SiteFiles files, const Secret& passphrase) : files_(std::move(files)), passphrase_(passphrase) {}

  Status keep(std::int64_t id, const ca::ImportedAuthority& authority) override;
  Result<std::unique_ptr<ca::SigningKey>> open(std::int64_t id) override;

 private:
  const SiteFiles files_;
  const Secret& passphrase_;
};

}  // namespace capf::daemon
