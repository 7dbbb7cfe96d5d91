"""What happened after a past day: every label of every score is made here, and nowhere else
(the amounts of value: ``value/history.py``).

A label looks at [as_of, as_of + days). A window that the data does not cover is never used, so the
newest day that can be learned from lies a whole horizon before the end of the data.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import pandas as pd

from include import duck

EVERY_DAYS = 30  # between two days that are learned from
MOST_DATES = 6
HISTORY_DAYS = 30  # that the oldest profile must have before it


@dataclass(frozen=True)
class Span:
    """The days of a snapshot's orders: ``first`` had one, ``end`` is the day after the newest."""

    first: date
    end: date

    @property
    def days(self) -> int:
        """Length of the history."""
        return (self.end - self.first).days


@dataclass(frozen=True)
class Folds:
    """Past days to learn from, newest first, and the later one to test on."""

    train: list[date]
    test: date


def span(folder: Path, as_of: date) -> Span | None:
    """The days of the known customers' purchases before ``as_of``, or None without any."""
    first, newest = _one(
        f"""SELECT min(ordered_on), max(ordered_on) FROM {_lines(folder)}
            WHERE quantity > 0 AND customer_id IS NOT NULL AND ordered_on < ?""",
        [as_of],
    )
    if first is None or newest is None:
        return None
    return Span(first, newest + timedelta(days=1))


def folds(known: Span | None, horizon_days: int) -> Folds | None:
    """The days to learn from and to test on, or None when the history is too short for both.

    The label windows of the days learned from end before the test day: as_of + horizon <= test.
    """
    if known is None:
        return None
    test = known.end - timedelta(days=horizon_days)
    oldest = known.first + timedelta(days=HISTORY_DAYS)
    days = [
        test - timedelta(days=horizon_days + EVERY_DAYS * number) for number in range(MOST_DATES)
    ]
    train = [day for day in days if day >= oldest]
    return Folds(train, test) if train else None


def bought(folder: Path, customers: pd.Index, as_of: date, days: int) -> pd.Series:
    """1 for each customer with a positive line in [as_of, as_of + days), else 0."""
    with duck.opened(f"labels: {folder}") as (db, _):
        buyers = db.execute(
            f"""SELECT DISTINCT customer_id FROM {_lines(folder)}
                WHERE quantity > 0 AND customer_id IS NOT NULL
                AND ordered_on >= ? AND ordered_on < ?""",
            [as_of, as_of + timedelta(days=days)],
        ).fetchnumpy()["customer_id"]
    return pd.Series(customers.isin(buyers).astype("int64"), index=customers, name="label")


def lapsed(folder: Path, customers: pd.Index, as_of: date, days: int) -> pd.Series:
    """1 for each customer without a positive line in [as_of, as_of + days), else 0."""
    return 1 - bought(folder, customers, as_of, days)


def _lines(folder: Path) -> str:
    return f"read_parquet({duck.quoted(Path(folder) / 'order_line.parquet')})"


def _one(query: str, values: list[date]) -> tuple[date | None, ...]:
    with duck.opened("labels") as (db, _):
        row: tuple[date | None, ...] = db.execute(query, values).fetchall()[0]
    return row
