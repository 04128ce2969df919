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
