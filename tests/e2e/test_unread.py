"""Output that is not read: the server's log, where a journal has stopped, a screen is paused or a log shipper is dead,
and a stream of changes. The server continues, logs afterwards how many lines are missing, and stops on a signal.
"""

import fcntl
import json
import os
import re
import select
import signal
import subprocess
import threading
import time
import unittest
import urllib.request

from e2e import rpc
from e2e.site import PATIENCE, PROGRAMS, EndToEnd, Site, eventually

CALLERS = 4


def setUpModule():
    global _site
    _site = Site()
    unittest.addModuleCleanup(_site.close)


def narrow_pipe():
    """@return its reading and its writing end; it holds some thirty lines"""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    return reader, writer


class LogTest(EndToEnd):
    @classmethod
    def setUpClass(cls):
        cls.site = _site

    def setUp(self):
        """The server's standard error is a pipe whose other end this test holds."""
        self.server = self.site.server
        self.server.stop()
        self.reader, writer = narrow_pipe()
        try:
            self.server.start(stderr=writer)
        finally:
            os.close(writer)
        self.addCleanup(self.end)

    def end(self):
        """The site's server as it was."""
        if self.server.process:
            self.server.kill()
        os.close(self.reader)
        self.server.start()

    def call(self, count):
        """So many calls by a few callers; the server logs a line for each."""
        answers = []

        def calls():
            with rpc.admin_client(self.site) as client:
                for _ in range(count // CALLERS):
                    try:
                        client.GetPhone(device="no name")
                    except rpc.Refusal as refusal:
                        answers.append(refusal.reason or refusal.code)
        threads = [threading.Thread(target=calls) for _ in range(CALLERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(answers, ["INVALID_DEVICE_NAME"] * count)

    def fetch(self, path):
        with urllib.request.urlopen(f"http://{self.server.endpoints['metrics']}{path}", timeout=20) as answer:
            return answer.read().decode()

    def dropped(self):
        return int(float(re.search(r"(?m)^capf_log_lines_dropped_total (\S+)$", self.fetch("/metrics"))[1]))

    def read_until(self, pattern):
        """Reads the log up to a line with the pattern. @return the text, and the match"""
        text = ""
        while not (match := re.search(pattern, text)):
            piece = os.read(self.reader, 65536) if select.select([self.reader], [], [], 60)[0] else b""
            if not piece:
                self.fail(f"{pattern} does not come behind {text[-1000:]}")
            text += piece.decode()
        return text, match

    def assertStops(self):
        begun = time.monotonic()
        self.assertEqual(self.server.stop(), 0)
        self.assertLess(time.monotonic() - begun, 10)

    def test_calls_are_answered_and_the_server_stops(self):
        self.call(2000)
        self.site.capfctl("check", "health")
        self.fetch("/readyz")
        device = self.site.add_phone(self.device())
        self.site.schedule(device, "install", "null")
        self.site.phone(device, "--wire")
        self.assertStops()

    def test_a_server_whose_log_is_long_full_stops_too(self):
        self.call(8000)
        self.assertGreater(self.dropped(), 0)
        self.assertStops()

    def test_when_somebody_reads_again_the_count_of_missing_lines_is_told(self):
        self.call(8000)
        text, told = self.read_until(r"(?m)^\S+ warning log\.dropped count=(\d+)$")
        self.assertGreater(int(told[1]), 0)
        self.assertEqual(int(told[1]), self.dropped())
        self.assertIn("server.ready", text)
        self.call(4)
        self.read_until(r"(?s)(INVALID_DEVICE_NAME.*){4}")
        self.assertEqual(int(told[1]), self.dropped())
        # The last lines are not lost.
        self.assertStops()
        self.read_until("server.stopped")

    def test_a_reader_who_is_gone_ends_nothing(self):
        gone, self.reader = self.reader, os.open("/dev/null", os.O_RDONLY)
        os.close(gone)
        self.call(40)
        self.site.capfctl("check", "health")
        self.assertStops()


class StartTest(EndToEnd):
    def test_a_start_that_fails_ends(self):
        reader, writer = narrow_pipe()
        self.addCleanup(os.close, reader)
        self.addCleanup(os.close, writer)
        os.write(writer, bytes(4096))
        process = subprocess.Popen([PROGRAMS / "capfd", "run", "--state", _site.folder / "nothing"], stderr=writer)
        self.assertEqual(process.wait(60), 1)


class WatchTest(EndToEnd):
    @classmethod
    def setUpClass(cls):
        cls.site = _site

    def test_who_watches_and_is_stopped_for_a_while_misses_nothing(self):
        """The server ends a stream that is not read; capfctl continues after the last change that it has."""
        devices = [self.device() for _ in range(3000)]
        watch = subprocess.Popen([PROGRAMS / "capfctl", "--state", self.site.state, "operation", "watch", "--cursor", "0.0",
                                  "--output", "json"], stdout=subprocess.PIPE)
        self.addCleanup(watch.stdout.close)
        self.addCleanup(watch.wait)
        self.addCleanup(watch.kill)
        patience = threading.Timer(3 * PATIENCE, watch.kill)  # then the line that is waited for does not come
        patience.start()
        self.addCleanup(patience.cancel)
        self.site.enrol(self.device())
        self.assertTrue(json.loads(watch.stdout.readline()))
        watch.send_signal(signal.SIGSTOP)
        self.site.capfctl("phone", "add", *devices)
        self.site.capfctl("operation", "schedule", "install", *devices, "--auth", "null")
        eventually(lambda: "WatchOperations" in self.site.server.log_text(), "the server has ended the stream", 60)
        watch.send_signal(signal.SIGCONT)
        missing = set(devices)
        while missing:
            self.assertTrue(line := watch.stdout.readline(), f"{len(missing)} changes are missing")
            missing.discard(json.loads(line)["operation"]["device"])


if __name__ == "__main__":
    unittest.main()
