"""What did we know of a customer on a day?"""

from datetime import date, timedelta

import psycopg
import pytest

from tests.marts.test_generations import publish, work, write

DAY = date(2026, 3, 1)


@pytest.fixture
def db(warehouse_url):
    with psycopg.connect(warehouse_url, autocommit=True) as db:
        yield db


def told(db, tmp_path, run: int, cities: dict[int, str], days: int) -> None:
    """Publish profiles of customers who live in these cities, ``days`` after DAY."""
    day = DAY + timedelta(days)
    folder = work(tmp_path, dict.fromkeys(cities, "s1"), day)
    rows = [{"customer_id": customer, "city": city} for customer, city in cities.items()]
    write(folder / f"profile_{day}.parquet", "customer_profile", rows)
    publish(db, folder, f"publish/{run}", day)


def kept(db) -> list[tuple]:
    return db.execute(
        """SELECT customer_id, city, from_as_of - %(day)s, to_as_of - %(day)s
           FROM bi.customer_profile_history ORDER BY 1, 3""",
        {"day": DAY},
    ).fetchall()


def test_a_value_is_kept_from_the_day_it_is_published_to_the_day_it_changes(db, tmp_path):
    told(db, tmp_path, 1, {1: "Oslo", 2: "Bergen"}, days=0)
    told(db, tmp_path, 2, {1: "Oslo", 2: "Molde", 3: "Moss"}, days=1)
    told(db, tmp_path, 3, {1: "Oslo", 3: "Moss"}, days=4)
    assert kept(db) == [
        (1, "Oslo", 0, None),
        (2, "Bergen", 0, 1),
        (2, "Molde", 1, 4),
        (3, "Moss", 1, None),
    ]


def test_a_day_that_is_published_again_replaces_what_it_said(db, tmp_path):
    told(db, tmp_path, 1, {1: "Oslo", 2: "Bergen"}, days=0)
    told(db, tmp_path, 2, {1: "Moss", 2: "Molde", 3: "Moss"}, days=1)
    told(db, tmp_path, 3, {1: "Oslo", 2: "Voss"}, days=1)
    assert kept(db) == [(1, "Oslo", 0, None), (2, "Bergen", 0, 1), (2, "Voss", 1, None)]


def test_an_earlier_day_that_is_published_late_was_not_known_then(db, tmp_path):
    told(db, tmp_path, 1, {1: "Oslo"}, days=1)
    told(db, tmp_path, 2, {1: "Moss"}, days=0)
    assert kept(db) == [(1, "Oslo", 1, None)]


def test_what_only_the_calendar_moves_is_left_out(db):
    columns = db.execute(
        """SELECT column_name FROM information_schema.columns
           WHERE table_schema = 'bi' AND table_name = 'customer_profile_history'"""
    ).fetchall()
    assert {("city",), ("last_order_at",)} <= set(columns)
    assert ("recency_days",) not in columns
