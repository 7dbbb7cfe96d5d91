"""The oracle itself: it agrees across databases, and sees a lost, a doubled and a changed row."""

import sqlite3
from decimal import Decimal

import psycopg
import pytest

from include import landing
from tests.faults import oracle
from tests.faults.scene import Scene, goods

TRUTH = "SELECT sku AS source_id, title AS name, price, modified AS changed_at FROM goods"


@pytest.fixture
def landed(scene: Scene, monkeypatch: pytest.MonkeyPatch):
    """The warehouse after a load of ten rows; of them one is set aside."""
    rows = [(f"k{n}", f"Thing {n}", f"{n}.5", None, "2024-01-01Z") for n in range(9)]
    scene.add([*rows, ("bad", None, "1", None, "2024-01-01Z")])
    monkeypatch.setenv("AIRFLOW_CONN_CRM", scene.crm_url)
    with scene.open_warehouse() as db:
        landing.load(scene.source(), "product", db, run_id="r1")
        yield scene, db


def compare(scene: Scene, db: psycopg.Connection) -> None:
    oracle.assert_same(oracle.read(scene.crm, TRUTH), db, source="crm", entity="product")


def test_what_landed_or_was_set_aside_is_the_same(landed):
    scene, db = landed
    assert db.execute("SELECT row_key FROM ops.quarantine").fetchall() == [("bad",)]
    compare(scene, db)


DAMAGES = {
    "DELETE FROM landing.product WHERE source_id = 'k3'": r"1 lost \(k3\)",
    "DELETE FROM ops.quarantine": r"1 lost \(bad\)",
    "UPDATE landing.product SET deleted_at = now() WHERE source_id = 'k3'": r"1 lost \(k3\)",
    """ALTER TABLE landing.product DROP CONSTRAINT product_pkey CASCADE;
       INSERT INTO landing.product SELECT * FROM landing.product
       WHERE source_id = 'k3'""": r"1 doubled \(k3\)",
    "UPDATE landing.product SET price = price + 0.000001 WHERE source_id = 'k3'": (
        r"1 changed \(k3 price is '3.500001', not '3.500000'\)"
    ),
    "UPDATE landing.product SET name = '' WHERE source_id = 'k3'": "k3 name is '', not 'Thing 3'",
    "UPDATE landing.product SET changed_at = changed_at + interval '1 us' WHERE source_id = 'k3'": (
        "1 changed"
    ),
    """INSERT INTO landing.product (source, source_id, landed_at, run_id, name)
       VALUES ('crm', 'k99', now(), 'r1', 'Nothing')""": r"1 made up \(k99\)",
}


def test_one_row_that_is_lost_doubled_or_changed_is_found(landed):
    scene, db = landed
    for damage, said in DAMAGES.items():
        with db.transaction(force_rollback=True):
            db.execute(damage)
            with pytest.raises(AssertionError, match=said):
                compare(scene, db)
    compare(scene, db)


def test_an_empty_source_wants_an_empty_table(landed):
    scene, db = landed
    scene.execute("DELETE FROM goods")
    with pytest.raises(AssertionError, match="has rows, the source has none"):
        compare(scene, db)


def test_the_same_values_are_the_same_content_in_every_database(scene, mysql_scene):
    kinds = {"source_id": "text", "name": "text", "price": "numeric(18,6)"}
    kinds["changed_at"] = "timestamptz"
    rows = goods(seed=1, rows=200)
    scene.add(rows)
    mysql_scene.add(rows)
    with sqlite3.connect(":memory:") as db:
        db.execute("CREATE TABLE goods (sku, title, price, modified)")
        texts = [(*row[:3], f"{row[4]:%Y-%m-%d %H:%M:%S}") for row in rows]
        db.executemany("INSERT INTO goods VALUES (?, ?, ?, ?)", texts)
        contents = [
            oracle.content(oracle.read(crm, TRUTH), kinds)
            for crm in (scene.crm, mysql_scene.crm, db)
        ]
    assert contents[0] == contents[1] == contents[2]
    assert contents[0].sums == {"price": sum(Decimal(row[2]) for row in rows)}
