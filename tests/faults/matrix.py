"""The fault matrix, F1 to F49: each case in words, what was shown of it, and the page of both."""

from collections import Counter
from dataclasses import dataclass, field

import pytest

CASES = {
    "F1": "the loader is killed while it reads the source",
    "F2": "the loader is killed while it copies into staging",
    "F3": "the loader is killed while it applies the rows",
    "F4": "the loader is killed just before its commit",
    "F5": "the loader is killed after its commit, before Airflow hears of it",
    "F6": "the warehouse restarts at once, in the middle of a COPY",
    "F7": "the source restarts in the middle of being read",
    "F8": "the network is cut, or goes silent with the connection half open",
    "F9": "a disk is full: the warehouse's, its temporary files', the snapshots'",
    "F10": "the same load runs several times at once",
    "F11": "a backfill runs beside incremental loads",
    "F12": "many rows share one cursor value at the edge of a batch",
    "F13": "a transaction commits late, with an early time of change",
    "F14": "a session idle in its transaction holds the watermark back",
    "F15": "events arrive whose time lies before a snapshot's day",
    "F16": "a time of change lies in the future",
    "F17": "a time of change is missing",
    "F18": "a time of change moves backwards",
    "F19": "rows are deleted for good in the source: one, or most of them",
    "F20": "the source is empty",
    "F21": "the source was emptied by accident",
    "F22": "a column is added",
    "F23": "a column is dropped or renamed",
    "F24": "a column changes its type",
    "F25": "a required value is missing",
    "F26": "a key appears several times in one batch",
    "F27": "a text holds a NUL byte",
    "F28": "a text is not UTF-8",
    "F29": "a text holds COPY's own signs: backslash, tab, line breaks, an end mark",
    "F30": "an empty text stands beside a missing one",
    "F31": "an amount is not a number (NaN)",
    "F32": "an amount is infinite",
    "F33": "an amount is too large for its column",
    "F34": "an amount has more digits after the point than its column",
    "F35": "a time is infinite, before our era, or in the year 9999",
    "F36": "a local time falls into the night in which the clocks change",
    "F37": "a row is huge",
    "F38": "a JSON number is larger than a double, a document deeply nested",
    "F39": "amounts of many digits must never pass through a float",
    "F40": "table and column names are long, reserved, or differ by case only",
    "F41": "BI reads for long while a publish wants its tables",
    "F42": "a publish dies between its statements",
    "F43": "a reader keeps an old snapshot open across publishes",
    "F44": "two runs write the same file or folder",
    "F45": "the source's encoding or server version is another",
    "F46": "a right or a password was taken away, for one table or all",
    "F47": "the source ends statements that take long",
    "F48": "the feature engine is killed or lacks memory",
    "F49": "two engines work out the same features",
}

HEAD = """# Faults

What goes wrong between a CRM and BI, and what is shown to happen then. Written by `make faults`: it
does each of these to real PostgreSQL, MariaDB and SQLite databases and to real processes, with
other random choices for every seed. "Passed" says that nothing was lost, doubled or left half done:
number of rows, keys, sums and an MD5 of all values agree between source and warehouse, rows in the
quarantine counted in; or that the load was refused, with nothing changed and the next step told.

| | the fault | verdict | how it is shown |
|---|---|---|---|
"""


@dataclass
class Shown:
    """What the tests of one case came to."""

    how: dict[str, None] = field(default_factory=dict)  # in the order in which they ran
    outcomes: Counter[str] = field(default_factory=Counter)
    skipped_for: dict[str, None] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """In words: passed, failed or not shown, and how often."""
        failed, passed = self.outcomes["failed"], self.outcomes["passed"]
        if failed:
            return f"**failed** {failed} of {failed + passed} times"
        if not passed:
            return f"**not shown**: {'; '.join(self.skipped_for) or 'no test'}"
        left_out = self.outcomes["skipped"]
        return f"passed {_times(passed)}" + (f", left out {_times(left_out)}" if left_out else "")


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


class Results:
    """What was shown of every case in one run of the tests."""

    def __init__(self) -> None:
        self.cases = {case: Shown() for case in CASES}

    def add(self, case: str, *, how: str, report: pytest.TestReport) -> None:
        """Count one phase of a test: its call, or a setup or teardown that did not pass."""
        shown = self.cases[case]
        shown.how[how] = None
        if report.when == "call" or report.outcome != "passed":
            shown.outcomes[report.outcome] += 1
        if report.skipped and isinstance(report.longrepr, tuple):
            shown.skipped_for[report.longrepr[2].removeprefix("Skipped: ")] = None

    def not_run(self) -> list[str]:
        """The cases of which no test was even tried."""
        return [case for case, shown in self.cases.items() if not shown.outcomes]

    def unshown(self) -> list[str]:
        """The cases of which no test passed."""
        return [case for case, shown in self.cases.items() if not shown.outcomes["passed"]]

    def page(self) -> str:
        """The whole matrix as Markdown."""
        rows = [
            (case, CASES[case], shown.verdict, "; ".join(shown.how))
            for case, shown in self.cases.items()
        ]
        cells = [[cell.replace("|", "\\|") for cell in row] for row in rows]
        return HEAD + "".join(f"| {' | '.join(row)} |\n" for row in cells)
