"""Asks the Trust Verification Service, one question a connection: `python3 -m bench.asking HOST PORT SECONDS THREADS FILE`, with
the certificate in FILE, DER, which is to be valid. Prints how many answers came, and ends with 1 where one was another."""

import sys
import threading
import time

from e2e import tvs


def main(host, port, seconds, threads, path):
    with open(path, "rb") as file:
        question = tvs.verification(file.read())
    counts, wrong = [0] * int(threads), []
    end = time.monotonic() + float(seconds)

    def ask(which):
        while time.monotonic() < end and not wrong:
            try:
                answer = tvs.ask(f"{host}:{port}", question)
            except OSError as error:
                wrong.append(error)
                return
            if answer is None or not answer.valid:
                wrong.append(answer)
                return
            counts[which] += 1

    workers = [threading.Thread(target=ask, args=(which,)) for which in range(len(counts))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if wrong:
        sys.exit(f"not every question was answered: {wrong[0]}")
    print(sum(counts))


main(*sys.argv[1:])
