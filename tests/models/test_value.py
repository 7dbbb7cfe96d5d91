from datetime import date

import pandas as pd
import pytest

from include.models import value

AS_OF = date(2026, 1, 1)


def expected(recency, orders, gap, revenue, first):
    frame = pd.DataFrame({
        "recency_days": [recency, 10],
        "order_count": [orders, 5],
        "gap_days_mean": [gap, 20],
        "revenue": [revenue, 50],
        "first_order_at": pd.to_datetime([first, "2025-10-03"]),
    }).astype({"recency_days": "float64", "gap_days_mean": "float64"})
    return value.value(frame, AS_OF, fallback_gap_days=90).iloc[0].tolist()


def test_within_the_usual_gap_the_past_rate_goes_on():
    assert expected(20, 11, 30, 1100, "2025-01-01") == [10, 1000, 1, 1100]


def test_each_further_gap_halves_it():
    assert expected(90, 11, 30, 1100, "2025-01-01") == [2.5, 250, 0.25, 1100]


def test_one_order_has_no_rate_and_the_usual_gap_of_all():
    assert expected(30, 1, None, 10, "2025-12-02") == [0, 0, pytest.approx(0.5**0.5), 10]


def test_two_orders_in_a_week_are_no_hundred_a_year():
    assert expected(1, 2, 1, 20, "2025-12-30")[0] == pytest.approx(365 / 90, abs=1e-6)


def test_returns_only_expect_nothing():
    assert expected(None, 0, None, -40, None) == [0, 0, 0, -40]
