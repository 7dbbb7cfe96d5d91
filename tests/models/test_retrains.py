"""Ten retrains in a row, each a month later than the last and published before the next."""

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from include.marts import MARTS
from include.models import segments
from tests.marts.test_generations import publish, write
from tests.snapshots import write_snapshot

FIRST, RETRAINS, MONTH = date(2024, 1, 1), 10, 30
KINDS = {  # days between orders, money an order
    "often and cheap": (8, 10),
    "monthly and dear": (30, 300),
    "seldom and cheap": (90, 12),
}
SETTLED = 180  # days of custom from which on the habit shows
DAYS = [FIRST + timedelta(days=400 + MONTH * number) for number in range(RETRAINS)]
OWN = {"segment_migration", "customer_profile", "customer_segment", "segment", "segment_feature"}


def people(seed: int, kinds: dict[str, tuple[int, int]], first: int, a_month: int) -> pd.DataFrame:
    """``first`` of each kind in the first 100 days, ``a_month`` more each month; who stays how long.

    One in thirty stops for good each month.
    """
    draw, rows = np.random.default_rng(seed), []
    for kind in kinds:
        months = (DAYS[-1] - FIRST).days // MONTH
        joins = np.concatenate([
            draw.uniform(0, 100, first),
            *(draw.uniform(MONTH * n, MONTH * (n + 1), a_month) for n in range(4, months)),
        ])
        rows += [(kind, day, day + draw.exponential(30 * MONTH)) for day in joins]
    frame = pd.DataFrame(rows, columns=["kind", "joins", "stops"])
    return frame.set_index(pd.Index(range(1, len(frame) + 1), name="customer_id"))


def lines(seed: int, who: pd.DataFrame) -> list[dict[str, object]]:
    """One line an order, about every ``gap`` days; prices rise by a fiftieth each month."""
    draw, rows = np.random.default_rng(seed), []
    for customer, kind, joins, stops in who.itertuples():
        gap, price = KINDS[kind]
        day = joins
        while day < min(stops, (DAYS[-1] - FIRST).days):
            rows.append({
                "customer_id": customer,
                "order_id": f"shop:{len(rows)}",
                "product_id": "shop:p",
                "ordered_on": str(FIRST + timedelta(days=int(day))),
                "unit_price": round(price * draw.uniform(0.7, 1.3) * 1.02 ** (day / MONTH), 2),
            })
            day += gap * draw.uniform(0.7, 1.3)
    return rows


def settled(who: pd.DataFrame, day: date) -> pd.Series:
    """The kind of each customer who has shown it by a day and has not stopped."""
    now = (day - FIRST).days
    return who["kind"][(who["joins"] + SETTLED <= now) & (who["stops"] > now)]


def publish_segments(db, folder: Path, number: int) -> pd.Series:
    """Assign everybody on a day and publish it; return the key of each customer in BI."""
    day = DAYS[number]
    segments.assign(db, folder, day, folder)
    for table in set(MARTS) - OWN:
        if not (folder / f"{table}.parquet").exists():
            write(folder / f"{table}.parquet", table, [])
    publish(db, folder, f"publish/{number}", day)
    rows = db.execute("SELECT customer_id, segment_key FROM bi.customer_segment").fetchall()
    return pd.Series(dict(rows)).sort_index()


def kept(before: pd.Series, now: pd.Series, kinds: list[pd.Series]) -> float:
    """The share of those of the same kind on both days who have the key that they had."""
    same = pd.concat(kinds, axis=1, keys=["before", "now"], join="inner")
    stayed = same.index[same["before"] == same["now"]]
    return float((before[stayed] == now[stayed]).mean())


def test_x(warehouse, tmp_path):
    import time

    warehouse.autocommit = True
    who = people(1, KINDS, 60, 3)
    t = time.time()
    folder = write_snapshot(tmp_path, order_line=lines(1, who))
    print("snap", time.time() - t, len(who))
    before = None
    for number, day in enumerate(DAYS):
        t = time.time()
        made = segments.train(warehouse, folder, as_of=day, run_id=f"train/{number}")
        t1 = time.time()
        now = publish_segments(warehouse, folder, number)
        kinds = settled(who, day)
        print(
            day, made["decision"], made["reason"], "t", round(t1 - t, 1), round(time.time() - t1, 1)
        )
        print(pd.crosstab(kinds, now.reindex(kinds.index)).to_string())
        print(dict(now.value_counts()), len(now))
        if before is not None:
            print("kept", kept(before, now, [settled(who, DAYS[number - 1]), kinds]))
        before = now
    print(
        warehouse.execute(
            "select card->'keys', card->'new', card->'retired' from ops.model_version order by as_of"
        ).fetchall()
    )
    assert False
