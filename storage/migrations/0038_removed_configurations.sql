-- beside servers from migration 20 on
-- A configuration file may be removed, and not only with its phone.
grant delete on configurations to capf_server;
