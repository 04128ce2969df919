-- beside servers from migration 20 on
-- The files that each phone fetched last, for administrators. A hint that proves nothing: anybody can ask for them.
create table phone_fetches (
  phone_id bigint primary key references phones on delete cascade,
  itl_generation bigint,
  ctl_generation bigint,
  configuration text check (char_length(configuration) <= 64),
  fetched_at timestamptz not null,
  address inet
);
-- For counting the phones that are behind. It changes with a new list alone: other fetches leave it as it is.
create index phone_fetches_itl on phone_fetches (itl_generation);
grant select, insert, update on phone_fetches to capf_server;
