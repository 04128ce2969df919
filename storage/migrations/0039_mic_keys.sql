-- beside servers from migration 20 on
-- A MIC counts for a mode, and for an encrypted file, only while its key is good: storage/modes.cc has the rule.
create index concurrently public_keys_mic on public_keys (phone_id) where owner = 'mic';
