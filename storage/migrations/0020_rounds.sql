-- A phone is read in one transaction and changed in a later one, which compares the phone's revision. Triggers count it,
-- so that a server that knows nothing of it counts as well.

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

-- Strings that were heard --------------------------------------------------------------------------------------------
