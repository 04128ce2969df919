#pragma once

#include "capf/domain/check_store.h"
#include "storage/session.h"

namespace capf::storage {

/// Lives as long as its transaction's session.
class Checks final : public CheckStore {
 public:
  explicit Checks(Session& session) : session_(session) {}
  Result<std::vector<IssuedRecord>> issued(TimePoint since, std::int64_t after, int limit) override;
  Result<std::optional<TimePoint>> oldest_event() override;

 private:
  Session& session_;
};

}  // namespace capf::storage
