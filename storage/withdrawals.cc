#include "storage/withdrawals.h"

namespace capf::storage {
namespace {

Withdrawal read(Columns& columns) {
  Withdrawal withdrawal;
  withdrawal.place.transaction = columns.transaction();
  withdrawal.place.id = columns.number();
  withdrawal.kind = columns.word(parse_withdrawal_kind);
  withdrawal.undone = columns.boolean();
  withdrawal.sha256 = columns.digest();
  withdrawal.phone_id = columns.number();
  withdrawal.device = columns.text();
  withdrawal.block = columns.text();
  return withdrawal;
}

const std::string kSelect =
    "select xid, id, kind, undone, coalesce(sha256, decode(repeat('00', 32), 'hex')), coalesce(phone_id, 0), "
    "coalesce(device, ''), block from withdrawals ";
const Statement kList{"withdrawals_list", kSelect +
                                              "where (xid, id) > ($1::text::xid8, $2::bigint) and xid < (select "
                                              "record_transaction(pg_snapshot_xmin(pg_current_snapshot()))) "
                                              "order by xid, id limit $3::int"};
const Statement kFind{"withdrawals_find", kSelect + "where xid = $1::text::xid8 and id = $2::bigint"};

}  // namespace

Result<std::vector<Withdrawal>> Withdrawals::list(const ChangeCursor& after, int limit) {
  return session_.all(kList, Parameters(after.transaction, after.id, limit), read);
}

Result<std::optional<Withdrawal>> Withdrawals::find(const ChangeCursor& place) {
  return session_.first(kFind, Parameters(place.transaction, place.id), read);
}

}  // namespace capf::storage
