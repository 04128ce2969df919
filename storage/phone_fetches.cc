#include "storage/phone_fetches.h"

namespace capf::storage {
namespace {

PhoneFetch read(Columns& columns) {
  PhoneFetch fetch;
  fetch.itl_generation = columns.id_or_none();
  fetch.ctl_generation = columns.id_or_none();
  if (!columns.skip_null()) fetch.configuration = columns.text();
  fetch.fetched_at = columns.time();
  if (!columns.skip_null()) fetch.address = Address::parse(columns.text()).value();
  return fetch;
}

// In the order of the phones, so that two servers cannot deadlock.
// Anybody may fetch, so the same fetch again is written once in five minutes.
const Statement kRecord{
    "phone_fetches_record",
    "insert into phone_fetches as f (phone_id, itl_generation, ctl_generation, configuration, fetched_at, address) "
    "select p.id, n.itl, n.ctl, n.configuration, n.fetched_at, n.address from unnest($1::text[], $2::bigint[], "
    "$3::bigint[], $4::text[], $5::timestamptz[], $6::inet[]) n (device, itl, ctl, configuration, fetched_at, address) "
    "join phones p on p.device = n.device and p.removed_at is null order by p.id "
    "on conflict (phone_id) do update set itl_generation = coalesce(excluded.itl_generation, f.itl_generation), "
    "ctl_generation = coalesce(excluded.ctl_generation, f.ctl_generation), "
    "configuration = coalesce(excluded.configuration, f.configuration), "
    "fetched_at = greatest(excluded.fetched_at, f.fetched_at), address = excluded.address "
    "where (coalesce(excluded.itl_generation, f.itl_generation), coalesce(excluded.ctl_generation, f.ctl_generation), "
    "coalesce(excluded.configuration, f.configuration)) is distinct from "
    "(f.itl_generation, f.ctl_generation, f.configuration) or excluded.fetched_at > f.fetched_at + interval "
    "'5 minutes'"};
const Statement kOfPhone{"phone_fetches_of_phone",
                         "select itl_generation, ctl_generation, configuration, microseconds(fetched_at), "
                         "host(address) from phone_fetches where phone_id = $1::bigint"};
const Statement kCountBehind{"phone_fetches_count_behind",
                             "select count(*) from (select from phone_fetches where itl_generation < $1::bigint "
                             "limit $2::int) b"};

}  // namespace

Status PhoneFetches::record(const std::map<DeviceName, PhoneFetch>& fetches) {
  Array devices, itls, ctls, configurations, times, addresses;
  for (const auto& [device, fetch] : fetches) {
    devices.add(device);
    itls.add(fetch.itl_generation);
    ctls.add(fetch.ctl_generation);
    configurations.add(fetch.configuration);
    times.add(fetch.fetched_at);
    addresses.add(fetch.address.to_string());
  }
  return session_.execute(kRecord, Parameters(devices, itls, ctls, configurations, times, addresses));
}

Result<std::optional<PhoneFetch>> PhoneFetches::of_phone(std::int64_t phone_id) {
  return session_.first(kOfPhone, Parameters(phone_id), read);
}

Result<std::int64_t> PhoneFetches::count_behind(std::int64_t itl_generation, int most) {
  return session_.value(kCountBehind, Parameters(itl_generation, most), read_number);
}

}  // namespace capf::storage
