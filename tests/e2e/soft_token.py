"""A SoftHSM token behind the library of tests/support/shim.cc, which simulates what tokens do to their users."""

import os
import pathlib
import shutil
import tempfile

from e2e.site import PROGRAMS, run, text_of

SHIM = PROGRAMS.parent / "tests/capf_test_shim.so"
SOFTHSM = pathlib.Path("/usr/lib/softhsm/libsofthsm2.so")
PIN = "73018264"


class SoftToken:
    """A SoftHSM token that can be taken out of its slot; programs that are started from now on see it."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="capf-token-"))
        (self.folder / "tokens").mkdir()
        (self.folder / "softhsm2.conf").write_text(f"directories.tokendir = {self.folder}/tokens\nlog.level = ERROR\n")
        os.environ.update(SOFTHSM2_CONF=str(self.folder / "softhsm2.conf"), CAPF_SHIM_LIBRARY=str(SOFTHSM),
                          CAPF_SHIM_FOLDER=str(self.folder))
        run("softhsm2-util", "--init-token", "--free", "--label", "capf", "--so-pin", "00000000", "--pin", PIN)
        self.pin = self.folder / "pin"
        self.write_pin(PIN)

    def write_pin(self, pin):
        self.pin.touch(mode=0o600)
        self.pin.write_text(pin + "\n")

    def logins(self):
        """Its answer to each PIN: taken, refused."""
        path = self.folder / "logins"
        return text_of(path).split()

    def say(self, word, value=""):
        (self.folder / word).write_text(value)

    def take_back(self, word):
        (self.folder / word).unlink()

    def options(self, name, *key):
        """Of `capfd init`."""
        return ("--key-uri", f"pkcs11:token=capf;object={name}", "--token-module", SHIM, "--pin", f"file:{self.pin}", *key)

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)
