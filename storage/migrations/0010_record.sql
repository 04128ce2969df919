-- Numbers and times of the record are the database's own: the server says what happened, and never when or in which place.

revoke insert on audit_events from capf_server;
grant insert (actor_kind, actor, address, action, subject, operation_id, outcome, reason, detail) on audit_events
  to capf_server;
