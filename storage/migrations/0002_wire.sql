-- What the CAPF wire protocol needs to know of a phone and of an operation.

-- When the phone first proved its MIC fresh; a proof that somebody may have recorded is not accepted any more.
alter table phones add column mic_fresh_at timestamptz;
grant update (mic_fresh_at) on phones to capf_server;

-- How often a phone has begun the operation: of two sessions of one phone the later one wins.
alter table operations add column session bigint not null default 0;
grant update (session) on operations to capf_server;
