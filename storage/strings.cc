#include "storage/strings.h"

#include "capf/domain/strings.h"

namespace capf::storage {
namespace {

LimitedAddress read_limited(Columns& columns) {
  LimitedAddress limited;
  limited.address_block = columns.text();
  limited.device = columns.text();
  limited.strings = columns.integer();
  limited.until = columns.time();
  return limited;
}

// Rows of the last hour: few addresses reach a limit, even with many phones.
const Statement kLimited{
    "strings_limited",
    "select address_block, device, count, microseconds(since + interval '1 hour') from ("
    "select address_block, '' as device, count, since from address_strings where count >= $1::int "
    "union all select s.address_block, p.device, s.count, s.since from address_device_strings s "
    "join phones p on p.id = s.phone_id where s.count >= $2::int) as reached "
    "where since > now() - interval '1 hour' order by count desc, address_block, device limit 1000"};
const Statement kUnlockAddress{
    "strings_unlock_address",
    "with address as (delete from address_strings where address_block = $1::text returning 1), "
    "pairs as (delete from address_device_strings where address_block = $1::text returning 1) "
    "select exists (select from address) or exists (select from pairs)"};
const Statement kUnlockDevices{"strings_unlock_devices",
                               "delete from device_strings where phone_id = any ($1::bigint[])"};
const Statement kUnlockAddresses{"strings_unlock_addresses",
                                 "delete from address_device_strings where phone_id = any ($1::bigint[])"};
// Skips rows that other transactions have locked: they are being counted now, so they are not old.
const Statement kPruneDevices{
    "strings_prune_devices",
    "delete from device_strings where phone_id in (select phone_id from device_strings "
    "where counted_at < now() - interval '1 hour' and (locked_until is null or locked_until < now()) "
    "limit 10000 for update skip locked)"};
const Statement kPrunePairs{
    "strings_prune_pairs",
    "delete from address_device_strings where (phone_id, address_block) in (select phone_id, address_block from "
    "address_device_strings where since < now() - interval '1 hour' limit 10000 for update skip locked)"};
const Statement kPruneAddresses{
    "strings_prune_addresses",
    "delete from address_strings where address_block in (select address_block from address_strings "
    "where since < now() - interval '1 hour' limit 10000 for update skip locked)"};

}  // namespace

Result<std::vector<LimitedAddress>> Strings::limited(int strings) {
  return session_.all(kLimited, Parameters(strings, kStringsPerAddressAndDevice), read_limited);
}

Result<bool> Strings::unlock_address(const std::string& address_block) {
  return session_.value(kUnlockAddress, Parameters(address_block), read_boolean);
}

Status Strings::unlock_all(std::span<const std::int64_t> phone_ids) {
  CAPF_TRY(session_.execute(kUnlockDevices, Parameters(phone_ids)));
  return session_.execute(kUnlockAddresses, Parameters(phone_ids));
}

Status Strings::prune() {
  CAPF_TRY(session_.execute(kPruneDevices, Parameters()));
  CAPF_TRY(session_.execute(kPrunePairs, Parameters()));
  return session_.execute(kPruneAddresses, Parameters());
}

}  // namespace capf::storage
