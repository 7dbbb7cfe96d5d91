"""What happened after a past day: every label of every score is made here, and nowhere else
(the amounts of value: ``value/history.py``).

A label looks at [as_of, as_of + days). A window that the data does not cover is never used, so the
newest day that can be learned from lies a whole horizon before the end of the data.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

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
        f"""SELECT min(ordered_on), max(ordered_on) FROM {_table(folder, "order_line")}
            WHERE quantity > 0 AND customer_id IS NOT NULL AND ordered_on < ?""",
        [as_of],
    )
    if first is None or newest is None:
        return None
    return Span(first, newest + timedelta(days=1))


def test_day(known: Span, horizon_days: int) -> date:
    """The newest day whose answers are known in full: one horizon before the end of the orders."""
    return known.end - timedelta(days=horizon_days)


def folds(known: Span | None, horizon_days: int) -> Folds | None:
    """The days to learn from and to test on, or None when the history is too short for both.

    The label windows of the days learned from end before the test day: as_of + horizon <= test.
    """
    if known is None:
        return None
    test = test_day(known, horizon_days)
    oldest = known.first + timedelta(days=HISTORY_DAYS)
    days = [
        test - timedelta(days=horizon_days + EVERY_DAYS * number) for number in range(MOST_DATES)
    ]
    train = [day for day in days if day >= oldest]
    return Folds(train, test) if train else None


def bought(folder: Path, customers: pd.Index, as_of: date, days: int) -> pd.Series:
    """1 for each customer with a positive line in [as_of, as_of + days), else 0."""
    buyers = f"""SELECT DISTINCT customer_id FROM {_table(folder, "order_line")}
        WHERE quantity > 0 AND customer_id IS NOT NULL AND ordered_on >= ? AND ordered_on < ?"""
    return _among(customers, buyers, [as_of, as_of + timedelta(days=days)])


def bought_of(
    folder: Path, customers: pd.Index, as_of: date, days: int, category: str
) -> pd.Series:
    """1 for each customer with a positive line of a product of ``category`` in the window."""
    buyers = f"""SELECT DISTINCT customer_id FROM {lines_of_products(folder)}
        WHERE category = ? AND ordered_on >= ? AND ordered_on < ?"""
    return _among(customers, buyers, [category, as_of, as_of + timedelta(days=days)])


def answered(folder: Path, customers: pd.Index, as_of: date, days: int) -> pd.Series:
    """1 for each customer who clicked in a mail or answered a campaign in the window, else 0."""
    answers = f"""SELECT DISTINCT customer_id FROM {contacts(folder)}
        WHERE kind <> 'mail_sent' AND happened_on >= ? AND happened_on < ?"""
    return _among(customers, answers, [as_of, as_of + timedelta(days=days)])


def best(folder: Path, customers: pd.Index, as_of: date, days: int, *, share: float) -> pd.Series:
    """1 for the ``share`` of ``customers`` with the most net revenue in the window, else 0.

    Who brought in nothing is never among the best; equals at the edge all are.
    """
    query = f"""SELECT customer_id, CAST(sum(amount) AS double) AS revenue
        FROM {_table(folder, "order_line")}
        WHERE customer_id IS NOT NULL AND ordered_on >= ? AND ordered_on < ?
        GROUP BY customer_id"""
    with duck.opened(f"labels: {folder}") as (db, _):
        found = db.execute(query, [as_of, as_of + timedelta(days=days)]).df()
    revenue = found.set_index("customer_id")["revenue"].reindex(customers, fill_value=0.0)
    places = int(share * len(customers))
    edge = revenue.nlargest(places).min() if places else float("inf")
    chosen = (revenue >= edge) & (revenue > 0)
    return pd.Series(chosen.to_numpy("int64"), index=customers, name="label")


def lapsed(folder: Path, customers: pd.Index, as_of: date, days: int) -> pd.Series:
    """1 for each customer without a positive line in [as_of, as_of + days), else 0."""
    return 1 - bought(folder, customers, as_of, days)


def lines_of_products(folder: Path) -> str:
    """What known customers bought, each line with the category of its product: a FROM item."""
    return f"""(SELECT l.customer_id, l.order_id, l.ordered_on, p.category
        FROM {_table(folder, "order_line")} AS l JOIN {_table(folder, "product")} AS p
            USING (product_id)
        WHERE l.quantity > 0 AND l.is_product AND l.customer_id IS NOT NULL)"""


def contacts(folder: Path) -> str:
    """The mails sent to known customers, and their clicks and answers: a FROM item."""
    return f"""(SELECT customer_id, kind, happened_on FROM {_table(folder, "interaction")}
        WHERE kind IN ('mail_sent', 'mail_click', 'campaign_answer')
            AND customer_id IS NOT NULL)"""


def _among(customers: pd.Index, query: str, values: list[Any]) -> pd.Series:
    """1 for each of ``customers`` whom the query gives, else 0."""
    with duck.opened("labels") as (db, _):
        found = db.execute(query, values).fetchnumpy()["customer_id"]
    return pd.Series(customers.isin(found).astype("int64"), index=customers, name="label")


def _table(folder: Path, entity: str) -> str:
    return f"read_parquet({duck.quoted(Path(folder) / f'{entity}.parquet')})"


def _one(query: str, values: list[date]) -> tuple[date | None, ...]:
    with duck.opened("labels") as (db, _):
        row: tuple[date | None, ...] = db.execute(query, values).fetchall()[0]
    return row
