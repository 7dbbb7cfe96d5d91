"""Segments retrained month by month, each time published before the next, as the DAGs would."""

from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from include.marts import MARTS
from include.models import segments
from tests.marts.test_generations import publish, write
from tests.snapshots import write_snapshot

FIRST, MONTH = date(2024, 1, 1), 30
DAYS = [FIRST + timedelta(days=400 + MONTH * number) for number in range(10)]
END = (DAYS[-1] - FIRST).days
KINDS = {  # days between two orders, money an order
    "often and cheap": (8, 10),
    "monthly and dear": (30, 300),
    "seldom and cheap": (90, 12),
    "seldom and a fortune": (75, 4000),
}
SETTLED = 180  # days of custom from which on the habit shows
MIGRATION = """SELECT sum(customers) FILTER (WHERE from_key <> '(new)'),
    sum(customers) FILTER (WHERE to_key <> '(gone)'),
    sum(customers) FILTER (WHERE to_key = '(gone)'),
    sum(customers) FILTER (WHERE from_key = to_key) FROM bi.segment_migration"""


def people(*kinds: str, first: int = 60, a_month: int = 3, seed: int = 1) -> pd.DataFrame:
    """Who joins and stops when: ``first`` of each kind in 100 days, ``a_month`` more each month.

    One in thirty stops for good each month.
    """
    draw, rows = np.random.default_rng(seed), []
    for kind in kinds:
        months = range(4, END // MONTH)
        later = [draw.uniform(MONTH * n, MONTH * (n + 1), a_month) for n in months]
        joins = np.concatenate([draw.uniform(0, 100, first), *later])
        rows += [(kind, day, day + draw.exponential(30 * MONTH)) for day in joins]
    return pd.DataFrame(rows, columns=["kind", "joins", "stops"])


def lines(who: pd.DataFrame) -> list[dict[str, object]]:
    """One line an order until they stop; prices rise by a fiftieth each month."""
    rows: list[dict[str, object]] = []
    for customer, kind, joins, stops in who.itertuples():
        draw, (gap, price), day = np.random.default_rng(customer), KINDS[kind], joins
        while day < min(stops, END):
            rows.append({
                "customer_id": customer,
                "order_id": f"shop:{len(rows)}",
                "product_id": "shop:p",
                "ordered_on": str(FIRST + timedelta(days=int(day))),
                "unit_price": round(price * draw.uniform(0.7, 1.3) * 1.02 ** (day / MONTH), 2),
            })
            day += gap * draw.uniform(0.7, 1.3)
    return rows


@dataclass(frozen=True)
class Retrained:
    """What a retrain and its publish left in BI."""

    kinds: pd.Series  # of those who have shown theirs and have not stopped, by customer
    keys: pd.Series  # of everybody
    retired: list[str]
    migration: tuple[int, ...]  # customers who were there, are there, went, kept their key

    @property
    def of_kinds(self) -> dict[str, str]:
        """The key that most of each kind have."""
        return self.keys[self.kinds.index].groupby(self.kinds).agg(lambda all: all.mode()[0])


def retrained(db, folder: Path, who: pd.DataFrame, number: int) -> Retrained:
    """Train as of a day, assign and publish."""
    day, now = DAYS[number], (DAYS[number] - FIRST).days
    made = segments.train(db, folder, as_of=day, run_id=f"train/{number}")
    assert made["decision"] == "promoted", made
    segments.assign(db, folder, day, folder)
    for table in MARTS:
        if not (folder / f"{table}.parquet").exists():
            write(folder / f"{table}.parquet", table, [])
    publish(db, folder, f"publish/{number}", day)
    keys = dict(db.execute("SELECT customer_id, segment_key FROM bi.customer_segment").fetchall())
    (retired,) = db.execute(
        "SELECT card -> 'retired' FROM ops.model_version WHERE model_version = %s",
        [made["model_version"]],
    ).fetchone()
    shown = who["kind"][(who["joins"] + SETTLED <= now) & (who["stops"] > now)]
    sums = tuple(int(count or 0) for count in db.execute(MIGRATION).fetchone())
    return Retrained(shown, pd.Series(keys), retired, sums)


def kept(before: Retrained, now: Retrained) -> float:
    """The share that kept the key, of those who are of a kind on both days."""
    both = before.kinds.index.intersection(now.kinds.index)
    return float((before.keys[both] == now.keys[both]).mean())


def told(before: Retrained, now: Retrained) -> tuple[int, ...]:
    """What the migration between two publishes has to add up to, counted customer by customer."""
    both = pd.concat([before.keys, now.keys], axis=1, keys=["before", "now"])
    there, here = both["before"].notna(), both["now"].notna()
    same = both["before"] == both["now"]
    return int(there.sum()), int(here.sum()), int((there & ~here).sum()), int(same.sum())


def test_over_ten_retrains_of_a_shop_that_shifts_everybody_keeps_the_key(warehouse, tmp_path):
    warehouse.autocommit = True
    who = people("often and cheap", "monthly and dear", "seldom and cheap")
    folder = write_snapshot(tmp_path, order_line=lines(who))
    made = [retrained(warehouse, folder, who, number) for number in range(10)]
    assert [dict(each.of_kinds) for each in made] == 10 * [
        {"monthly and dear": "s1", "often and cheap": "s2", "seldom and cheap": "s3"}
    ]
    assert [each.retired for each in made] == 10 * [[]]
    moved = list(pairwise(made))
    assert [kept(before, now) >= 0.95 for before, now in moved] == 9 * [True]
    assert [now.migration for _, now in moved] == [told(*pair) for pair in moved]


def test_a_kind_that_comes_gets_a_new_key_and_that_of_one_that_went_is_never_used_again(
    warehouse, tmp_path
):
    """Customers of a kind are erased, others come; then these go, for some like the first."""
    warehouse.autocommit = True
    stay = people("often and cheap", "monthly and dear")
    went, came = people("seldom and cheap"), people("seldom and a fortune")
    again = people("seldom and cheap", seed=2)
    went.index, came.index, again.index = went.index + 1000, came.index + 2000, again.index + 3000
    shops = [[stay, went], [stay, came], [stay, again]]
    made = []
    for number, shop in enumerate(shops):
        folder = write_snapshot(tmp_path / str(number), order_line=lines(pd.concat(shop)))
        made.append(retrained(warehouse, folder, pd.concat(shop), number))
    always = {"monthly and dear": "s1", "often and cheap": "s2"}
    assert [dict(each.of_kinds) for each in made] == [
        always | {"seldom and cheap": "s3"},
        always | {"seldom and a fortune": "s4"},
        always | {"seldom and cheap": "s5"},
    ]
    assert [each.retired for each in made] == [[], ["s3"], ["s4"]]
    moved = list(pairwise(made))
    assert [kept(before, now) >= 0.95 for before, now in moved] == [True, True]
    assert [now.migration for _, now in moved] == [told(*pair) for pair in moved]
