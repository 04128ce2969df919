-- beside servers from migration 20 on
-- Campaigns: installs for many phones, some at a time. The run is that of a campaign's operations, by which their ends
-- are noted. Campaign 1 is there from the start: LSCs that the server renews.
create table campaigns (
  id bigint generated always as identity primary key,
  name text collate "C" not null unique check (name ~ '^[A-Za-z0-9._][A-Za-z0-9._-]{0,49}$'),
  state text not null check (state in ('new', 'running', 'paused', 'stopped', 'cancelled', 'finished')),
  auth text not null check (auth in ('lsc', 'mic')),
  rate_phones integer check (rate_phones between 1 and 100000),
  rate_seconds integer check (rate_seconds in (60, 3600, 86400)),
  spread_seconds integer check (spread_seconds between 60 and 7776000),
  open_hours text check (char_length(open_hours) <= 64),
  time_zone text check (char_length(time_zone) <= 64),
  stop_at_percent integer not null default 0 check (stop_at_percent between 0 and 100),
  patience_seconds integer check (patience_seconds between 60 and 7776000),
  run bytea not null unique check (octet_length(run) = 16),
  attempt integer not null default 0,
  ran_seconds bigint not null default 0,
  released bigint not null default 0,
  round_at timestamptz,
  why text not null default '' check (char_length(why) <= 1000),
  created_by text not null check (char_length(created_by) <= 64),
  created_at timestamptz not null default now(),
  changed_at timestamptz not null default now(),
  ended_at timestamptz,
  check ((rate_phones is null) = (rate_seconds is null)),
  check (rate_phones is null or spread_seconds is null),
  check ((open_hours is null) = (time_zone is null)),
  check ((ended_at is not null) = (state in ('cancelled', 'finished')))
);
-- A round looks at those that are not over.
create index campaigns_under_way on campaigns (id) where ended_at is null;
insert into campaigns (name, state, auth, run, created_by)
  values ('renewal', 'running', 'lsc', decode('63617066642072656e6577616c000000', 'hex'), 'capfd');
grant select, insert, delete on campaigns to capf_server;
grant update (state, attempt, ran_seconds, released, round_at, why, changed_at, ended_at) on campaigns to capf_server;

-- The phones of campaigns. There is no foreign key, which would lock every phone; no phone's row is ever deleted.
create sequence campaign_releases;
create table campaign_phones (
  campaign_id bigint not null,
  phone_id bigint not null,
  device text collate "C" not null,
  place bigint not null default 0,
  state text not null default 'waiting'
    check (state in ('waiting', 'released', 'late', 'succeeded', 'failed', 'cancelled', 'skipped')),
  attempt integer not null default 0,
  due_at timestamptz,
  anew boolean not null default false,
  patience_until timestamptz,
  operation_id bigint,
  released_at timestamptz,
  release_no bigint,
  reason reason,
  primary key (campaign_id, phone_id)
) with (fillfactor = 80);
-- A phone is in one campaign at a time; a renewal waits beside it.
create unique index campaign_phones_open on campaign_phones (phone_id)
  where state in ('waiting', 'released', 'late') and campaign_id <> 1;
create index campaign_phones_waiting on campaign_phones (campaign_id, place)
  where state = 'waiting' and campaign_id <> 1;
create index campaign_phones_released on campaign_phones (campaign_id, release_no)
  where state in ('released', 'late');
create index campaign_phones_patience on campaign_phones (patience_until)
  where state = 'released' and patience_until is not null;
create index campaign_phones_renewal on campaign_phones (state, device) include (phone_id) where campaign_id = 1;
grant select, insert, update, delete on campaign_phones to capf_server;
grant usage on sequence campaign_releases to capf_server;

-- How many phones are in which state, kept by a trigger: nobody counts a campaign of a million phones.
create table campaign_figures (
  campaign_id bigint not null,
  attempt integer not null,
  state text not null,
  reason text not null,
  phones bigint not null,
  primary key (campaign_id, attempt, state, reason)
) with (fillfactor = 50);
grant select, insert, update, delete on campaign_figures to capf_server;
-- Phones that are deleted leave the figures as they are: the campaign is long over.
create function keep_campaign_figures() returns trigger language plpgsql security definer
  set search_path = public, pg_temp as $$
begin
  if tg_op = 'INSERT' then
    insert into campaign_figures as f (campaign_id, attempt, state, reason, phones)
      select campaign_id, attempt, state, coalesce(reason, ''), count(*) from added group by 1, 2, 3, 4 order by 1, 2, 3, 4
      on conflict (campaign_id, attempt, state, reason) do update set phones = f.phones + excluded.phones;
  else
    insert into campaign_figures as f (campaign_id, attempt, state, reason, phones)
      select campaign_id, attempt, state, coalesce(reason, ''), sum(n) from (
        select campaign_id, attempt, state, reason, 1 as n from added
        union all select campaign_id, attempt, state, reason, -1 from removed) c
      group by 1, 2, 3, 4 having sum(n) <> 0 order by 1, 2, 3, 4
      on conflict (campaign_id, attempt, state, reason) do update set phones = f.phones + excluded.phones;
  end if;
  return null;
end $$;
create trigger campaign_phones_added after insert on campaign_phones referencing new table as added
  for each statement execute function keep_campaign_figures();
create trigger campaign_phones_changed after update on campaign_phones
  referencing old table as removed new table as added for each statement execute function keep_campaign_figures();

-- Ends that a round has not seen yet. Whoever ends an operation waits for nobody here: the figures are the round's.
create table campaign_ends (
  id bigint generated always as identity primary key,
  campaign_id bigint not null,
  phone_id bigint not null,
  operation_id bigint,  -- null: the phone's LSC is another one, by whatever operation, or counts no more
  state text not null check (state in ('succeeded', 'failed', 'cancelled')),
  reason reason
);
grant select, update, delete on campaign_ends to capf_server;
create function note_campaign_end() returns trigger language plpgsql security definer
  set search_path = public, pg_temp as $$
begin
  insert into campaign_ends (campaign_id, phone_id, operation_id, state, reason)
    select c.id, new.phone_id, new.id, case new.state when 'succeeded' then 'succeeded'
        when 'cancelled' then 'cancelled' else 'failed' end, case when new.state <> 'succeeded' then new.reason end
      from campaigns c where c.run = new.run;
  return null;
end $$;

create trigger operations_ended_campaign after update on operations for each row
  when (new.run is not null and old.finished_at is null and new.finished_at is not null)
  execute function note_campaign_end();

-- When the server looks at an LSC's phone next: first when 67 % of its life are over, the least that renewal_from_percent
-- may be.
alter table phone_lscs add column renewal_look_at timestamptz;
grant update (renewal_look_at) on phone_lscs to capf_server;
create function renewal_look_of(the_phone bigint) returns timestamptz language sql stable as $$
  select not_after - (not_after - not_before) * 0.33 from certificates
    where phone_id = the_phone and kind = 'lsc' and confirmed_at is not null order by phone_id desc, id desc limit 1
$$;
create function set_renewal_look() returns trigger language plpgsql security definer
  set search_path = public, pg_temp as $$
begin
  new.renewal_look_at := case when new.lsc = 'valid' then renewal_look_of(new.phone_id) end;
  insert into campaign_ends (campaign_id, phone_id, state)
    select 1, phone_id, case when new.lsc = 'valid' then 'succeeded' else 'cancelled' end from campaign_phones
      where campaign_id = 1 and phone_id = new.phone_id and state in ('waiting', 'released', 'late');
  return new;
end $$;
create trigger phone_lscs_renewal before update on phone_lscs for each row
  when (old.lsc is distinct from new.lsc or old.not_after is distinct from new.not_after)
  execute function set_renewal_look();
create function end_renewal() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
begin
  insert into campaign_ends (campaign_id, phone_id, state) select 1, phone_id, 'cancelled' from campaign_phones
    where campaign_id = 1 and phone_id = old.phone_id and state in ('waiting', 'released', 'late');
  return null;
end $$;
create trigger phone_lscs_renewal_gone after delete on phone_lscs for each row execute function end_renewal();

-- The phones that were there before, in steps.
create function fill_renewal_looks(part integer, parts integer) returns void language sql
begin atomic
  update phone_lscs set renewal_look_at = renewal_look_of(phone_id)
    where lsc = 'valid' and renewal_look_at is null and phone_id % parts = part;
end;

select fill_renewal_looks(0, 32);

select fill_renewal_looks(1, 32);

select fill_renewal_looks(2, 32);

select fill_renewal_looks(3, 32);

select fill_renewal_looks(4, 32);

select fill_renewal_looks(5, 32);

select fill_renewal_looks(6, 32);

select fill_renewal_looks(7, 32);

select fill_renewal_looks(8, 32);

select fill_renewal_looks(9, 32);

select fill_renewal_looks(10, 32);

select fill_renewal_looks(11, 32);

select fill_renewal_looks(12, 32);

select fill_renewal_looks(13, 32);

select fill_renewal_looks(14, 32);

select fill_renewal_looks(15, 32);

select fill_renewal_looks(16, 32);

select fill_renewal_looks(17, 32);

select fill_renewal_looks(18, 32);

select fill_renewal_looks(19, 32);

select fill_renewal_looks(20, 32);

select fill_renewal_looks(21, 32);

select fill_renewal_looks(22, 32);

select fill_renewal_looks(23, 32);

select fill_renewal_looks(24, 32);

select fill_renewal_looks(25, 32);

select fill_renewal_looks(26, 32);

select fill_renewal_looks(27, 32);

select fill_renewal_looks(28, 32);

select fill_renewal_looks(29, 32);

select fill_renewal_looks(30, 32);

select fill_renewal_looks(31, 32);

drop function fill_renewal_looks(integer, integer);

create index concurrently phone_lscs_renewal_look on phone_lscs (renewal_look_at)
  where renewal_look_at is not null;
