"""What a phone's enrolment asks of the database, alone on an idle server: PostgreSQL's own log is read and counted."""

import collections
import re
import unittest

from e2e.site import EndToEnd, Site, eventually, text_of

# The statements of enrolments, by how their names begin; those of the server's jobs have other names.
LOOK, WRITE = "dossiers_look", "changes_write"
ENROLMENT = (LOOK, "hearing_hear", "changes_lock", "changes_try_lock", WRITE, "refusals_count")

Entry = collections.namedtuple("Entry", "session name text")  # one round trip; a query without a name has ""
Count = collections.namedtuple("Count", "statements round_trips transactions")


def entries(log):
    """The round trips of the server's sessions. A statement of several lines is known by its first one."""
    line = re.compile(r"^\|(\d+)\|capf_server\| LOG:  (?:statement|execute (\S+)): (.*)$", re.MULTILINE)
    return [Entry(int(session), name or "", text) for session, name, text in line.findall(log)]


def transactions(all_entries):
    """The entries of each transaction, in the order in which they ended."""
    begun, ended = {}, []
    for entry in all_entries:
        if entry.text.startswith("begin"):
            begun[entry.session] = []
        if entry.session not in begun:
            ended.append([entry])
            continue
        begun[entry.session].append(entry)
        if entry.text in ("commit", "rollback"):
            ended.append(begun.pop(entry.session))
    return ended + list(begun.values())


def statements(entry):
    """How many one round trip has: a query without a name may have several."""
    return 1 if entry.name else len([text for text in entry.text.split(";") if text.strip()])


def changes(transaction):
    """Whether it writes or locks. Strings are heard under advisory locks."""
    return len(transaction) > 1 or not transaction[0].name.startswith(LOOK)


def count(all_transactions):
    trips = [entry for transaction in all_transactions for entry in transaction]
    return Count(sum(map(statements, trips)), len(trips), sum(map(changes, all_transactions)))


class CountTest(unittest.TestCase):
    def test_the_log_is_read_as_postgresql_writes_it(self):
        begin = "begin isolation level read committed read write; select microseconds(now())"
        log = "\n".join([
            "|7|capf_server| LOG:  execute dossiers_look: with asked as (", "\tselect 1)",
            "|7|capf_server| DETAIL:  parameters: $1 = '{SEP1}'", "|8|capf_owner| LOG:  statement: select 1",
            f"|7|capf_server| LOG:  statement: {begin}", "|9|capf_server| LOG:  execute leases_take: insert",
            "|7|capf_server| LOG:  execute changes_write: with", "|7|capf_server| LOG:  statement: commit", ""])
        found = transactions(entries(log))
        self.assertEqual([[entry.name for entry in each] for each in found],
                         [["dossiers_look"], ["leases_take"], ["", "changes_write", ""]])
        self.assertEqual(count([found[0], found[2]]), Count(statements=5, round_trips=4, transactions=1))


class StatementsTest(EndToEnd):
    @classmethod
    def setUpClass(cls):
        cls.site = Site(settings=lambda text: text + "\n[wire]\nlegacy_phones = true\n")
        cls.addClassCleanup(cls.site.close)
        for setting in ("log_line_prefix = '|%p|%u| '", "log_statement = 'all'"):
            cls.site.sql(f"alter system set {setting}", user="postgres")
        cls.site.sql("select pg_reload_conf()", user="postgres")
        eventually(lambda: entries(cls.log()), "the log has the server's jobs")

    @classmethod
    def log(cls):
        return text_of(cls.site.state / "postgres/log/postgres.log")

    def enrol(self, what, device, auth, *options):
        """One phone alone. @return what its enrolment asked"""
        digits = self.site.schedule(device, "install", auth)
        before = len(self.log())
        self.site.phone(device, *options, *(["--string", digits] if digits else []))
        found = transactions(entries(self.log()[before:]))
        own = [each for each in found if any(entry.name.startswith(ENROLMENT) for entry in each)]
        others = collections.Counter(entry.name for each in found if each not in own for entry in each if entry.name)
        counted = count(own)
        print(f"{what}: {counted}; beside it: {dict(others)}")
        self.assertEqual(self.site.operation(device)["state"], "succeeded")
        # The log is complete: at least the certificate and its confirmation were written, each after a look.
        for kind in (WRITE, LOOK):
            self.assertGreaterEqual(sum(entry.name.startswith(kind) for each in own for entry in each), 2, kind)
        return counted

    def assertAtMost(self, counted, limits):
        for name, value, limit in zip(Count._fields, counted, limits):
            self.assertLessEqual(value, limit, f"{name} of {counted}")

    def check(self, transport, options, by_string, by_lsc):
        for turn in ("first", "counted"):  # the first phone prepares the statements
            device = self.site.add_phone(self.device())
            string = self.enrol(f"a string {transport}, {turn}", device, "string", *options)
            lsc = self.enrol(f"an LSC {transport}, {turn}", device, "lsc", *options)
        self.assertAtMost(string, by_string)
        self.assertAtMost(lsc, by_lsc)

    # A look and a heard string are one round trip each, a write is four: begin, which is two statements, lock, write,
    # commit.

    def test_over_grpc_a_phone_asks_what_is_pending_then_for_its_certificate_then_confirms(self):
        self.check("over gRPC", (), Count(16, 16, 4), Count(13, 11, 2))

    def test_on_the_wire_a_phone_begins_then_sends_its_key_then_confirms(self):
        self.check("on the wire", ("--wire",), Count(19, 16, 4), Count(18, 15, 3))


if __name__ == "__main__":
    unittest.main()
