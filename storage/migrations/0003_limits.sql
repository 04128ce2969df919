-- Limits that hold in every case, and counts that do not grow for ever.

-- A key whose certificate was revoked may get another one in the same operation.
drop index certificates_operation_key;
create unique index certificates_operation_key on certificates (operation_id, key_sha256)
  where kind = 'lsc' and revoked_at is null;

-- A try that is refused without a comparison counts for the address as a stranger's does: otherwise the budget of an
-- address would tell which names wait for a string.
create or replace function count_string(the_phone bigint, the_operation bigint, the_block text, per_device integer,
                                        lock_for interval, per_pair integer, per_address integer) returns text
language plpgsql as $$
declare
  refusal text;
begin
  -- A flood does not queue for locks to hear what it can hear without.
  refusal := string_refusal(the_phone, the_operation, the_block, per_pair, per_address);
  if refusal is not null then
    return coalesce(count_strangers_string(the_block, per_address, 1000), refusal);
  end if;

  loop
    perform from device_strings where phone_id = the_phone for update;
    exit when found;
    insert into device_strings (phone_id) values (the_phone) on conflict do nothing;
  end loop;
  loop
    perform from address_strings where address_block = the_block for update;
    exit when found;
    insert into address_strings (address_block, count, since) values (the_block, 0, now()) on conflict do nothing;
  end loop;
  perform from operation_strings where operation_id = the_operation for update;
  refusal := string_refusal(the_phone, the_operation, the_block, per_pair, per_address);
  if refusal is not null then
    return coalesce(count_strangers_string(the_block, per_address, 1000), refusal);
  end if;

  -- After a lock that has run out it starts again.
  update device_strings set counted_at = now(),
      count = case when locked_until is null then count + 1 else 1 end,
      locked_until = case when locked_until is null and count + 1 >= per_device then now() + lock_for end
    where phone_id = the_phone;
  insert into address_device_strings as s (phone_id, address_block, count, since)
    values (the_phone, the_block, 1, now())
    on conflict (phone_id, address_block) do update set
      count = case when s.since > now() - interval '1 hour' then s.count + 1 else 1 end,
      since = case when s.since > now() - interval '1 hour' then s.since else now() end;
  update address_strings set
      count = case when since > now() - interval '1 hour' then count + 1 else 1 end,
      since = case when since > now() - interval '1 hour' then since else now() end
    where address_block = the_block;
  update operation_strings set count = count + 1 where operation_id = the_operation;
  return null;
end $$;

create index device_strings_counted_at on device_strings (counted_at);
grant delete on refusals, refusal_minutes to capf_server;
