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
from tests.snapshots import write_snapshot

DAY, LATER = date(2026, 3, 1), date(2026, 3, 2)
OF_MODELS = {
    "customer_score": [
        {
            "model": "churn",
            "score": 0.314,
            "decile": 4,
            "horizon_days": 90,
            "eligible": True,
            "reason_1": "Orders: 5 (lowers it)",
            "reason_2": "Visits: 0 (raises it)",
        },
        {"model": "purchase", "horizon_days": 30, "eligible": False, "ineligible_reason": "staff"},
        {"model": "winback", "score": 0.02, "decile": 9, "horizon_days": 60, "eligible": True},
    ],
    "customer_value": [
        {"expected_orders_365d": 8.24, "expected_revenue_365d": 812.3, "prob_alive": 0.93}
    ],
    "recommendation": [
        {"list": name, "rank": rank, "product_id": product, "reason_code": code}
        | {"because_product_id": "cup", "orders": orders, "gap_days": 20}
        for name, rank, product, code, orders in (
            ("explore", 1, "pot", "bought", None),
            ("explore", 2, "tray", "popular", None),
            ("repeat", 1, "cup", "bought_before", 3),
        )
    ],
}
"""Of customer 7: work file -> its rows."""
PRODUCTS = [
    {"product_id": key, "name": name}
    for key, name in {"p": "P", "cup": "Cup", "pot": "Teapot", "tray": "Tray"}.items()
]


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
def publishes(warehouse_url, db, tmp_path):
    """``publishes(day, others={}, **features)``: customer 7 with them and with other tables."""

    def publishes(day: date, others: dict[str, list[dict]] | None = None, **features) -> None:
        folder = work(tmp_path, {7: "s1"}, day)
        write_snapshot(folder, product=PRODUCTS)
        for table, rows in (others or {}).items():
            whole = [{"customer_id": 7, **row} for row in rows]
            write(folder / f"{table}.parquet", table, whole)
        row = {"customer_id": 7, "city": "Oslo", "revenue": 1234.5, "recency_days": 3} | features
        write(folder / f"profile_{day}.parquet", "customer_profile", [row])
        with psycopg.connect(warehouse_url, autocommit=True) as plain:
            publish(plain, folder, f"publish/{day}", day)

    return publishes


@pytest.fixture
def published(publishes):
    publishes(DAY)
    publishes(LATER, city="Moss", order_count=2, return_rate=0.25, preferred_weekday=7)


def printed(home, monkeypatch, **asked: str) -> str:
    """The card, with single blanks."""
    for name, value in asked.items():
        monkeypatch.setenv(name, value)
    console = Console(width=110, file=io.StringIO(), record=True)
    portrait.portrait(home, console)
    return re.sub(r"[ \n│]+", " ", console.export_text())


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize("asked", ["7", "shop:c1"])
def test_the_card_tells_who_what_and_what_changed_without_names(tmp_path, monkeypatch, asked):
    card = printed(tmp_path, monkeypatch, CUSTOMER=asked)
    for said in (
        "Customer 7",
        "as of 2026-03-02",
        "shop:c1 Å••• M••• a•••@e••• •••66 e-mail",
        "Revenue 1,234.50 EUR",
        "Time since then 3 days",
        "Sent back 25%",
        "Mostly on Sunday",
        "2026-03-02 City Oslo → Moss; Orders 0 → 2",
    ):
        assert said in card, card
    assert "Moen" not in card


def test_the_card_tells_scores_with_their_reasons_and_offers_with_theirs(
    publishes, tmp_path, monkeypatch
):
    publishes(DAY, OF_MODELS)
    card = printed(tmp_path, monkeypatch, CUSTOMER="7")
    for said in (
        "No purchase within 90 days 31% 4 of 10 Orders: 5 (lowers it) Visits: 0 (raises it)",
        "A purchase within 30 days – – staff",
        "winback within 60 days 2% 9 of 10 –",  # too low for reasons
        "Still a customer 93% In 365 days: 8.2 orders, 812.30 EUR",
        "New to them 1 Teapot because you bought Cup 2 Tray popular of late "
        "To buy again 1 Cup bought in 3 orders, due 20 days after the last",
    ):
        assert said in card, card


def test_the_card_tells_whose_records_came_and_why(publishes, db, tmp_path, monkeypatch):
    publishes(DAY)
    db.execute(
        """INSERT INTO core.identity_event VALUES
               ('2026-02-20', 'merged', 12, 7, 1, 'joined by confirmed', 'profile/1'),
               ('2026-02-21', 'split', 7, 13, 2, 'told apart', 'profile/2')"""
    )
    card = printed(tmp_path, monkeypatch, CUSTOMER="7")
    assert "2026-02-20 merged: 1 record came from customer 12; joined by a person's word" in card
    assert "2026-02-21 split: 2 records went to customer 13; told apart" in card
    with pytest.raises(InputError, match="now one person with 7; ask for CUSTOMER=7"):
        printed(tmp_path, monkeypatch, CUSTOMER="12")


@pytest.mark.parametrize("city", ["[/b]Oslo", "[red]Oslo", "Os\x1b[2Jlo"])
def test_text_of_a_crm_is_shown_as_text(publishes, tmp_path, monkeypatch, city):
    publishes(DAY, city=city)
    assert f"City {city.replace(chr(27), ' ')}" in printed(tmp_path, monkeypatch, CUSTOMER="7")


def test_before_the_first_deploy_the_card_says_what_to_do(empty_database, tmp_path, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", postgres_url(empty_database))
    with pytest.raises(InputError, match="nothing has been published yet; `make run` does it"):
        printed(tmp_path, monkeypatch, CUSTOMER="7")


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
        ("99999999999999999999", "nobody of that id"),
        ("shop:c9", "nobody of that id"),
    ],
)
def test_nobody_of_that_id_is_one_line(tmp_path, monkeypatch, asked, said):
    with pytest.raises(InputError, match=said):
        printed(tmp_path, monkeypatch, CUSTOMER=asked)
