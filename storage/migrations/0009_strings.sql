-- A right string is taken back by rolling its count back; nothing calls this any more.

drop function forgive_string(bigint, bigint, text);
