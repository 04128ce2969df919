"""The table of results: medians, ratios, verdicts."""

import dataclasses
import math
import operator
import statistics

_KINDS = {"at least": operator.ge, "at most": operator.le, "below": operator.lt}


@dataclasses.dataclass
class Limit:
    """The limit, of the machine or of a peer: measured in the same run, interleaved with the figure that is compared.
    """
    name: str
    samples: list


@dataclasses.dataclass
class Row:
    """One number that was aimed at. Where there is a limit the aim is on the ratio of the medians, else on the median."""
    what: str
    unit: str
    samples: list
    kind: str  # "at least", "at most", "below"
    aim: float
    limit: Limit = None
    processor: dict = dataclasses.field(default_factory=dict)  # process: the percentage of all cores that it used

    @property
    def reached(self):
        return statistics.median(self.samples)

    @property
    def ratio(self):
        return self.reached / statistics.median(self.limit.samples) if self.limit else None

    @property
    def met(self):
        return _KINDS[self.kind](self.ratio if self.limit else self.reached, self.aim)

    def cells(self):
        limit = f"{number(statistics.median(self.limit.samples))} {self.unit} {self.limit.name}" if self.limit else "-"
        aim = f"{self.kind} {number(self.aim)}" + ("" if self.limit else f" {self.unit}")
        share = ", ".join(f"{who} {used:.0f} %" for who, used in self.processor.items()) or "-"
        return (self.what, f"{number(self.reached)} {self.unit}", limit, number(self.ratio) if self.limit else "-", aim,
                "yes" if self.met else "NO", share)

    def as_json(self):
        limit = self.limit and {"name": self.limit.name, "median": statistics.median(self.limit.samples),
                                "samples": self.limit.samples}
        return {"what": self.what, "unit": self.unit, "reached": self.reached, "samples": self.samples, "limit": limit,
                "ratio": self.ratio, "aim": {"kind": self.kind, "value": self.aim}, "met": self.met,
                "processor_percent": self.processor}


HEADINGS = ("what", "reached", "limit or peer", "ratio", "aim", "met", "processors")


def number(value):
    """Three significant digits, and no fewer than those before the point."""
    if value == 0 or abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:#.3g}".rstrip(".")


def table(rows):
    """In Markdown, as the README has it."""
    lines = [HEADINGS, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    lines.insert(1, tuple("-" * width for width in widths))
    return "\n".join("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |" for line in lines)


def exit_code(rows):
    """1 where an aim is missed, and where nothing was measured."""
    return 0 if rows and all(row.met for row in rows) else 1


def percentile(samples, percent):
    """The smallest sample that so many percent of them do not exceed."""
    return sorted(samples)[math.ceil(len(samples) * percent / 100) - 1]


def mean_shares(rides):
    """Of several rides, the middle one's share of each."""
    return {who: statistics.median(ride.shares()[who] for ride in rides) for who in rides[0].shares()}
