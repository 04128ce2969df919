-- beside servers from migration 20 on
-- As before, in a language whose statements are planned once in a session: in SQL they were planned again at each string.
create or replace function string_limit(the_phone bigint, the_operation bigint, the_block text, per_pair integer,
                                        per_address integer) returns text language plpgsql volatile as $$
begin
  if exists (select from address_strings where address_block = the_block and count >= per_address
             and since > now() - interval '1 hour')
     or exists (select from address_device_strings where phone_id = the_phone and address_block = the_block
                and count >= per_pair and since > now() - interval '1 hour') then
    return 'ADDRESS_LIMITED';
  elsif exists (select from device_strings where phone_id = the_phone and locked_until > now()) then
    return 'AUTH_STRING_LOCKED';
  elsif not exists (select from operation_strings where operation_id = the_operation and count < largest) then
    return 'AUTH_STRING_EXHAUSTED';
  end if;
  return null;
end $$;

-- A phone that is not positive stands for a name of no device, or of none with an operation that asks for a string: the
-- address counts it alone. Names have locks of their own as devices have, so that strings for many names do not wait for
-- each other. Returns the limit that refuses each one, or null.
create or replace function hear_strings(the_phones bigint[], the_operations bigint[], the_blocks text[], the_strings bigint[],
                             per_addresses integer[], are_right boolean[], per_device integer, lock_for interval,
                             per_pair integer, largest integer) returns text[] language plpgsql as $$
declare
  refusals text[] := '{}';
  refusal text;
begin
  perform lock_strings(the_phones, the_blocks);
  for i in 1 .. cardinality(the_phones) loop
    if the_phones[i] <= 0 then
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
