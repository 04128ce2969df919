-- beside servers from migration 20 on
-- An enrolment writes every index of its certificate twice and those of its operation four times. storage/README.md says
-- which query needs each. A partial index without conditions on its own first column looks to the planner, before the
-- first statistics of a table, as if it had one row: each query that repeats its predicate would read it from end to end.

create unique index concurrently certificates_lsc_sha256 on certificates (sha256)
  where sha256 is not null and kind = 'lsc';

drop index certificates_lsc;

-- Of LSCs alone: they have an issuer of ours.
create unique index concurrently certificates_lsc_serial on certificates (issuer_id, serial)
  where issuer_id is not null;

drop index certificates_issuer_serial;

create unique index concurrently certificates_live_key on certificates (operation_id, key_sha256)
  where operation_id is not null and kind = 'lsc' and (revoked_at is null or revocation_reason = 6);

drop index certificates_operation_key;

create index concurrently certificates_live_of_issuer on certificates (issuer_id, not_after)
  where issuer_id is not null and (revoked_at is null or revocation_reason = 6);

drop index certificates_live_issuer;

create index concurrently certificates_by_issue on certificates (issued_at, id);

drop index certificates_issued_at;

create index concurrently certificates_confirmed_page on certificates (id)
  where id is not null and revoked_at is null and confirmed_at is not null;

drop index certificates_confirmed_id;

-- Nearly all certificates are LSCs, which a list finds in the order of their ids.
create index concurrently certificates_handed_over_page on certificates (id) where kind = 'handed_over';

drop index certificates_kind;

-- A phone has few certificates: certificates_phone finds them all.
drop index certificates_live;

drop index certificates_confirmed;

-- certificates_not_after has the same window.
drop index certificates_live_not_after;

create index concurrently operations_open_page on operations (state, id) where finished_at is null;

drop index operations_open_state;

-- Written once, when the operation ends.
create index concurrently operations_ended_page on operations (state, id)
  where state in ('succeeded', 'failed', 'expired', 'cancelled');

drop index operations_state;

create index concurrently operations_rare_kind on operations (kind, id) where kind <> 'install';

drop index operations_kind;

-- Phones are listed by their names.
drop index phones_present;

-- With the name, so that the first of several is found without reading the names of all.
create index concurrently phones_lower_name on phones (lower(device), device) where removed_at is null;

drop index phones_lower_device;

-- Room on each page for the next version of its rows: an update that changes no indexed column then writes no index.
alter table phones set (fillfactor = 80);
