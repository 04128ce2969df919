"""Keeps connections open that send nothing: `python3 -m bench.idle HOST PORT COUNT [FROM [ADDRESSES]]`. FROM is the address
that they come from, or the first of so many of the loopback network. Opens connections again that the server closes. Prints
"ready" when all of them are open; when standard input ends, prints how often one was opened again, and ends."""

import ipaddress
import itertools
import resource
import selectors
import socket
import sys


def main(host, port, count, source="", addresses="1"):
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    selector = selectors.DefaultSelector()
    selector.register(sys.stdin, selectors.EVENT_READ)
    sources = [source] if addresses == "1" else [str(ipaddress.ip_address(source) + number) for number in range(int(addresses))]
    turns = itertools.cycle(sources)

    def connect():
        selector.register(socket.create_connection((host, int(port)), source_address=(next(turns), 0)), selectors.EVENT_READ)

    for _ in range(int(count)):
        connect()
    print("ready", flush=True)
    again = 0
    while True:
        for key, _ in selector.select():
            if key.fileobj is sys.stdin:
                print(again)
                return
            selector.unregister(key.fileobj)
            key.fileobj.close()
            connect()
            again += 1


main(*sys.argv[1:])
