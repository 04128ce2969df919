"""A mixed site that gives its phones their files, and phones in service there: each has its LSC, its lists, and a configuration
that is encrypted for it."""

import concurrent.futures
import pathlib

from e2e.site import Site, eventually

CERTIFICATES = pathlib.Path(__file__).parents[1] / "data/phone-files/certs"
LISTENERS = "".join(f"\n[listen.{name}]\nenabled = true\n" for name in ("files", "files_tls", "tvs"))
PROFILE = "encrypted"
LISTS = ("itl", "ctl")
AT_ONCE = 4


class SecureSite(Site):
    """From nothing, as an administrator makes one: lists with the certificate of a SIP server, mixed, a profile."""

    def __init__(self):
        super().__init__(settings=lambda text: text + LISTENERS)
        try:
            self.capfctl("trust-list", "certificate", "add", CERTIFICATES / "ccm.crt", "--role", "ccm", "--dns",
                         "sip.example.org")
            mixed = ("site", "security-mode", "mixed", "--yes")
            eventually(lambda: self.capfctl(*mixed, code=None).returncode == 0, "the list has the SIP server")
            eventually(lambda: self.generation("ctl") > 0, "the first CTL")
            self.capfctl("profile", "add", PROFILE, "--mode", "encrypted", "--encrypted-config", "on", "--digest", "on",
                         "--key-order", "rsa")
        except BaseException:
            self.close(check=False)
            raise

    def shown(self, kind="itl"):
        """What `trust-list show` has of the list, or nothing."""
        lists = self.json("trust-list", "show")["lists"]
        return next((each for each in lists if each["list"]["kind"] == kind), None)

    def generation(self, kind="itl"):
        shown = self.shown(kind)
        return shown["list"]["generation"] if shown else 0

    def after(self, change):
        """Makes a change, and waits for the ITL that follows from it."""
        before = self.generation()
        change()
        eventually(lambda: self.generation() > before, "the next list")

    def in_use(self, name):
        """Whether the server uses the certificate of this name by now."""
        return any(record["name"] == name and record["in_use"] for record in self.shown()["records"])

    def start_phone(self, device, *options, code=0):
        return self.phone(device, "--provision", *options, code=code)


class Fleet:
    """Phones in service. They are started again, some or all, and say what they make of the site."""

    def __init__(self, site, devices):
        self.site, self.devices = site, list(devices)
        names = "\n".join(self.devices) + "\n"
        site.capfctl("phone", "add", "--file", "-", input=names)
        site.capfctl("operation", "schedule", "install", "--file", "-", "--auth", "null", "--key-order", "rsa", "--rsa-size",
                     "2048", input=names)
        site.capfctl("profile", "apply", PROFILE, "--file", "-", "--yes", "--quiet", input=names)
        self.serve()
        fetched = lambda: all(site.shown(kind)["reach"]["fetched"] >= len(self.devices) for kind in LISTS)
        eventually(fetched, "the server knows that the phones have its lists")

    def start(self, devices=None):
        """@return what each said, and its exit status, whatever that is"""
        devices = self.devices if devices is None else devices
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(lambda device: self.site.start_phone(device, code=None), devices))

    def serve(self, devices=None):
        """The same, of which none may need a hand. @return what each said"""
        done = self.start(devices)
        for each in done:
            if each.returncode != 0 or " provision succeeded mode=encrypted " not in each.stdout or "refused" in each.stdout:
                raise AssertionError(f"a phone is not in service: exit status {each.returncode}\n{each.stdout}{each.stderr}")
        return [each.stdout for each in done]
