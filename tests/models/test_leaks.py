"""What could not have been known is found by name; what was known is not."""

from datetime import date, timedelta

import pandas as pd

from include.models import leaks
from tests.models.conftest import AS_OF, FIRST
from tests.snapshots import write_snapshot

DAY = AS_OF - timedelta(days=90)


def test_what_is_shipped_knows_nothing_of_later_days(habits):
    assert leaks.foreseen(habits, DAY) == []


def test_a_theme_that_forgets_the_day_is_found_by_the_names_of_its_features(habits, leaking):
    found = leaks.foreseen(habits, DAY)
    assert {"order_count", "recency_days"} <= set(found)
    assert "signup_date" not in found


def test_later_moments_of_earlier_rows_are_later_too(tmp_path):
    ticket = {"customer_id": 1, "ticket_id": "t", "opened_on": "2026-02-01", "kind": "complaint"}
    lines = [
        {"customer_id": 1, "order_id": f"o{day}", "product_id": "p", "ordered_on": day}
        for day in ("2026-01-01", "2026-03-10")
    ]
    folder = write_snapshot(
        tmp_path, order_line=lines, ticket=[{**ticket, "closed_on": "2026-03-05"}]
    )
    assert leaks.foreseen(folder, date(2026, 3, 1)) == []


def test_who_is_known_by_a_later_row_alone_is_no_leak(tmp_path):
    lines = [
        {
            "customer_id": customer,
            "order_id": f"{customer}-{day}",
            "product_id": "p",
            "ordered_on": day,
        }
        for customer, day in ((1, "2026-01-01"), (1, "2026-03-10"), (2, "2026-03-12"))
    ]
    folder = write_snapshot(tmp_path, order_line=lines)
    assert leaks.foreseen(folder, date(2026, 3, 1)) == []


def test_without_a_later_row_there_is_nothing_to_see(tmp_path):
    line = {"customer_id": 1, "order_id": "o", "product_id": "p", "ordered_on": str(FIRST)}
    assert leaks.foreseen(write_snapshot(tmp_path, order_line=[line]), AS_OF) == []


def test_a_feature_that_gives_the_answer_away_is_named_with_its_auc():
    labels = pd.Series([0, 0, 0, 1, 1, 1])
    profiles = pd.DataFrame({
        "leak": [3.0, 3, 3, 1, 1, None],  # low, or missing, where it happened
        "honest": [1.0, 5, 2, 4, 3, 6],
        "empty": [None] * 6,
    }).astype("float64")
    assert leaks.too_good(profiles, labels, list(profiles)) == {"leak": 1.0}
