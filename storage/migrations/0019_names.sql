-- Phones are listed by their names.
drop index phones_blocked;
create index phones_blocked on phones (device) where removed_at is null and blocked_at is not null;

-- An administrator who writes a device's name in another case is told the name: case counts, and a name that is unknown
-- looks like a device that was never added.
create index phones_lower_device on phones (lower(device)) where removed_at is null;
