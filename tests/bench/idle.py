"""Keeps connections open that send nothing: `python3 -m bench.idle HOST PORT COUNT [FROM]`. What the server closes is opened
again. Says "ready" when all of them are there; ends, and says how often one was opened again, when standard input does."""

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
