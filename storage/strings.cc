#include "storage/stores.h"

namespace capf::storage {
namespace {

/// Addresses whose strings for unknown devices are counted at one time.
constexpr int kLargestStrangers = 1000;

std::optional<Reason> read(Columns& columns) { return columns.optional_reason(); }

const Statement kCount{"strings_count",
                       "select count_string($1::bigint, $2::bigint, $3::text, $4::int, $5::int * interval '1 minute', "
                       "$6::int, $7::int)"};
const Statement kCountStranger{"strings_count_stranger", "select count_strangers_string($1::text, $2::int, $3::int)"};
const Statement kForgive{"strings_forgive", "delete from device_strings where phone_id = $1::bigint"};
const Statement kUnlockAddresses{"strings_unlock_addresses",
                                 "delete from address_device_strings where phone_id = $1::bigint"};
// What is being counted at this moment is not old: rows that others hold are left.
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

Result<std::optional<Reason>> Strings::count(std::int64_t phone_id, std::int64_t operation_id,
                                             const std::string& address_block) {
  return session_.value(
      kCount,
      Parameters(phone_id, operation_id, address_block, kStringsPerDevice, static_cast<int>(kStringLock.count()),
                 kStringsPerAddressAndDevice, kStringsPerAddress),
      read);
}

Result<std::optional<Reason>> Strings::count_stranger(const std::string& address_block) {
  return session_.value(kCountStranger, Parameters(address_block, kStringsPerAddress, kLargestStrangers), read);
}

Status Strings::forgive(std::int64_t phone_id) { return session_.execute(kForgive, Parameters(phone_id)); }

Status Strings::unlock(std::int64_t phone_id) {
  CAPF_TRY(forgive(phone_id));
  return session_.execute(kUnlockAddresses, Parameters(phone_id));
}

Status Strings::prune() {
  CAPF_TRY(session_.execute(kPruneDevices, Parameters()));
  CAPF_TRY(session_.execute(kPrunePairs, Parameters()));
  return session_.execute(kPruneAddresses, Parameters());
}

}  // namespace capf::storage
