#pragma once

#include "capf/domain/trusted_certificate_store.h"
#include "storage/session.h"

namespace capf::storage {

/// Lives as long as its transaction's session.
class TrustedCertificates final : public TrustedCertificateStore {
 public:
  explicit TrustedCertificates(Session& session) : session_(session) {}
  Result<bool> add(const TrustedCertificate& certificate) override;
  Result<std::optional<TrustedCertificate>> find(const Sha256& sha256) override;
  Result<std::vector<TrustedCertificate>> find_beginning(const std::string& hexadecimal) override;
  Result<std::vector<TrustedCertificate>> find_by_serial(BytesView serial, int limit) override;
  Result<std::vector<TrustedCertificate>> list(const Page& page) override;
  Result<std::vector<TrustedCertificate>> listed(const Page& page) override;
  Result<bool> activate(std::int64_t id) override;
  Result<bool> remove(std::int64_t id) override;

 private:
  Session& session_;
};

}  // namespace capf::storage
