"""A backfill reads some days again, and nothing else moves."""

from datetime import date

import psycopg
import pytest

from include import landing
from include.errors import InputError
from include.sources import Source

ORDER = {
    "select": "SELECT id AS source_id, changed AS ordered_at, changed FROM bills",
    "cursor": "changed",
}
FIRST, THIRD = date(2026, 3, 1), date(2026, 3, 3)


def shop(zone: str = "UTC", **entity) -> Source:
    order = ORDER | entity
    return Source.model_validate({
        "name": "crm",
        "connection": "crm",
        "time_zone": zone,
        "entities": {"customer_order": order},
    })


@pytest.fixture
def crm(empty_database, monkeypatch):
    """A PostgreSQL CRM with five bills; the last has no stamp."""
    parts = psycopg.conninfo.conninfo_to_dict(empty_database)
    login = f"{parts['user']}:{parts.get('password', '')}@{parts['host']}:{parts['port']}"
    monkeypatch.setenv("AIRFLOW_CONN_CRM", f"postgres://{login}/{parts['dbname']}")
    with psycopg.connect(empty_database, autocommit=True) as db:
        db.execute("CREATE TABLE bills (id int, changed timestamptz)")
        db.execute(
            """INSERT INTO bills VALUES (1, '2026-02-28 23:30Z'), (2, '2026-03-01 00:00Z'),
                                        (3, '2026-03-02 23:30Z'), (4, '2026-03-03 00:00Z')"""
        )
        yield db


@pytest.fixture
def db(warehouse_url):
    """The warehouse, in no transaction."""
    with psycopg.connect(warehouse_url, autocommit=True) as connection:
        yield connection


def blank(db) -> None:
    """Put another status into every landed bill, which a row that is read again loses."""
    db.execute("UPDATE landing.customer_order SET status = 'open'")


def mended(db) -> list[str]:
    query = "SELECT source_id FROM landing.customer_order WHERE status IS NULL ORDER BY 1"
    return [key for (key,) in db.execute(query)]


def test_the_changes_of_some_days_are_read_again_and_the_second_day_is_not(crm, db):
    landing.load(shop(), "customer_order", db, run_id="r1")
    blank(db)
    done = landing.backfill(shop(), "customer_order", db, run_id="r2", since=FIRST, until=THIRD)
    assert (done.read, done.updated, done.inserted, done.deleted) == (2, 2, 0, 0)
    assert mended(db) == ["2", "3"]


def test_the_days_are_those_of_the_sources_time_zone(crm, db):
    berlin = shop("Europe/Berlin")
    landing.load(berlin, "customer_order", db, run_id="r1")
    blank(db)
    landing.backfill(berlin, "customer_order", db, run_id="r2", since=FIRST, until=THIRD)
    assert mended(db) == ["1", "2"]  # half past midnight on the first, and on the third, in Berlin


def test_a_row_without_a_stamp_is_read_by_every_backfill(crm, db):
    dated = shop(select="SELECT id AS source_id, now() AS ordered_at, changed FROM bills")
    crm.execute("INSERT INTO bills VALUES (5, NULL)")
    landing.load(dated, "customer_order", db, run_id="r1")
    blank(db)
    landing.backfill(dated, "customer_order", db, run_id="r2", since=FIRST, until=THIRD)
    assert mended(db) == ["2", "3", "5"]


def test_rows_that_are_as_they_have_landed_are_not_written(crm, db):
    landing.load(shop(), "customer_order", db, run_id="r1")
    held = "SELECT xmin::text, ctid::text FROM landing.customer_order ORDER BY 2"
    before = db.execute(held).fetchall()
    done = landing.backfill(shop(), "customer_order", db, run_id="r2", since=FIRST, until=THIRD)
    assert (done.read, done.inserted, done.updated) == (2, 0, 0)
    assert db.execute(held).fetchall() == before


def test_the_watermark_stays_and_the_next_load_goes_on_from_it(crm, db):
    landing.load(shop(), "customer_order", db, run_id="r1")
    state = "SELECT read_to, reading_to, after_key, run_id FROM ops.watermark"
    before = db.execute(state).fetchall()
    landing.backfill(shop(), "customer_order", db, run_id="r2", since=FIRST, until=THIRD)
    assert db.execute(state).fetchall() == before
    crm.execute("INSERT INTO bills VALUES (6, now())")
    assert landing.load(shop(), "customer_order", db, run_id="r3").inserted == 1


def test_an_entity_without_a_cursor_is_read_whole(crm, db):
    whole = shop(cursor=None, select="SELECT id AS source_id, changed AS ordered_at FROM bills")
    landing.load(whole, "customer_order", db, run_id="r1")
    blank(db)
    landing.backfill(whole, "customer_order", db, run_id="r2", since=FIRST, until=THIRD)
    assert mended(db) == ["1", "2", "3", "4"]


def test_the_ledger_calls_it_a_backfill(crm, db):
    landing.load(shop(), "customer_order", db, run_id="r1")
    landing.backfill(shop(), "customer_order", db, run_id="r2", since=FIRST, until=THIRD)
    rows = db.execute("SELECT run_id, kind, rows_in FROM ops.load ORDER BY 1").fetchall()
    assert rows == [("r1", "load", 4), ("r2", "backfill", 2)]


def test_days_in_the_wrong_order_are_refused(crm, db):
    with pytest.raises(InputError, match="since 2026-03-03 is not before until 2026-03-01"):
        landing.backfill(shop(), "customer_order", db, run_id="r2", since=THIRD, until=FIRST)


def test_a_table_that_was_never_loaded_is_not_backfilled(crm, db):
    with pytest.raises(InputError, match=r"crm.customer_order has not been loaded yet: run ingest"):
        landing.backfill(shop(), "customer_order", db, run_id="r2", since=FIRST, until=THIRD)
