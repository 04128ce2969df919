#pragma once

#include "capf/domain/phone_fetch_store.h"
#include "storage/session.h"

namespace capf::storage {

/// Lives as long as its transaction's session.
class PhoneFetches final : public PhoneFetchStore {
 public:
  explicit PhoneFetches(Session& session) : session_(session) {}
  Status record(const std::map<DeviceName, PhoneFetch>& fetches) override;
  Result<std::optional<PhoneFetch>> of_phone(std::int64_t phone_id) override;
  Result<std::int64_t> count_behind(std::int64_t itl_generation, int most) override;

 private:
  Session& session_;
};

}  // namespace capf::storage
