#pragma once

#include "capf/domain/summary_store.h"
#include "storage/session.h"

namespace capf::storage {

/// Lives as long as its transaction's session.
class Overview final : public SummaryStore {
 public:
  explicit Overview(Session& session) : session_(session) {}
  Result<Summary> summary(std::span<const int> days) override;
  Result<ModeFigures> modes() override;
  Result<ModeCount> count_modes(const ModeCount::Place& after, int limit) override;
  Status set_modes(const ModeFigures& figures) override;

 private:
  Session& session_;
};

}  // namespace capf::storage
