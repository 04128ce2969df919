#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "capf/ca/token.h"
#include "capf/daemon/key_purposes.h"
#include "capf/daemon/site.h"
#include "capf/daemon/watcher.h"
#include "capf/domain/database.h"
#include "capf/service/expiry.h"
#include "capf/service/phone_keys.h"

namespace capf::daemon {

/// The keys for phones' files in the state directory, or in the token, and the certificates that belong in trust lists.
/// Threads: any; open() and tick() one.
class PhoneKeyFiles final : public service::PhoneKeys {
 public:
  /// @param passphrase of the keys, which are opened again when their files change
  /// @param own gets the ends of the certificates that no port reports. All of them outlive this.
  PhoneKeyFiles(SiteFiles files, const Secret& passphrase, ca::Tokens& tokens, Database& database,
                service::OwnCertificates& own)
      : files_(std::move(files)), passphrase_(passphrase), tokens_(tokens), database_(database), own_(own) {}

  /// Reads all of them. A site without them has none. Errors: INVALID_CONFIGURATION where one key has two purposes,
  /// those of opening a key in use; KEY_RESERVED where a key is another owner's, and those of the database, which
  /// reserves them.
  Status open();
  /// To be called from time to time: takes over what the files have.
  void tick();

  std::shared_ptr<const service::PhoneKey> list_signer() const override;
  std::shared_ptr<const service::PhoneKey> list_signer(const std::string& name) const override;
  std::shared_ptr<const service::PhoneKey> file_signer() const override;
  std::vector<service::OwnCertificate> own_certificates() const override;

 private:
  struct Contents {
    std::map<std::string, std::shared_ptr<const service::PhoneKey>> signers;
    std::string list_signer;  ///< the names of those in use
    std::string file_signer;
    std::vector<service::OwnCertificate> certificates;
  };

  std::shared_ptr<const Contents> contents() const;
  std::shared_ptr<const service::PhoneKey> signer(const Contents& contents, const std::string& name) const;
  Result<Contents> read() const;
  Status read_purpose(const KeyPurpose& purpose, Contents& into) const;
  Result<std::shared_ptr<const service::PhoneKey>> open_signer(const std::string& name, const Bytes& certificate) const;
  Status claim(const Contents& contents) const;
  void report_ends(const Contents& contents) const;
  Watcher::Paths paths() const;

  const SiteFiles files_;
  const Secret& passphrase_;
  ca::Tokens& tokens_;
  Database& database_;
  service::OwnCertificates& own_;
  Watcher watcher_{[this] { return paths(); }};
  mutable std::mutex mutex_;
  std::shared_ptr<const Contents> contents_ = std::make_shared<const Contents>();
};

}  // namespace capf::daemon
