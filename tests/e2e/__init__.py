"""End-to-end tests. The process of the tests plays old phones too, so its OpenSSL takes their certificates; the programs
that it starts are not told to."""

import os
import pathlib
import ssl

os.environ["OPENSSL_CONF"] = str(pathlib.Path(__file__).with_name("old-phones.cnf"))
ssl.create_default_context()  # OpenSSL reads its configuration once
del os.environ["OPENSSL_CONF"]
