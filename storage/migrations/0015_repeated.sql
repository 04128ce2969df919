-- What somebody who has proven who they are can do again and again, a refused request for one: the first few of a minute
-- are events of their own, the others are counted, and one event says how many they were.

create table repeated_acts (
  actor_kind text not null,
  actor text not null check (char_length(actor) <= 128),
  action text not null check (char_length(action) <= 64),
  outcome text not null,
  reason text not null check (char_length(reason) <= 64), -- '' where there is none
  minute timestamptz not null,
  count integer not null,
  -- Those of the last one.
  address text not null check (char_length(address) <= 64),
  subject text not null check (char_length(subject) <= 256),
  primary key (actor_kind, actor, action, outcome, reason)
) with (fillfactor = 70);
create index repeated_acts_minute on repeated_acts (minute);

create function tell_repeated_act(act repeated_acts, each integer) returns void language sql as $$
  insert into audit_events (actor_kind, actor, address, action, subject, outcome, reason, detail)
    select act.actor_kind, act.actor, act.address, act.action, act.subject, act.outcome, nullif(act.reason, ''),
      act.count - each || ' more like this in the minute from ' ||
        to_char(act.minute at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
    where act.count > each;
$$;

-- Whether the act is to be an event of its own, as the first `each` of a minute are. Its row is locked after all others.
create function admit_repeated_act(the_kind text, the_actor text, the_action text, the_outcome text, the_reason text,
                                   the_address text, the_subject text, each integer) returns boolean
language plpgsql as $$
declare
  this_minute constant timestamptz := date_trunc('minute', now());
  act repeated_acts;
begin
  loop
    select r.* into act from repeated_acts r where actor_kind = the_kind and actor = the_actor and action = the_action
      and outcome = the_outcome and reason = the_reason for update;
    exit when found;
    insert into repeated_acts values
      (the_kind, the_actor, the_action, the_outcome, the_reason, this_minute, 0, the_address, the_subject)
      on conflict do nothing;
  end loop;
  if act.minute <> this_minute then
    perform tell_repeated_act(act, each);
    act.count := 0;
  end if;
  update repeated_acts set minute = this_minute, count = act.count + 1, address = the_address, subject = the_subject
    where actor_kind = the_kind and actor = the_actor and action = the_action and outcome = the_outcome
      and reason = the_reason;
  return act.count < each;
end $$;

-- Tells of the minutes that are over. What somebody is at right now waits.
create function tell_repeated_acts(each integer) returns void language plpgsql as $$
declare
  act repeated_acts;
begin
  for act in
    delete from repeated_acts where (actor_kind, actor, action, outcome, reason) in
        (select actor_kind, actor, action, outcome, reason from repeated_acts
          where minute < date_trunc('minute', now()) order by minute limit 10000 for update skip locked)
      returning *
  loop
    perform tell_repeated_act(act, each);
  end loop;
end $$;

grant select, insert, update, delete on repeated_acts to capf_server;
