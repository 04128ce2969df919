#pragma once

#include "capf/domain/line_store.h"
#include "storage/session.h"

namespace capf::storage {

/// Lives as long as its transaction's session.
class Lines final : public LineStore {
 public:
  explicit Lines(Session& session) : session_(session) {}
  Result<bool> add(const std::string& name, const std::string& added_by) override;
  Result<std::vector<std::string>> add_all(std::span<const std::string> names, const std::string& added_by) override;
  Result<std::optional<Line>> find(const std::string& name) override;
  Result<std::optional<Line>> lock(const std::string& name) override;
  Result<std::vector<Line>> lock_all(std::span<const std::string> names) override;
  Result<std::vector<Line>> list(const Page& page) override;
  Result<std::vector<Line>> of_phones(std::span<const std::int64_t> phone_ids) override;
  Result<std::vector<Line>> lock_of_phones(std::span<const std::int64_t> phone_ids) override;
  Result<std::vector<std::string>> names_of_phone(std::int64_t phone_id) override;
  Result<std::vector<Line>> of_profile(std::int64_t profile_id, const Page& page) override;
  Status hold_modes() override;
  Status lock_modes() override;
  Result<std::vector<LineMember>> members(std::span<const std::int64_t> line_ids) override;
  Result<std::vector<std::int64_t>> neighbours(std::span<const std::int64_t> phone_ids, std::size_t limit) override;
  Result<std::vector<std::string>> join(std::int64_t line_id, std::span<const std::int64_t> phone_ids) override;
  Result<std::vector<LineMembership>> join_all(std::span<const std::int64_t> line_ids,
                                               std::span<const std::int64_t> phone_ids) override;
  Result<std::vector<LineMembership>> leave_all(std::span<const std::int64_t> line_ids,
                                                std::span<const std::int64_t> phone_ids) override;
  Result<std::vector<std::string>> with_too_many(std::span<const std::int64_t> phone_ids) override;
  Status leave(std::int64_t line_id, std::span<const std::int64_t> phone_ids) override;
  Status allow_mixed(std::span<const std::int64_t> line_ids) override;
  Status remove(std::int64_t line_id) override;

 private:
  Session& session_;
};

}  // namespace capf::storage
