#pragma once

#include "capf/domain/certificate_store.h"
#include "storage/columns.h"
#include "storage/session.h"

namespace capf::storage {

/// A certificate as other aggregates' statements select it too; read_certificate() takes the columns in this order.
std::string certificate_columns();
Certificate read_certificate(Columns& columns);
/// id, phone_id, device, serial, operation_id, key_sha256
RevocableLsc read_revocable(Columns& columns);

/// Lives as long as its transaction's session.
class Certificates final : public CertificateStore {
 public:
  explicit Certificates(Session& session) : session_(session) {}
  Result<std::optional<Certificate>> find_lsc(const Sha256& sha256) override;
  Result<std::vector<Certificate>> find_serial(BytesView serial) override;
  Result<std::vector<Certificate>> live(std::int64_t phone_id) override;
  Result<std::vector<Certificate>> live_of_all(std::span<const std::int64_t> phone_ids) override;
  Result<std::vector<std::int64_t>> phones_with_lsc(std::span<const std::int64_t> phone_ids) override;
  Result<std::vector<Certificate>> live_of_issuer(std::int64_t issuer_id, int limit) override;
  Result<std::vector<Certificate>> of_phone(std::int64_t phone_id, int limit) override;
  Result<std::vector<std::pair<std::int64_t, Sha256>>> handed_over(std::span<const std::int64_t> phone_ids) override;
  Result<std::vector<Certificate>> list(const CertificateFilter& filter, const Page& page) override;
  Result<bool> release(std::int64_t id) override;
  Result<std::vector<std::int64_t>> superseded_phones(TimePoint before, int limit) override;
  Result<SelectionCount> count(const CertificateSelection& selection) override;
  Result<SelectedPage<Certificate>> list_selected(const CertificateSelection& selection, const Page& page) override;
  Result<std::optional<SerialNumber>> find_missing(std::span<const SerialNumber> serials) override;
  Result<SelectedPage<std::int64_t>> selected_phones(const CertificateSelection& selection, const Page& page) override;
  Result<std::vector<RevocableLsc>> selected(const CertificateSelection& selection,
                                             std::span<const std::int64_t> phone_ids) override;
  Result<std::vector<SerialStatus>> statuses(std::int64_t issuer_id, std::span<const SerialNumber> serials) override;

 private:
  Session& session_;
};

}  // namespace capf::storage
