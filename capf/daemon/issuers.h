#pragma once

#include "capf/base/secret.h"
#include "capf/ca/token.h"
#include "capf/daemon/configuration.h"
#include "capf/daemon/site.h"
#include "capf/service/issuers.h"

namespace capf::daemon {

/// The access to tokens. A PIN in a file or a credential is read at every login, any other one now, once.
/// Errors: those of read_secret().
Result<ca::TokenAccess> token_access(const TokenSettings& settings);

/// The issuers' keys in the state directory: each in an encrypted file, or in a token that a file names. Threads: any.
class IssuerFiles final : public service::IssuerFolder {
 public:
  /// @param passphrase of the keys; it and `tokens` outlive this.
  /// @param module the library of the tokens that administrators may name
  IssuerFiles(SiteFiles files, const Secret& passphrase, ca::Tokens& tokens, std::string module)
      : files_(std::move(files)), passphrase_(passphrase), tokens_(tokens), module_(std::move(module)) {}

  Status keep(std::int64_t id, const ca::ImportedAuthority& authority) override;
  Result<std::unique_ptr<ca::SigningKey>> open(const IssuerRecord& record) override;
  Result<std::unique_ptr<ca::SigningKey>> open_in_token(const std::string& uri,
                                                        std::optional<ca::KeyAlgorithm> make) override;
  Status keep_waiting(const ca::SigningKey& key) override;
  Result<std::unique_ptr<ca::SigningKey>> open_waiting() override;
  Status forget_waiting() override;

 private:
  Result<std::unique_ptr<ca::SigningKey>> open_file(const std::string& name);
  Status check_passphrase() const;

  const SiteFiles files_;
  const Secret& passphrase_;
  ca::Tokens& tokens_;
  const std::string module_;
};

}  // namespace capf::daemon
