"""Keeps connections open that send nothing: `python3 -m bench.idle HOST PORT COUNT [FROM]`. Opens connections again
that the server closes. Prints "ready" when all of them are open; when standard input ends, prints how often one was
opened again, and ends."""

import selectors
import socket
import sys


def main(host, port, count, source=""):
    selector = selectors.DefaultSelector()
    selector.register(sys.stdin, selectors.EVENT_READ)

    def connect():
        selector.register(socket.create_connection((host, int(port)), source_address=(source, 0)), selectors.EVENT_READ)

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
