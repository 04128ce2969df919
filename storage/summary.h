#pragma once

#include "capf/domain/summary_store.h"
#include "storage/session.h"

namespace capf::storage {

/// Lives as long as its transaction's session.
class Overview final : public SummaryStore {
 public:
  explicit Overview(Session& session) : session_(session) {}
  Result<Summary> summary(std::span<const int> days) override;

 private:
  Session& session_;
};

}  // namespace capf::storage
