#pragma once

#include <string>
#include <string_view>

#include "capf/domain/operation_store.h"
#include "storage/columns.h"
#include "storage/session.h"

namespace capf::storage {

/// An operation as other aggregates' statements select it too; read_operation() takes the columns in this order.
inline constexpr char kOperationColumns[] =
    "o.id, o.phone_id, p.device, o.kind, o.state, o.auth, o.key_order, o.rsa_bits, o.ec_bits, o.self_service, "
    "o.created_by, microseconds(o.created_at), microseconds(o.completes_by), microseconds(o.finished_at), o.reason, "
    "o.message, coalesce(o.string_mac, ''), o.string_digits, o.certificates, o.failures, o.authenticated_by, "
    "o.authenticated_certificate, o.expired_mic, o.session, o.lsc_validity_days, o.lsc_subject, o.owners";
Operation read_operation(Columns& columns);
/// A query of the operation of a phone that is open, else of its last one. It reads the phone's own operations: an
/// index of the open ones would be read whole with statistics of a site that had none.
std::string latest_operation(std::string_view columns, std::string_view phone);
// The columns lsc_validity_days, lsc_subject and owners, as they are written; NULL where they are absent.
std::optional<std::int64_t> validity_days(const std::optional<LscTerms>& terms);
std::optional<std::string> subject_word(const std::optional<LscTerms>& terms);
std::optional<std::string> owner_letters(const std::optional<TermOwners>& owners);

/// Lives as long as its transaction's session.
class Operations final : public OperationStore {
 public:
  explicit Operations(Session& session) : session_(session) {}
  Result<std::vector<std::int64_t>> next_ids(std::size_t count) override;
  Result<int> add_all(const Operation& common, std::span<const NewOperation> operations, BytesView run) override;
  Result<std::optional<Operation>> find(std::int64_t id) override;
  Result<std::vector<Operation>> find_all(std::span<const std::int64_t> ids) override;
  Result<std::vector<Standing>> standings(std::span<const std::int64_t> phone_ids, BytesView run) override;
  Result<std::optional<Operation>> find_open(std::int64_t phone_id) override;
  Result<std::vector<Operation>> find_all_open(std::span<const std::int64_t> phone_ids) override;
  Result<std::optional<Operation>> find_last(std::int64_t phone_id) override;
  Result<std::vector<Operation>> list(const OperationFilter& filter, const Page& page) override;
  Result<std::vector<EndedOperation>> cancel_all(std::span<const std::int64_t> phone_ids, const std::string& message,
                                                 BytesView run) override;
  Result<std::vector<Operation>> lock_overdue(TimePoint deadline, int limit) override;

 private:
  Session& session_;
};

}  // namespace capf::storage
