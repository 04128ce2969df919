"""A network of the test's own, with another machine at the far end of a cable, which can be pulled: network namespaces,
as root or as anybody whom the kernel gives user namespaces."""

import os
import subprocess
import sys

OWN = "CAPF_TEST_OWN_NETWORK"
HERE, THERE = "10.223.0.1", "10.223.0.2"


def enter():
    """From now on, the whole program is in a network namespace of its own. To be called before anything else."""
    if os.environ.get(OWN):
        return
    user = [] if os.geteuid() == 0 else ["--user", "--map-current-user", "--keep-caps"]
    os.execvpe("unshare", ["unshare", *user, "--net", "--", *sys.orig_argv], dict(os.environ, **{OWN: "1"}))


def _ip(*arguments):
    subprocess.run(["ip", *arguments], check=True)


class Cable:
    """To another machine, THERE. While it is pulled, packets vanish, and neither end notices."""

    def __init__(self):
        self._machine = subprocess.Popen(["unshare", "--net", "--", "sh", "-c", "echo; read line"],
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if self._machine.stdout.readline() != b"\n":
            raise AssertionError("there is no network namespace to be had")
        _ip("link", "set", "lo", "up")
        _ip("link", "add", "here", "address", "02:00:00:00:00:01", "type", "veth", "peer", "name", "there",
            "address", "02:00:00:00:00:02")
        _ip("link", "set", "there", "netns", str(self._machine.pid))
        _ip("address", "add", f"{HERE}/24", "dev", "here")
        _ip("link", "set", "here", "up")
        self.there("ip", "link", "set", "lo", "up")
        self.there("ip", "address", "add", f"{THERE}/24", "dev", "there")
        self.plug()
        # Without these the kernel would find out by itself that the host is not there.
        _ip("neighbour", "replace", THERE, "lladdr", "02:00:00:00:00:02", "nud", "permanent", "dev", "here")

    def command(self, *words):
        """The command that runs a program on the other machine."""
        return ["nsenter", f"--target={self._machine.pid}", "--net", "--", *[str(word) for word in words]]

    def there(self, *words):
        subprocess.run(self.command(*words), check=True)

    def pull(self):
        # This end stays up but has no carrier any more: packets get lost.
        self.there("ip", "link", "set", "there", "down")

    def plug(self):
        self.there("ip", "link", "set", "there", "up")

    def close(self):
        self._machine.stdin.close()
        self._machine.wait(60)
        self._machine.stdout.close()
