-- Strings are counted by one statement, and a right one is taken back by rolling its count back.

drop function forgive_string(bigint, bigint, text);

-- Counts of an hour at most, each written anew by most strings: no row of phones is to be locked for them.
alter table device_strings drop constraint device_strings_phone_id_fkey;
alter table address_device_strings drop constraint address_device_strings_phone_id_fkey;

-- Counts a string that is about to be compared, or says why it is not to be. Each limit is looked at where it is counted;
-- rows are locked in the order address, address on this device, device, operation. Who finds a limit reached by strings of
-- the same moment has been counted in the places before that one.
create or replace function count_string(the_phone bigint, the_operation bigint, the_block text, per_device integer,
                                        lock_for interval, per_pair integer, per_address integer) returns text
language plpgsql as $$
declare
  refusal text;
begin
  -- A flood does not queue for locks to hear what it can hear without.
  select case
    when exists (select from address_strings where address_block = the_block and count >= per_address
                 and since > now() - interval '1 hour')
      or exists (select from address_device_strings where phone_id = the_phone and address_block = the_block
                 and count >= per_pair and since > now() - interval '1 hour') then 'ADDRESS_LIMITED'
    when exists (select from device_strings where phone_id = the_phone and locked_until > now())
      then 'AUTH_STRING_LOCKED'
    when not exists (select from operation_strings where operation_id = the_operation and count < largest)
      then 'AUTH_STRING_EXHAUSTED' end
    into refusal;
  if refusal is not null then
    return coalesce(count_strangers_string(the_block, per_address, 1000), refusal);
  end if;

  with address as (
    insert into address_strings as s (address_block, count, since) values (the_block, 1, now())
      on conflict (address_block) do update set
        count = case when s.since > now() - interval '1 hour' then s.count + 1 else 1 end,
        since = case when s.since > now() - interval '1 hour' then s.since else now() end
      where s.count < per_address or s.since <= now() - interval '1 hour'
      returning 1),
  pair as (
    insert into address_device_strings as s (phone_id, address_block, count, since)
      select the_phone, the_block, 1, now() from address
      on conflict (phone_id, address_block) do update set
        count = case when s.since > now() - interval '1 hour' then s.count + 1 else 1 end,
        since = case when s.since > now() - interval '1 hour' then s.since else now() end
      where s.count < per_pair or s.since <= now() - interval '1 hour'
      returning 1),
  device as ( -- after a lock that has run out it starts again
    insert into device_strings as s (phone_id, count, locked_until, counted_at)
      select the_phone, 1, case when per_device <= 1 then now() + lock_for end, now() from pair
      on conflict (phone_id) do update set
        counted_at = now(),
        count = case when s.locked_until is null then s.count + 1 else 1 end,
        locked_until = case when s.locked_until is null and s.count + 1 >= per_device then now() + lock_for end
      where s.locked_until is null or s.locked_until <= now()
      returning 1),
  operation as (
    update operation_strings set count = count + 1
      where operation_id = the_operation and count < largest and exists (select from device)
      returning 1)
  select case when not exists (select from pair) then 'ADDRESS_LIMITED'
              when not exists (select from device) then 'AUTH_STRING_LOCKED'
              when not exists (select from operation) then 'AUTH_STRING_EXHAUSTED' end
    into refusal;
  return refusal;
end $$;

drop function string_refusal(bigint, bigint, text, integer, integer);
