import math
from datetime import date, timedelta

import pandas as pd
import pyarrow.parquet as pq
import pytest

from include import contracts, profile
from include.errors import ConfigError, InputError
from tests.profile.random_shop import random_shop
from tests.snapshots import write_snapshot

AS_OF = date(2025, 12, 15)
SAME = pd.testing.assert_frame_equal
PROMISED = """country city age_band gender signup_date sources consent_marketing first_order_at
    last_order_at recency_days order_count orders_30d orders_90d orders_365d revenue avg_order_value
    return_rate gap_days_mean gap_days_std next_order_due_date top_need_category open_tickets
    top_category top_category_share category_count top_product_id preferred_hour preferred_channel
    price_band"""


def test_the_file_has_the_columns_of_the_contract_in_its_order(tmp_path):
    write_snapshot(tmp_path, **random_shop(1))
    made = profile.compute(tmp_path, AS_OF)
    assert made == tmp_path / "profile_2025-12-15.parquet"
    columns = [column.name for column in contracts.load(profile.CONTRACT).own_columns]
    assert pq.read_schema(made).names == columns
    assert set(PROMISED.split()) < set(columns)


def test_zero_stands_in_where_the_contract_says_so_and_nowhere_else(tmp_path):
    write_snapshot(tmp_path, customer=[{"customer_id": 7, "signup_on": "2025-01-01"}])
    [row] = profile.frame(tmp_path, AS_OF).to_dict("records")
    for column in profile.features():
        if column.missing == "zero" and column.name != "record_count":
            assert row[column.name] == 0, column.name
    assert math.isnan(row["recency_days"])
    assert math.isnan(row["avg_order_value"])
    assert pd.isna(row["top_category"])


def test_a_company_with_customers_and_orders_alone_gets_a_profile(tmp_path, line):
    write_snapshot(tmp_path, customer=[{"customer_id": 1}], order_line=[line(1, "a", "2025-12-01")])
    [row] = profile.frame(tmp_path, AS_OF).to_dict("records")
    assert (row["recency_days"], row["revenue"], row["open_tickets"]) == (14, 10, 0)
    assert pd.isna(row["consent_marketing"])


def test_an_empty_company_gets_an_empty_profile(tmp_path):
    assert len(profile.frame(write_snapshot(tmp_path), AS_OF)) == 0


def test_part_by_part_gives_the_same_file(tmp_path, monkeypatch):
    made, shop = [], random_shop(5)
    for name, parts in [("whole", 1), ("parts", 3)]:
        monkeypatch.setattr(profile, "PART_LINES", len(shop["order_line"]) // parts)
        made.append(profile.compute(write_snapshot(tmp_path / name, **shop), AS_OF))
    whole, parts = made
    assert pq.read_metadata(whole).num_rows > 3
    assert parts.read_bytes() == whole.read_bytes()


def test_everyone_is_there_once_in_order(tmp_path):
    shop = random_shop(2)
    found = profile.frame(write_snapshot(tmp_path, **shop), AS_OF).index
    buyers = {
        row["customer_id"] for row in shop["order_line"] if row["ordered_at"].date() < AS_OF
    } - {None}
    assert buyers <= set(found)
    assert found.is_unique
    assert found.is_monotonic_increasing


@pytest.mark.parametrize("seed", [1, 2])
def test_what_happens_on_or_after_as_of_changes_nothing(tmp_path, seed):
    """Every event dated on or after as_of is moved, changed or dropped; so are later closings."""
    shop = random_shop(seed)
    before = profile.frame(write_snapshot(tmp_path / "told", **shop), AS_OF)
    assert len(before) > 30
    times = {"order_line": "ordered_at", "customer_order": "ordered_at", "ticket": "opened_at"}
    times |= {"feedback": "given_at", "consent": "given_at", "customer": "signup_on"}
    for entity, time in times.items():
        past = [row for row in shop[entity] if str(row[time] or "")[:10] < str(AS_OF)]
        assert len(past) < len(shop[entity]) or entity == "consent"
        shop[entity] = past
    for row in shop["ticket"]:
        for time in ("first_answer_at", "closed_at"):
            if row[time] and row[time].date() >= AS_OF:
                row[time] += timedelta(days=3)
    shop["order_line"].append({
        "customer_id": 1,
        "order_id": "x",
        "product_id": "y",
        "ordered_on": AS_OF,
        "quantity": 99,
    })
    SAME(profile.frame(write_snapshot(tmp_path / "untold", **shop), AS_OF), before)


def test_threads_and_row_order_do_not_change_a_bit(tmp_path):
    shop = random_shop(3, customers=300)
    write_snapshot(tmp_path / "a", **shop)
    write_snapshot(tmp_path / "b", **{name: rows[::-1] for name, rows in shop.items()})
    one = pq.read_table(profile.compute(tmp_path / "a", AS_OF, threads=1))
    assert pq.read_table(profile.compute(tmp_path / "a", AS_OF, threads=4)).equals(one)
    assert pq.read_table(profile.compute(tmp_path / "b", AS_OF, threads=2)).equals(one)


def test_a_training_set_is_the_profiles_of_its_days(tmp_path):
    write_snapshot(tmp_path, **random_shop(4))
    days = [date(2025, 6, 1), date(2025, 9, 1)]
    table = profile.training_set(tmp_path, days)
    assert table.index.names == ["as_of", "customer_id"]
    for day in days:
        SAME(table.loc[day], profile.frame(tmp_path, day))


def test_a_profile_of_other_sql_is_computed_anew(tmp_path):
    write_snapshot(tmp_path, customer=[{"customer_id": 1}])
    path = profile.compute(tmp_path, AS_OF)
    pq.write_table(pq.read_table(path).slice(0, 0).replace_schema_metadata({"recipe": "old"}), path)
    assert len(profile.frame(tmp_path, AS_OF)) == 1


def test_nothing_is_left_behind_but_the_profile(tmp_path):
    write_snapshot(tmp_path, **random_shop(5))
    before = set(tmp_path.iterdir())
    made = profile.compute(tmp_path, AS_OF)
    assert set(tmp_path.iterdir()) - before == {made}


def test_an_incomplete_snapshot_is_refused(tmp_path):
    write_snapshot(tmp_path)
    (tmp_path / "manifest.json").unlink()
    with pytest.raises(InputError, match="no complete snapshot; take a snapshot first"):
        profile.compute(tmp_path, AS_OF)


def test_a_theme_column_without_contract_is_refused(tmp_path, monkeypatch):
    write_snapshot(tmp_path)
    features = tuple(column for column in profile.features() if column.name != "city")
    monkeypatch.setattr(profile.themes, "features", lambda: features)
    with pytest.raises(ConfigError, match=r"profile/basic.sql: city: describe it in contracts"):
        profile.compute(tmp_path, AS_OF)


def test_macros_become_dates_and_whole_seconds():
    text = profile.sql("service", date(2026, 3, 1), engine="postgres")
    assert "opened_on < DATE '2026-03-01'" in text
    assert "CAST(floor(extract(epoch FROM closed_at)) AS bigint)" in text
    assert "{" not in text
    with pytest.raises(InputError, match="theme 'x' is unknown; give one of basic, rfm"):
        profile.sql("x", AS_OF)
