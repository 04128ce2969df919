-- Many phones stand behind one address. A phone that says one and the same wrong string again tells nothing new, so that
-- string counts once in the address's total; for the device, the address on this device and the operation each try counts
-- as before. A string is known again by the first eight octets of its keyed hash.

-- Those that were counted since `since`: as many as may be, five.
alter table address_device_strings add column known bigint[] not null default '{}';
-- The last 64 that were compared with nothing: their devices have no row of their own.
alter table address_strings add column known bigint[] not null default '{}';
create index address_device_strings_block on address_device_strings (address_block);

drop function count_string(bigint, bigint, text, integer, interval, integer, integer);
drop function count_strangers_string(text, integer, integer);

-- Counts a string that is compared with nothing. Beyond `largest` addresses new ones are not written down: nothing is at
-- stake, and a flood must not fill the disk.
create function count_strangers_string(the_block text, the_string bigint, per_address integer, largest integer)
returns text language plpgsql as $$
declare
  counted address_strings;
  its_count integer;
begin
  select * into counted from address_strings where address_block = the_block and since > now() - interval '1 hour';
  if counted.count >= per_address then
    return 'ADDRESS_LIMITED';
  end if;
  if the_string = any (counted.known) then
    -- Written all the same: a string that is compared is, and the time must not tell the two apart.
    update address_strings set count = count where address_block = the_block;
    return null;
  end if;
  if not exists (select from address_strings where address_block = the_block)
     and (select count(*) from (select from address_strings limit largest) as others) >= largest then
    return null;
  end if;
  insert into address_strings as s (address_block, count, since, known) values (the_block, 1, now(), array[the_string])
    on conflict (address_block) do update set
      count = case when s.since > now() - interval '1 hour' then s.count + 1 else 1 end,
      known = case when s.since > now() - interval '1 hour' then (the_string || s.known)[1:64] else array[the_string] end,
      since = case when s.since > now() - interval '1 hour' then s.since else now() end
      where s.count < per_address or s.since <= now() - interval '1 hour'
    returning count into its_count;
  return case when its_count is null then 'ADDRESS_LIMITED' end;
end $$;

-- Counts a string that is about to be compared, or says why it is not to be. Each limit is looked at where it is counted;
-- rows are locked in the order address, address on this device, device, operation. A string that finds a limit reached by
-- strings of the same moment has been counted in the places before that one. One and the same string that comes several
-- times in the same moment may count several times for the address, and never less than once.
create function count_string(the_phone bigint, the_operation bigint, the_block text, the_string bigint, per_device integer,
                             lock_for interval, per_pair integer, per_address integer) returns text
language plpgsql as $$
declare
  repeated boolean;
  refusal text;
begin
  repeated := exists (select from address_device_strings where phone_id = the_phone and address_block = the_block
                      and the_string = any (known) and since > now() - interval '1 hour');
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
  if refusal is not null and repeated then
    return refusal;
  end if;
  if refusal is not null then
    return coalesce(count_strangers_string(the_block, the_string, per_address, 1000), refusal);
  end if;

  with address as (
    insert into address_strings as s (address_block, count, since) select the_block, 1, now() where not repeated
      on conflict (address_block) do update set
        count = case when s.since > now() - interval '1 hour' then s.count + 1 else 1 end,
        known = case when s.since > now() - interval '1 hour' then s.known else '{}' end,
        since = case when s.since > now() - interval '1 hour' then s.since else now() end
      where s.count < per_address or s.since <= now() - interval '1 hour'
      returning 1),
  pair as (
    insert into address_device_strings as s (phone_id, address_block, count, since, known)
      select the_phone, the_block, 1, now(), array[the_string] where repeated or exists (select from address)
      on conflict (phone_id, address_block) do update set
        count = case when s.since > now() - interval '1 hour' then s.count + 1 else 1 end,
        known = case when s.since <= now() - interval '1 hour' then array[the_string]
                     when the_string = any (s.known) then s.known else s.known || the_string end,
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
