-- Until when the phone's dialogues on the wire go to the log of whichever server it talks to.
alter table phones add column traced_until timestamptz;
grant update (traced_until) on phones to capf_server;
