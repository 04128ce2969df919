"""Phones that start at once: `python3 -m bench.starting FILES TVS DEVICES FIRST ADDRESSES CERTIFICATE`. Each comes from an
address of the loopback network, from FIRST on, on a connection of its own, fetches its lists and its configuration, and one in
ten asks the Trust Verification Service for CERTIFICATE (a file, DER). A phone that is turned away comes again. DEVICES is a file
of names. Prints how many were served and the seconds until the last one was."""

import asyncio
import ipaddress
import resource
import ssl
import sys
import time

from e2e import tvs

PATIENCE = 120  # seconds, for everybody
PAUSE = 1  # until a phone that was turned away comes again
ASKING = 10  # one in so many asks


class TurnedAway(Exception):
    """The server has closed, or has said that it is too busy."""


async def fetch(reader, writer, name):
    writer.write(f"GET /{name} HTTP/1.1\r\nHost: files\r\n\r\n".encode())
    await writer.drain()
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    status = int(head.split()[1])
    length = next(int(line.split(":")[1]) for line in head.splitlines() if line.startswith("content-length:"))
    await reader.readexactly(length)
    if status == 503:
        raise TurnedAway
    if status != 200:
        raise AssertionError(f"{name}: {status}")


async def files(host, port, source, device):
    reader, writer = await asyncio.open_connection(host, port, local_addr=(source, 0))
    try:
        for name in (f"CTL{device}.tlv", f"ITL{device}.tlv", f"{device}.cnf.xml.sgn"):
            await fetch(reader, writer, name)
    finally:
        writer.close()


async def vouched(host, port, source, question, context):
    reader, writer = await asyncio.open_connection(host, port, local_addr=(source, 0), ssl=context)
    try:
        writer.write(question)
        await writer.drain()
        octets = await reader.read()
    finally:
        writer.close()
    if not octets:
        raise TurnedAway
    if not tvs.read_answer(octets).valid:
        raise AssertionError("the certificate is not valid")


async def insist(work):
    """Does the work until it is done."""
    while True:
        try:
            return await work()
        except (OSError, asyncio.IncompleteReadError, TurnedAway):
            await asyncio.sleep(PAUSE)


async def all_of_them(places, devices, first, addresses, question):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    (files_host, files_port), (tvs_host, tvs_port) = (place.rsplit(":", 1) for place in places)

    async def start(number, device):
        source = str(first + number % addresses)
        await insist(lambda: files(files_host, int(files_port), source, device))
        if number % ASKING == 0:
            await insist(lambda: vouched(tvs_host, int(tvs_port), source, question, context))

    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*(start(number, device) for number, device in enumerate(devices)))


def main(files_place, tvs_place, devices, first, addresses, certificate):
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with open(devices) as file:
        names = file.read().split()
    with open(certificate, "rb") as file:
        question = tvs.verification(file.read())
    begun = time.monotonic()
    asyncio.run(all_of_them((files_place, tvs_place), names, ipaddress.ip_address(first), int(addresses), question))
    print(len(names), time.monotonic() - begun)


main(*sys.argv[1:])
