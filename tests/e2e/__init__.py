"""End-to-end tests. The process of the tests plays old phones too, so its own OpenSSL takes their certificates; the
programs that it starts know nothing of that."""

import ctypes
import pathlib


def _play_old_phones():
    settings = pathlib.Path(__file__).with_name("old-phones.cnf")
    if ctypes.CDLL("libcrypto.so.3").CONF_modules_load_file(str(settings).encode(), None, 0) != 1:
        raise RuntimeError(f"OpenSSL does not take {settings}")


ctypes.CDLL("libssl.so.3")  # knows the section of the settings
_play_old_phones()
