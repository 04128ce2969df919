-- A phone is read in one transaction and changed in a later one, which compares the phone's revision. Triggers count
-- it, so that a server that knows nothing of it counts as well.

-- Of the phone with its operations and certificates: greater after each transaction that changed one of them.
alter table phones add column revision bigint not null default 0;
-- Room for the next version of a row beside it, so that no index is written for a count.
alter table phones set (fillfactor = 80);

create function count_phone_revision() returns trigger language plpgsql as $$
begin
  new.revision := old.revision + 1;
  return new;
end $$;
create trigger phones_revision before update on phones for each row execute function count_phone_revision();

-- A row that this transaction has written was counted then: the phone's row changes once for all of its operations and
-- certificates. The ids are in order, so that two transactions that delete do not
-- deadlock.
create function count_phone_revisions() returns trigger language plpgsql security definer
  set search_path = public, pg_temp as $$
begin
  update phones set revision = revision + 1
    where id = any (array(select distinct phone_id from changed order by 1))
      and xmin <> pg_current_xact_id()::xid;
  return null;
end $$;
create trigger operations_added_revision after insert on operations referencing new table as changed
  for each statement execute function count_phone_revisions();
create trigger operations_changed_revision after update on operations referencing new table as changed
  for each statement execute function count_phone_revisions();
create trigger operations_removed_revision after delete on operations referencing old table as changed
  for each statement execute function count_phone_revisions();
create trigger certificates_added_revision after insert on certificates referencing new table as changed
  for each statement execute function count_phone_revisions();
create trigger certificates_changed_revision after update on certificates referencing new table as changed
  for each statement execute function count_phone_revisions();
create trigger certificates_removed_revision after delete on certificates referencing old table as changed
  for each statement execute function count_phone_revisions();

-- An operation may be added in the state in which its first transaction leaves it, as long as it is open.
create or replace function check_operation() returns trigger language plpgsql as $$
begin
  if tg_op = 'INSERT' then
    if new.finished_at is not null then
      raise exception 'an operation begins as an open one' using errcode = 'check_violation';
    end if;
  elsif old.finished_at is not null then
    raise exception 'operation % has ended', old.id using errcode = 'check_violation';
  elsif new.state = 'pending' and old.state <> 'pending' then
    raise exception 'operation % was begun', old.id using errcode = 'check_violation';
  end if;
  return new;
end $$;

-- Strings that were heard --------------------------------------------------------------------------------------------

-- Many strings are heard by one statement, in the order in which they came, as if each came alone. A right one is looked
-- at and not counted, so it writes nothing, and its statement waits for no disk. Strings of one address, or for one
-- device, are heard one after the other over all servers: locks of this transaction's end keep their order, since there
-- may be no row yet to lock.

-- Counts of strings are locked by their devices and addresses before a row of them is, all of a statement's in one
-- order: transactions that count or clear several never wait in a circle.
create function lock_strings(phones bigint[], blocks text[]) returns void language plpgsql as $$
begin
  perform pg_advisory_xact_lock(hashtext('capf strings'), lock)
    from (select hashtext('phone ' || phone) from unnest(phones) as p (phone)
          union select hashtext('address ' || block) from unnest(blocks) as b (block)
          order by 1) as locks (lock);
end $$;

-- The limit that a string finds reached, or null.
create function string_limit(the_phone bigint, the_operation bigint, the_block text, per_pair integer,
                             per_address integer) returns text language sql volatile as $$
  select case
    when exists (select from address_strings where address_block = the_block and count >= per_address
                 and since > now() - interval '1 hour')
      or exists (select from address_device_strings where phone_id = the_phone and address_block = the_block
                 and count >= per_pair and since > now() - interval '1 hour') then 'ADDRESS_LIMITED'
    when exists (select from device_strings where phone_id = the_phone and locked_until > now())
      then 'AUTH_STRING_LOCKED'
    when not exists (select from operation_strings where operation_id = the_operation and count < largest)
      then 'AUTH_STRING_EXHAUSTED' end
$$;

-- As before, but that a string of which there is no room to write down costs a commit too: to a stranger with many
-- addresses, who fills that room, the time of the next wrong one would tell the names that have a string.
create or replace function count_strangers_string(the_block text, the_string bigint, per_address integer,
                                                  largest integer) returns text language plpgsql as $$
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
    perform pg_logical_emit_message(true, 'capf', ''::text); -- waits for the disk as a row would, and leaves none
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

-- As before, but for the locks, and that a limit of one device costs a commit also where the string was said before: the
-- time of the answer must not tell the names that have a string.
create or replace function count_string(the_phone bigint, the_operation bigint, the_block text, the_string bigint,
                                        per_device integer, lock_for interval, per_pair integer, per_address integer)
returns text language plpgsql as $$
declare
  repeated boolean;
  refusal text;
begin
  perform lock_strings(array[the_phone], array[the_block]);
  -- Told at once for every name.
  if exists (select from address_strings where address_block = the_block and count >= per_address
             and since > now() - interval '1 hour') then
    return 'ADDRESS_LIMITED';
  end if;
  repeated := exists (select from address_device_strings where phone_id = the_phone and address_block = the_block
                      and the_string = any (known) and since > now() - interval '1 hour');
  refusal := string_limit(the_phone, the_operation, the_block, per_pair, per_address);
  if refusal is not null and repeated then
    update address_device_strings set count = count where phone_id = the_phone and address_block = the_block;
    return refusal;
  end if;
  if refusal is not null then
    return coalesce(count_strangers_string(the_block, the_string, per_address, 1000), refusal);
  end if;

  insert into address_strings as s (address_block, count, since) select the_block, 1, now() where not repeated
    on conflict (address_block) do update set
      count = case when s.since > now() - interval '1 hour' then s.count + 1 else 1 end,
      known = case when s.since > now() - interval '1 hour' then s.known else '{}' end,
      since = case when s.since > now() - interval '1 hour' then s.since else now() end;
  insert into address_device_strings as s (phone_id, address_block, count, since, known)
    values (the_phone, the_block, 1, now(), array[the_string])
    on conflict (phone_id, address_block) do update set
      count = case when s.since > now() - interval '1 hour' then s.count + 1 else 1 end,
      known = case when s.since <= now() - interval '1 hour' then array[the_string]
                   when the_string = any (s.known) then s.known else s.known || the_string end,
      since = case when s.since > now() - interval '1 hour' then s.since else now() end;
  -- After a lock that has run out it starts again.
  insert into device_strings as s (phone_id, count, locked_until, counted_at)
    values (the_phone, 1, case when per_device <= 1 then now() + lock_for end, now())
    on conflict (phone_id) do update set
      counted_at = now(),
      count = case when s.locked_until is null then s.count + 1 else 1 end,
      locked_until = case when s.locked_until is null and s.count + 1 >= per_device then now() + lock_for end;
  update operation_strings set count = count + 1 where operation_id = the_operation;
  return null;
end $$;

-- A phone of 0 stands for no device, or none with an operation that asks for a string: the address counts it alone.
-- Returns the limit that refuses each one, or null.
create function hear_strings(the_phones bigint[], the_operations bigint[], the_blocks text[], the_strings bigint[],
                             per_addresses integer[], are_right boolean[], per_device integer, lock_for interval,
                             per_pair integer, largest integer) returns text[] language plpgsql as $$
declare
  refusals text[] := '{}';
  refusal text;
begin
  perform lock_strings(the_phones, the_blocks);
  for i in 1 .. cardinality(the_phones) loop
    if the_phones[i] = 0 then
      refusal := count_strangers_string(the_blocks[i], the_strings[i], per_addresses[i], largest);
    elsif are_right[i] and string_limit(the_phones[i], the_operations[i], the_blocks[i], per_pair, per_addresses[i])
                           is null then
      refusal := null;
    else
      refusal := count_string(the_phones[i], the_operations[i], the_blocks[i], the_strings[i], per_device, lock_for,
                              per_pair, per_addresses[i]);
    end if;
    refusals := refusals || refusal;
  end loop;
  return refusals;
end $$;
