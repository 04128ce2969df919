#pragma once

#include "capf/domain/phone_store.h"
#include "storage/columns.h"
#include "storage/session.h"

namespace capf::storage {

/// A phone as other aggregates' statements select it too, where device_strings s and phone_attempts t are joined to p.
std::string phone_columns();
Phone read_phone(Columns& columns);

/// Lives as long as its transaction's session.
class Phones final : public PhoneStore {
 public:
  explicit Phones(Session& session) : session_(session) {}
  Result<std::vector<std::string>> add(std::span<const DeviceName> devices, const std::string& model) override;
  Result<std::set<DeviceName>> add_missing(std::span<const ImportedPhone> phones) override;
  Status update(std::span<const ImportedPhone> phones) override;
  Result<std::optional<Phone>> find(const DeviceName& device) override;
  Result<std::optional<DeviceName>> find_other_case(const DeviceName& device) override;
  Result<std::map<DeviceName, DeviceName>> find_other_cases(std::span<const DeviceName> devices) override;
  Result<std::optional<Phone>> lock(const DeviceName& device) override;
  Status lock_all(std::span<const std::int64_t> ids) override;
  Result<std::vector<Phone>> lock_all(std::span<const DeviceName> devices) override;
  Result<std::optional<Phone>> find(std::int64_t id) override;
  Result<SelectedPhones> select(const PhoneSelection& selection, const PhonePage& page) override;
  Result<PhoneCount> count(const PhoneSelection& selection) override;
  Result<std::vector<SelectedPhone>> still_selected(const PhoneSelection& selection,
                                                    std::span<const std::int64_t> ids) override;
  Result<std::vector<DeviceName>> missing(std::span<const DeviceName> devices) override;
  Result<std::vector<Phone>> find_all(std::span<const std::int64_t> ids) override;
  Result<std::vector<Phone>> find_all(std::span<const DeviceName> devices) override;
  Result<std::vector<std::int64_t>> change(std::span<const std::int64_t> ids, const PhoneChange& change) override;
  Result<std::vector<std::string>> block_all(std::span<const std::int64_t> ids) override;
  Result<std::vector<std::string>> unblock_all(std::span<const std::int64_t> ids) override;
  Status forget_mics(std::span<const std::int64_t> ids) override;
  Status allow_self_service(std::span<const std::int64_t> ids) override;
  Status set_traced(std::span<const std::int64_t> ids, const std::optional<TimePoint>& until) override;
  Status remove_all(std::span<const std::int64_t> ids) override;

 private:
  Status tag(std::span<const ImportedPhone> phones, bool only);

  Session& session_;
};

}  // namespace capf::storage
