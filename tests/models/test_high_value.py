from datetime import date, timedelta

import numpy as np
import pandas as pd

from include.models.high_value import HighValue
from include.models.train import train
from tests.snapshots import write_snapshot

DAY = date(2025, 3, 1)
FIRST, AS_OF = date(2023, 1, 1), date(2025, 9, 1)


def line(customer, day, price, quantity=1):
    return {
        "customer_id": customer,
        "order_id": f"{customer}-{day}-{quantity}",
        "product_id": "p",
        "ordered_on": str(day),
        "unit_price": price,
        "quantity": quantity,
    }


def best(tmp_path, lines, customers):
    folder = write_snapshot(tmp_path, order_line=lines)
    found = HighValue().labels(folder, pd.Index(range(1, customers + 1)), DAY, 365)
    return list(found.index[found == 1])


def test_the_fifth_with_most_revenue_of_the_year_from_the_day_on_is_the_best(tmp_path):
    lines = [
        *(line(customer, "2025-03-01", 10 * customer) for customer in range(1, 11)),
        line(1, "2025-02-28", 500),  # the day before
        line(2, "2026-03-01", 500),  # a year later
        line(10, "2025-04-01", 100, quantity=-1),  # brought all of it back
    ]
    assert best(tmp_path, lines, 10) == [8, 9]


def test_equals_at_the_edge_are_all_among_the_best(tmp_path):
    lines = [line(1, "2025-03-01", 90), line(2, "2025-03-01", 50), line(3, "2025-05-01", 50)]
    assert best(tmp_path, lines, 10) == [1, 2, 3]


def test_who_brought_in_nothing_is_not_among_the_best_of_a_poor_year(tmp_path):
    assert best(tmp_path, [line(1, "2025-03-01", 5), line(2, "2025-03-01", 0)], 20) == [1]
    assert best(tmp_path / "none", [], 20) == []


def test_a_year_gone_and_never_bought_are_not_asked_and_the_last_year_is_the_obvious_answer():
    known = pd.DataFrame({"recency_days": [365.0, 366.0, None], "revenue_365d": [7.0, 0.0, 0.0]})
    assert HighValue().ineligible(known).fillna("").tolist() == [
        "", "no purchase for more than 365 days", "no purchase on record",
    ]  # fmt: skip
    assert HighValue().naive(known).tolist() == [7, 0, 0]


def spenders(days):
    """400 customers: revenue follows the usual order value, and single large orders hide it."""
    draw = np.random.default_rng(5)
    usual = draw.lognormal(3, 0.8, 400)
    return [
        line(customer, FIRST + timedelta(days=int(day)), round(usual[customer] * worth, 2))
        for customer in range(400)
        for day, worth in zip(draw.uniform(0, days, 12), draw.lognormal(0, 1.2, 12), strict=True)
    ]


def test_a_planted_worth_is_seen_better_than_by_last_years_revenue_on_a_year_that_is_over(
    warehouse, tmp_path
):
    folder = write_snapshot(tmp_path, order_line=spenders(days=973))  # to the 30th of August 2025
    train(warehouse, folder, "high_value", as_of=AS_OF, run_id="r")
    (window,) = warehouse.execute('SELECT "window" FROM bi.model_run').fetchone()
    assert window.startswith("learned from 2023-04-04, 2023-05-04")
    assert window.endswith("2023-09-01; tested on 2024-08-31; horizon 365 days")
    value, baseline = warehouse.execute(
        """SELECT value, baseline FROM bi.model_metric
           WHERE split = 'test' AND metric = 'auc' AND slice = 'all'"""
    ).fetchone()
    assert value > baseline + 0.03


def test_two_years_and_a_month_are_needed_and_the_shortfall_is_said(warehouse, tmp_path):
    folder = write_snapshot(tmp_path, order_line=spenders(days=600))
    made = train(warehouse, folder, "high_value", as_of=AS_OF, run_id="r")
    assert made["decision"] == "not_ready"
    assert made["reason"].startswith("history_days: 600 found, 760 needed")
