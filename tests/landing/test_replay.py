"""Rows that were set aside are mended where they lie, or by another rule, and then land."""

from textwrap import dedent

import psycopg
import pytest

from include import landing, sources

MAPPING = """
    connection: crm
    rounding: {rounding}
    entities:
      product:
        select: SELECT sku AS source_id, title AS name, price, changed FROM goods
        cursor: changed
      feedback:
        select: SELECT sku AS source_id, at AS given_at, stars AS rating FROM stars
"""


@pytest.fixture
def mapping(tmp_path, monkeypatch):
    """``mapping(rounding=)``: write the mapping of the CRM; it is what ``sources.load`` finds."""
    load = sources.load
    monkeypatch.setattr(sources, "load", lambda name: load(name, tmp_path))

    def write(rounding: str = "keep") -> sources.Source:
        (tmp_path / "crm.yaml").write_text(dedent(MAPPING.format(rounding=rounding)))
        return sources.load("crm")

    return write


@pytest.fixture
def crm(empty_database, monkeypatch):
    """A PostgreSQL CRM with a good row."""
    parts = psycopg.conninfo.conninfo_to_dict(empty_database)
    login = f"{parts['user']}:{parts.get('password', '')}@{parts['host']}:{parts['port']}"
    monkeypatch.setenv("AIRFLOW_CONN_CRM", f"postgres://{login}/{parts['dbname']}")
    with psycopg.connect(empty_database, autocommit=True) as db:
        db.execute("CREATE TABLE goods (sku text, title text, price text, changed timestamptz)")
        db.execute("CREATE TABLE stars (sku text, at text, stars int)")
        db.execute("INSERT INTO goods VALUES ('a', 'Apple', '1.25', '2026-03-01Z')")
        yield db


@pytest.fixture
def db(warehouse_url):
    """The warehouse, in no transaction."""
    with psycopg.connect(warehouse_url, autocommit=True) as connection:
        yield connection


def landed(db) -> list[tuple]:
    return db.execute("SELECT source_id, name, price FROM landing.product ORDER BY 1").fetchall()


def aside(db) -> list[tuple]:
    return db.execute(
        'SELECT entity, row_key, "check", "column" FROM ops.quarantine ORDER BY 1, 2'
    ).fetchall()


def replayed(db, **which) -> tuple[int, int, int]:
    """(re-checked, landed, still set aside)."""
    done = landing.replay(db, run_id="r2", **which)
    return done.read, done.inserted + done.updated, done.quarantined


def test_a_payload_that_was_put_right_lands_and_leaves_the_quarantine(crm, db, mapping):
    crm.execute("INSERT INTO goods VALUES ('b', 'Bread', 'free', '2026-03-01Z')")
    landing.load(mapping(), "product", db, run_id="r1")
    assert aside(db) == [("product", "b", "type", "price")]
    db.execute("UPDATE ops.quarantine SET payload = jsonb_set(payload, '{price}', '\"0\"')")
    assert replayed(db) == (1, 1, 0)
    assert [(key, name, float(price)) for key, name, price in landed(db)] == [
        ("a", "Apple", 1.25),
        ("b", "Bread", 0.0),
    ]
    assert aside(db) == []


def test_a_row_that_another_rule_lets_through_lands(crm, db, mapping):
    crm.execute("INSERT INTO goods VALUES ('b', 'Bread', '0.1234567', '2026-03-01Z')")
    landing.load(mapping(rounding="set_aside"), "product", db, run_id="r1")
    assert aside(db) == [("product", "b", "rounding", "price")]
    mapping(rounding="keep")
    assert replayed(db) == (1, 1, 0)
    assert str(landed(db)[1][2]) == "0.123457"
    assert aside(db) == []


def test_what_still_breaks_a_rule_stays_and_nothing_is_written(crm, db, mapping):
    crm.execute("INSERT INTO goods VALUES ('b', 'Bread', 'free', '2026-03-01Z')")
    landing.load(mapping(), "product", db, run_id="r1")
    held = "SELECT xmin::text, recorded_at FROM ops.quarantine"
    before = db.execute(held).fetchall()
    assert replayed(db) == (1, 0, 1)
    assert db.execute(held).fetchall() == before


def test_a_mended_row_that_breaks_another_rule_stays_with_that_reason(crm, db, mapping):
    crm.execute("INSERT INTO goods VALUES ('b', 'Bread', 'free', '2026-03-01Z')")
    landing.load(mapping(), "product", db, run_id="r1")
    db.execute("UPDATE ops.quarantine SET payload = jsonb_set(payload, '{price}', '\"-1\"')")
    assert replayed(db) == (1, 0, 1)
    assert aside(db) == [("product", "b", "range", "price")]


def test_a_row_that_was_given_its_key_lands_and_leaves_the_quarantine(crm, db, mapping):
    crm.execute("INSERT INTO goods VALUES (NULL, 'Bread', '3', '2026-03-01Z')")
    landing.load(mapping(), "product", db, run_id="r1")
    assert aside(db) == [("product", None, "required", "source_id")]
    db.execute('UPDATE ops.quarantine SET payload = payload || \'{"source_id": "b"}\'')
    assert replayed(db) == (1, 1, 0)
    assert [key for key, _, _ in landed(db)] == ["a", "b"]
    assert aside(db) == []


def test_a_repeated_key_cannot_be_replayed(crm, db, mapping):
    crm.execute("INSERT INTO goods VALUES ('a', 'Another apple', '9', '2026-02-01Z')")
    landing.load(mapping(), "product", db, run_id="r1")
    assert aside(db)[0][2] == "duplicate"
    assert replayed(db) == (0, 0, 0)
    assert len(aside(db)) == 1


def test_one_source_or_entity_can_be_chosen(crm, db, mapping):
    crm.execute("INSERT INTO goods VALUES ('b', 'Bread', 'free', '2026-03-01Z')")
    crm.execute("INSERT INTO stars VALUES ('b', 'soon', 5)")
    for entity in ("product", "feedback"):
        landing.load(mapping(), entity, db, run_id="r1")
    assert [entity for entity, *_ in aside(db)] == ["feedback", "product"]
    assert replayed(db, entity="feedback") == (1, 0, 1)
    assert replayed(db, source="crm") == (2, 0, 2)
    assert replayed(db, source="another") == (0, 0, 0)


def test_the_watermark_stays_and_the_ledger_calls_it_a_replay(crm, db, mapping):
    crm.execute("INSERT INTO goods VALUES ('b', 'Bread', 'free', '2026-03-01Z')")
    landing.load(mapping(), "product", db, run_id="r1")
    watermark = "SELECT read_to, run_id FROM ops.watermark"
    before = db.execute(watermark).fetchall()
    db.execute("UPDATE ops.quarantine SET payload = jsonb_set(payload, '{price}', '\"0\"')")
    replayed(db)
    assert db.execute(watermark).fetchall() == before
    told = """SELECT run_id, kind, rows_in, rows_inserted, rows_quarantined FROM ops.load
              ORDER BY 1"""
    assert db.execute(told).fetchall() == [("r1", "load", 2, 1, 1), ("r2", "replay", 1, 1, 0)]
