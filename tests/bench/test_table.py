"""The tables of the benchmarks."""

import json
import os
import unittest

from bench.load import Ride, read_ride
from bench.table import Limit, Row, exit_code, mean_shares, number, percentile, table

WORDS = """phones=3 done=2 seconds=4.000 rate=0.5/s cpu=0.250
latency p50=0.500 p90=1.500 p99=1.500 p99.9=1.600 max=1.750 seconds
outcome AUTHENTICATION_FAILED 1
outcome done 2
"""


def row(**changes):
    parts = {"what": "enrolments", "unit": "/s", "samples": [90, 400, 110], "kind": "at least", "aim": 0.5,
             "limit": Limit("of signing", [100, 220, 9000])}
    return Row(**{**parts, **changes})


class Verdicts(unittest.TestCase):
    def test_medians_are_compared(self):
        self.assertEqual(row().reached, 110)
        self.assertEqual(row().ratio, 0.5)
        self.assertTrue(row().met)
        self.assertFalse(row(aim=0.51).met)

    def test_without_a_limit_the_aim_is_on_the_number_itself(self):
        bare = row(limit=None, kind="below", aim=110)
        self.assertIsNone(bare.ratio)
        self.assertFalse(bare.met)
        self.assertTrue(row(limit=None, kind="at most", aim=110).met)
        self.assertTrue(row(limit=None, kind="below", aim=110.1).met)

    def test_one_missed_aim_is_a_failure_and_so_is_measuring_nothing(self):
        self.assertEqual(exit_code([row(), row()]), 0)
        self.assertEqual(exit_code([row(), row(aim=0.9)]), 1)
        self.assertEqual(exit_code([]), 1)

    def test_an_aim_of_no_known_kind_is_no_verdict(self):
        with self.assertRaises(KeyError):
            print(row(kind="about").met)


class Percentiles(unittest.TestCase):
    def test_a_percentile_is_a_sample_that_so_many_do_not_exceed(self):
        self.assertEqual(percentile(list(range(200, 0, -1)), 99), 198)
        self.assertEqual(percentile([7, 3], 99), 7)
        self.assertEqual(percentile([5], 99), 5)


class Printing(unittest.TestCase):
    def test_numbers_keep_what_means_something(self):
        self.assertEqual([number(value) for value in (0, 0.3333, 0.9, 31.25, 99.96, 487.2, 10000)],
                         ["0", "0.333", "0.900", "31.2", "100", "487", "10000"])

    def test_the_table_says_which_aim_was_missed(self):
        lines = table([row(processor={"capfd": 41.4}), row(what="wait", limit=None, unit="s", kind="below")]).split("\n")
        self.assertEqual(len(lines), 4)
        self.assertEqual(len(set(map(len, lines))), 1)
        self.assertEqual([cell.strip() for cell in lines[2].split("|")[1:-1]],
                         ["enrolments", "110 /s", "220 /s of signing", "0.500", "at least 0.500", "yes", "capfd 41 %"])
        self.assertEqual([cell.strip() for cell in lines[3].split("|")[1:-1]],
                         ["wait", "110 s", "-", "-", "below 0.500 s", "NO", "-"])

    def test_a_program_reads_the_same(self):
        read = json.loads(json.dumps(row().as_json()))
        self.assertEqual((read["reached"], read["limit"]["median"], read["ratio"], read["met"]), (110, 220, 0.5, True))
        self.assertIsNone(row(limit=None).as_json()["limit"])


class Rides(unittest.TestCase):
    def test_the_words_of_a_fleet_are_read(self):
        ride = read_ride(WORDS)
        self.assertEqual((ride.phones, ride.done, ride.seconds, ride.rate), (3, 2, 4.0, 0.5))
        self.assertEqual((ride.median, ride.p99, ride.longest), (0.5, 1.5, 1.75))
        self.assertEqual(ride.outcomes, {"AUTHENTICATION_FAILED": 1, "done": 2})
        self.assertEqual(ride.processor, {"phones": 0.25})

    def test_shares_are_of_all_cores(self):
        rides = [Ride(1, 1, seconds, 1, 1, 1, 1, {}, {"capfd": 2 * os.cpu_count()}) for seconds in (4, 5, 20)]
        self.assertAlmostEqual(rides[0].shares()["capfd"], 50)
        self.assertAlmostEqual(mean_shares(rides)["capfd"], 40)
