"""`make portrait` tells all that is known of one customer."""

import io
import re
from datetime import date

import psycopg
import pytest
from psycopg.rows import dict_row
from rich.console import Console

from include.errors import InputError
from include.local import portrait
from tests.faults.scene import postgres_url
from tests.marts.test_generations import publish, work, write

DAY, LATER = date(2026, 3, 1), date(2026, 3, 2)


@pytest.fixture
def db(warehouse_url, monkeypatch):
    """A warehouse in which customer 7 moved from Oslo to Moss, and has one record."""
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", postgres_url(warehouse_url))
    with psycopg.connect(warehouse_url, autocommit=True, row_factory=dict_row) as db:
        db.execute(
            """CREATE TABLE landing.customer__shop PARTITION OF landing.customer
               FOR VALUES IN ('shop')"""
        )
        db.execute(
            """INSERT INTO landing.customer
                   (source, source_id, full_name, email, phone, landed_at, run_id)
               VALUES ('shop', 'c1', 'Åse Moen', 'aase.moen@example.org', '+47 99 88 77 66',
                       now(), 'r1')"""
        )
        db.execute(
            """INSERT INTO core.identity (source, source_id, customer_id, rule, probability)
               VALUES ('shop', 'c1', 7, 'email', 1)"""
        )
        yield db


@pytest.fixture
def published(warehouse_url, db, tmp_path):
    with psycopg.connect(warehouse_url, autocommit=True) as plain:
        for number, (day, city) in enumerate([(DAY, "Oslo"), (LATER, "Moss")]):
            folder = work(tmp_path, {7: "s1"}, day)
            rows = [{"customer_id": 7, "city": city, "revenue": 1234.5, "recency_days": 3}]
            write(folder / f"profile_{day}.parquet", "customer_profile", rows)
            publish(plain, folder, f"publish/{number}", day)


def printed(home, monkeypatch, **asked: str) -> str:
    for name, value in asked.items():
        monkeypatch.setenv(name, value)
    console = Console(width=100, file=io.StringIO(), record=True)
    portrait.portrait(home, console)
    return console.export_text()


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize("asked", ["7", "shop:c1"])
def test_the_card_tells_who_what_and_what_changed_without_names(tmp_path, monkeypatch, asked):
    card = printed(tmp_path, monkeypatch, CUSTOMER=asked)
    for said in (
        "customer 7, as of 2026-03-02",
        "Å••• M•••",
        "a•••@e•••",
        "•••66",
        "1,234.50",
        "2026-03-02  city  Oslo  Moss",
    ):
        assert said in re.sub(r" {2,}", "  ", card), said
    assert "Moen" not in card


@pytest.mark.usefixtures("published")
def test_names_are_shown_when_asked_for(tmp_path, monkeypatch):
    card = printed(tmp_path, monkeypatch, CUSTOMER="7", PERSONAL="show")
    assert "aase.moen@example.org" in card


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("", "give a customer_id"),
        ("somebody", "give a customer_id"),
        ("8", "nobody of that id"),
        ("shop:c9", "nobody of that id"),
    ],
)
def test_nobody_of_that_id_is_one_line(tmp_path, monkeypatch, asked, said):
    with pytest.raises(InputError, match=said):
        printed(tmp_path, monkeypatch, CUSTOMER=asked)
