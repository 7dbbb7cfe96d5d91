from datetime import date

import pandas as pd
import pytest

from include.models import labels
from include.models.labels import Folds, Span
from tests.snapshots import write_snapshot

DAY = date(2026, 3, 1)


@pytest.fixture
def folder(tmp_path):
    def line(customer, day, quantity=1):
        order = f"{customer}-{day}"
        return {
            "customer_id": customer,
            "order_id": order,
            "product_id": "p",
            "ordered_on": day,
            "quantity": quantity,
        }

    return write_snapshot(
        tmp_path,
        order_line=[
            line(1, "2026-02-28"),
            line(2, "2026-03-01"),
            line(3, "2026-03-30"),
            line(4, "2026-03-31"),
            line(5, "2026-03-10", quantity=-1),
        ],
    )


def test_a_window_begins_on_as_of_and_ends_before_the_horizon(folder):
    customers = pd.Index([1, 2, 3, 4, 5])
    assert labels.bought(folder, customers, DAY, 30).tolist() == [0, 1, 1, 0, 0]
    assert labels.lapsed(folder, customers, DAY, 30).tolist() == [1, 0, 0, 1, 1]


def test_the_data_ends_the_day_after_the_newest_purchase_before_as_of(folder):
    assert labels.span(folder, date(2026, 12, 1)) == Span(date(2026, 2, 28), date(2026, 4, 1))
    assert labels.span(folder, DAY) == Span(date(2026, 2, 28), date(2026, 3, 1))
    assert labels.span(folder, date(2026, 1, 1)) is None


def test_windows_of_the_days_learned_from_end_before_the_test_day():
    known = Span(date(2026, 1, 1), date(2026, 6, 1))
    assert labels.folds(known, 30) == Folds(
        [date(2026, 4, 2), date(2026, 3, 3), date(2026, 2, 1)], date(2026, 5, 2)
    )


def test_a_short_history_gives_no_days():
    assert labels.folds(Span(date(2026, 1, 1), date(2026, 6, 1)), 90) is None
    assert labels.folds(None, 30) is None
