"""What a reconciliation finds that no load can see, and that it reads no more than it must."""

import sqlite3

import psycopg
import pytest

from include import landing
from include.errors import QualityError
from include.sources import Source

PRODUCT = {
    "select": "SELECT sku AS source_id, title AS name, price, changed, gone FROM goods",
    "cursor": "changed",
    "deletes": {"column": "gone"},
}
MANY = """INSERT INTO goods SELECT 'p' || n, 'Thing ' || n, n, now() - interval '1 day', false
          FROM generate_series(1, 1000) AS n"""


def shop(**entity) -> Source:
    product = PRODUCT | entity
    return Source.model_validate({
        "name": "crm",
        "connection": "crm",
        "entities": {"product": product},
    })


@pytest.fixture
def crm(empty_database, monkeypatch):
    """A PostgreSQL CRM with two goods, stamped long ago."""
    parts = psycopg.conninfo.conninfo_to_dict(empty_database)
    login = f"{parts['user']}:{parts.get('password', '')}@{parts['host']}:{parts['port']}"
    monkeypatch.setenv("AIRFLOW_CONN_CRM", f"postgres://{login}/{parts['dbname']}")
    with psycopg.connect(empty_database, autocommit=True) as db:
        db.execute(
            """CREATE TABLE goods (sku text, title text, price numeric(10, 2),
                                   changed timestamptz, gone bool)"""
        )
        db.execute(
            """INSERT INTO goods VALUES ('a', 'Apple', 1.25, now() - interval '1 day', false),
                                        ('b', 'Bread', 3, now() - interval '1 day', false)"""
        )
        yield db


@pytest.fixture
def db(warehouse_url):
    """The warehouse, in no transaction."""
    with psycopg.connect(warehouse_url, autocommit=True) as connection:
        yield connection


def landed(db, table: str = "landing.product") -> list[tuple]:
    rows = db.execute(
        f"SELECT source_id, name, price::float, deleted_at IS NULL FROM {table} ORDER BY 1"
    )
    return rows.fetchall()


BOTH = [("a", "Apple", 1.25, True), ("b", "Bread", 3.0, True)]


def reconciled(db, source: Source) -> tuple[int, int, int, int]:
    """(ranges differing, new, changed, gone)."""
    done = landing.reconcile(source, "product", db, run_id="r2")
    assert done.ranges == 256
    return done.ranges_differing, done.inserted, done.updated, done.deleted


def test_a_row_changed_without_its_stamp_is_unseen_by_a_load_and_found(crm, db):
    landing.load(shop(), "product", db, run_id="r1")
    crm.execute("UPDATE goods SET price = 2 WHERE sku = 'a'")
    assert landing.load(shop(), "product", db, run_id="r2").updated == 0
    assert reconciled(db, shop()) == (1, 0, 1, 0)
    assert landed(db) == [("a", "Apple", 2.0, True), BOTH[1]]
    assert landed(db, "landing.product_history") == [BOTH[0]]


def test_a_row_lost_in_landing_is_landed_again(crm, db):
    landing.load(shop(), "product", db, run_id="r1")
    db.execute("DELETE FROM landing.product WHERE source_id = 'a'")
    assert reconciled(db, shop()) == (1, 1, 0, 0)
    assert landed(db) == BOTH


def test_a_row_damaged_in_landing_is_mended(crm, db):
    landing.load(shop(), "product", db, run_id="r1")
    db.execute("UPDATE landing.product SET name = 'Apfel' WHERE source_id = 'a'")
    assert reconciled(db, shop()) == (1, 0, 1, 0)
    assert landed(db) == BOTH


def test_a_row_that_the_source_never_had_is_marked_deleted(crm, db):
    landing.load(shop(), "product", db, run_id="r1")
    db.execute(
        """INSERT INTO landing.product (source, source_id, name, landed_at, run_id)
           VALUES ('crm', 'z', 'Zebra', now(), 'nobody')"""
    )
    assert reconciled(db, shop()) == (1, 0, 0, 1)
    assert landed(db) == [*BOTH, ("z", "Zebra", None, False)]


def test_a_row_deleted_from_the_source_without_a_mark_is_marked_deleted(crm, db):
    landing.load(shop(), "product", db, run_id="r1")
    crm.execute("DELETE FROM goods WHERE sku = 'b'")
    assert landing.load(shop(), "product", db, run_id="r2").deleted == 0
    assert reconciled(db, shop()) == (1, 0, 0, 1)
    assert landed(db) == [BOTH[0], ("b", "Bread", 3.0, False)]


def test_where_deletes_do_not_count_a_row_gone_from_the_source_stays(crm, db):
    log = shop(deletes="none")
    landing.load(log, "product", db, run_id="r1")
    crm.execute("DELETE FROM goods WHERE sku = 'b'")
    assert reconciled(db, log)[1:] == (0, 0, 0)
    assert landed(db) == BOTH


def test_only_the_key_ranges_that_differ_are_read_again(crm, db):
    crm.execute(MANY)
    landing.load(shop(), "product", db, run_id="r1")
    crm.execute("UPDATE goods SET price = 0 WHERE sku = 'p7'")
    done = landing.reconcile(shop(), "product", db, run_id="r2")
    query = "SELECT count(*) FROM goods WHERE left(md5(sku), 2) = left(md5('p7'), 2)"
    assert crm.execute(query).fetchone() == (done.read,)
    assert (done.ranges_differing, done.updated) == (1, 1)
    assert done.read < 20


def test_when_nothing_differs_nothing_is_read_and_nothing_written(crm, db):
    crm.execute(MANY)
    landing.load(shop(), "product", db, run_id="r1")
    held = "SELECT xmin::text, ctid::text FROM landing.product ORDER BY 2"
    before = db.execute(held).fetchall()
    done = landing.reconcile(shop(), "product", db, run_id="r2")
    assert (done.ranges_differing, done.read, done.inserted, done.updated) == (0, 0, 0, 0)
    assert db.execute(held).fetchall() == before


def test_another_engine_is_compared_whole(tmp_path, db, monkeypatch):
    path = tmp_path / "till.db"
    monkeypatch.setenv("AIRFLOW_CONN_CRM", f"sqlite:///{path}")
    till = shop(
        cursor=None, deletes="sweep", select="SELECT sku AS source_id, title AS name FROM g"
    )
    with sqlite3.connect(path) as source:
        source.execute("CREATE TABLE g (sku, title)")
        source.execute("INSERT INTO g VALUES ('a', 'Apple'), ('b', 'Bread')")
    landing.load(till, "product", db, run_id="r1")
    db.execute("UPDATE landing.product SET name = 'Apfel' WHERE source_id = 'a'")
    db.execute("DELETE FROM landing.product WHERE source_id = 'b'")
    done = landing.reconcile(till, "product", db, run_id="r2")
    assert (done.read, done.inserted, done.updated, done.deleted) == (2, 1, 1, 0)
    assert [row[1] for row in landed(db)] == ["Apple", "Bread"]


def test_a_source_that_lost_most_rows_is_taken_for_an_accident(crm, db):
    crm.execute(MANY)
    landing.load(shop(), "product", db, run_id="r1")
    crm.execute("DELETE FROM goods WHERE sku > 'p2'")
    with pytest.raises(QualityError, match="rows are gone from the source, more than 30 %"):
        landing.reconcile(shop(), "product", db, run_id="r2")
    assert db.execute("SELECT count(deleted_at) FROM landing.product").fetchone() == (0,)


def test_before_a_first_load_there_is_nothing_to_compare(crm, db):
    assert landing.reconcile(shop(), "product", db, run_id="r1") == landing.Loaded()
    assert landed(db) == []


def test_the_watermark_stays_and_the_ledger_says_what_was_mended(crm, db):
    landing.load(shop(), "product", db, run_id="r1")
    watermark = "SELECT read_to, run_id FROM ops.watermark"
    before = db.execute(watermark).fetchall()
    db.execute("DELETE FROM landing.product WHERE source_id = 'a'")
    reconciled(db, shop())
    assert db.execute(watermark).fetchall() == before
    told = """SELECT kind, rows_in, rows_inserted, ranges, ranges_differing FROM ops.load
              WHERE run_id = 'r2'"""
    assert db.execute(told).fetchall() == [("reconcile", 1, 1, 256, 1)]
