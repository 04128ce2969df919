"""A Kamailio as an administrator runs it, with Debian's modules and tables, and phones that register there (sipp)."""

import os
import pathlib
import signal
import socket
import subprocess

from e2e.cluster import Postgres
from e2e.site import eventually, run

TABLES = pathlib.Path("/usr/share/kamailio/postgres")

# A registrar: digest by the table `subscriber` with HA1, and what `htable` says of the phone that the header X-Device names.
CONFIGURATION = """\
listen=udp:127.0.0.1:{port}
children=2
log_stderror=yes
loadmodule "db_postgres.so"
loadmodule "pv.so"
loadmodule "textops.so"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
loadmodule "auth_db.so"
loadmodule "htable.so"
modparam("auth_db|htable", "db_url", "postgres://kamailio:unused@/kamailio")
modparam("auth_db", "calculate_ha1", 0)
modparam("auth_db", "password_column", "ha1")
modparam("auth_db", "use_domain", 1)
modparam("htable", "htable", "phones=>size=8;dbtable=htable;")
modparam("usrloc", "db_mode", 0)
request_route {{
  if (!is_method("REGISTER")) {{
    sl_send_reply("405", "Method Not Allowed");
    exit;
  }}
  if (!auth_check("{realm}", "subscriber", "0")) {{
    auth_challenge("{realm}", "0");
    exit;
  }}
  append_to_reply("X-Mode: $sht(phones=>$hdr(X-Device)::capf_mode)\\r\\n");
  append_to_reply("X-LSC: $sht(phones=>$hdr(X-Device)::capf_lsc)\\r\\n");
  save("location");
}}
"""

# REGISTER, the challenge, REGISTER with the digest, and what comes of it: 200 with what the registrar says of the phone.
SCENARIO = """\
<?xml version="1.0" encoding="UTF-8"?>
<scenario name="register">
{request}
  <recv response="401" auth="true"/>
{answer}
  <recv response="200">
    <action>
      <ereg regexp="X-Mode: {mode}" search_in="msg" check_it="true" assign_to="mode"/>
      <ereg regexp="X-LSC: {lsc}" search_in="msg" check_it="true" assign_to="lsc"/>
    </action>
  </recv>
  <Reference variables="mode,lsc"/>
</scenario>
"""
REGISTER = """\
  <send retrans="500"><![CDATA[
REGISTER sip:{realm} SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
Max-Forwards: 70
From: <sip:phone@{realm}>;tag=[call_number]
To: <sip:phone@{realm}>
Call-ID: [call_id]
CSeq: {number} REGISTER
Contact: <sip:phone@[local_ip]:[local_port]>
X-Device: {device}
Expires: 300
{credentials}Content-Length: 0

  ]]></send>"""


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Kamailio:
    """A registrar with a database of its own in a new folder. `load()` before `start()`."""

    def __init__(self, folder, realm):
        self.folder, self.realm, self.port = folder, realm, free_port()
        folder.mkdir(mode=0o711)
        self.process = None
        self.database = Postgres(folder / "postgres").make()
        self.database.sql("create role kamailio login", "postgres")
        self.database.sql("create database kamailio owner kamailio", "postgres")
        for name in ("standard", "auth_db", "htable"):
            self.psql("-f", TABLES / f"{name}-create.sql")

    def psql(self, *arguments, code=0):
        return run("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", *arguments,
                   f"{self.database.local} user=kamailio dbname=kamailio", code=code)

    def load(self, path):
        """What an administrator does with an export for kamailio-sql."""
        self.psql("-f", path)

    def copy(self, table, path):
        """The same with one in CSV, whose first line names the columns."""
        columns = path.read_text(encoding="utf-8").splitlines()[0]
        self.psql("-c", f"\\copy {table} ({columns}) from '{path}' with (format csv, header)")

    def rows(self, statement):
        return self.database.sql(statement, "kamailio", "kamailio")

    def start(self):
        path = self.folder / "kamailio.cfg"
        path.write_text(CONFIGURATION.format(port=self.port, realm=self.realm))
        environment = os.environ | {"PGHOST": str(self.database.socket), "PGPORT": str(self.database.port)}
        self.log = self.folder / "kamailio.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(["kamailio", "-DD", "-E", "-f", path, "-Y", self.folder,
                                             "-P", self.folder / "kamailio.pid"],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
        eventually(lambda: self._listens() or self.process.poll() is not None, f"Kamailio listens: {self.log}")
        if self.process.poll() is not None:
            raise AssertionError(f"Kamailio ended:\n{self.log.read_text(errors='replace')[-4000:]}")
        return self

    def _listens(self):
        return f"0100007F:{self.port:04X} " in pathlib.Path("/proc/net/udp").read_text()

    def register(self, user, password, device="none", mode="", lsc="", code=0):
        """A phone registers by digest. @param code 0 for a registration, 1 where it is refused"""
        request = REGISTER.format(realm=self.realm, number=1, device=device, credentials="")
        answer = REGISTER.format(realm=self.realm, number=2, device=device,
                                 credentials=f'[authentication username="{user}" password="{password}"]\n')
        path = self.folder / "register.xml"
        path.write_text(SCENARIO.format(request=request, answer=answer, mode=mode, lsc=lsc), encoding="utf-8")
        return run("sipp", "-sf", path, "-m", 1, "-nostdin", "-timeout", 20, "-timeout_error", "-i", "127.0.0.1",
                   "-p", free_port(), f"127.0.0.1:{self.port}", code=code)

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)
            self.process = None
        self.database.stop()
