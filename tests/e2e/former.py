"""The database of a site as an earlier version left it: the schema of that time, with every row that fits into it."""

import hashlib
import re

from e2e.site import SOURCE, run

MIGRATIONS = SOURCE / "storage/migrations"
_LEDGER = ("create table schema_migrations (version integer primary key check (version > 0), name text not null, sha256 text "
           "not null, applied_at timestamptz not null default now(), beside_from integer)")
_COLUMNS = ("select c.table_name, string_agg(quote_ident(c.column_name), ', ' order by c.ordinal_position) "
            "from information_schema.columns c join information_schema.tables t using (table_schema, table_name) "
            "where table_schema = 'public' and t.table_type = 'BASE TABLE' and c.is_generated = 'NEVER' "
            "and c.table_name <> 'schema_migrations' group by 1 order by 1")
_SEQUENCES = "select sequencename, last_value, last_value is not null from pg_sequences order by 1"


def _psql(site, database, *arguments, user="postgres", input=None):
    return run("psql", "-X", "-v", "ON_ERROR_STOP=1", "-Atq", *arguments, f"{site.database} user={user} dbname={database}",
               input=input).stdout


def _migrate(site, database, last):
    """As `capfd migrate` of that version did."""
    _psql(site, database, "-c", _LEDGER, user="capf_owner")
    for path in sorted(MIGRATIONS.glob("[0-9]*.sql"))[:last]:
        text = path.read_text()
        _psql(site, database, "-f", path, user="capf_owner")
        version, name = re.fullmatch(r"(\d{4})_([a-z0-9_]+)", path.stem).groups()
        beside = re.match(r"-- beside servers from migration (\d+) on\n", text)
        _psql(site, database, "-c", "insert into schema_migrations (version, name, sha256, beside_from) values "
              f"({int(version)}, '{name}', '{hashlib.sha256(text.encode()).hexdigest()}', {beside[1] if beside else 'null'})",
              user="capf_owner")


def set_back(site, last):
    """Gives a site whose servers are stopped the schema after migration `last`. Columns and tables that are newer are lost."""
    name = "former"
    _psql(site, "postgres", "-c", f"create database {name} owner capf_owner")
    _migrate(site, name, last)
    columns = dict(line.split("|") for line in _psql(site, name, "-c", _COLUMNS).splitlines())
    without_triggers = ("-c", "set session_replication_role = replica", "-c")
    _psql(site, name, *without_triggers, f"truncate {', '.join(columns)}")
    for table, its in columns.items():
        rows = _psql(site, "capf", "-c", f"copy (select {its} from {table}) to stdout")
        _psql(site, name, *without_triggers, f"copy {table} ({its}) from stdin", input=rows)
    known = {line.split("|")[0] for line in _psql(site, name, "-c", _SEQUENCES).splitlines()}
    for line in _psql(site, "capf", "-c", _SEQUENCES).splitlines():
        sequence, value, called = line.split("|")
        if sequence in known and called == "t":
            _psql(site, name, "-c", f"select setval('{sequence}', {value})")
    _psql(site, "postgres", "-c", "drop database capf with (force)", "-c", f"alter database {name} rename to capf")
