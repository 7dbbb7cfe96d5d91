"""Rows without a value or a key, and rows of one key."""

import pytest

from tests.faults import crms
from tests.faults.crms import GOODS, landed, load, set_aside

databases, warehouse = crms.databases(), crms.warehouse()
crm = crms.fixture("postgres", "mysql", "sqlite")
postgres = crms.fixture("postgres")
sqlite = crms.fixture("sqlite")


@pytest.mark.fault("F25", how="rows without a name or a key, beside good ones, then mended")
def test_f25_a_row_without_a_required_value_is_set_aside_and_the_others_land(goods, warehouse):
    goods.add(
        "goods",
        ("a", "Apple", "1", None),
        ("b", None, "2", None),
        (None, "Cake", "3", None),
        ("", "Dates", "4", None),
    )
    loaded = load(warehouse, GOODS)
    assert (loaded.read, loaded.inserted, loaded.quarantined) == (4, 1, 3)
    assert landed(warehouse, "source_id, name") == [("a", "Apple")]
    assert set_aside(warehouse) == [
        ("", "required", "source_id"),
        ("b", "required", "name"),
        (None, "required", "source_id"),
    ]
    goods.run("UPDATE goods SET title = 'Bread' WHERE sku = 'b'")
    assert load(warehouse, GOODS, run_id="r2").inserted == 1
    assert len(set_aside(warehouse)) == 2


DATED = {
    "select": "SELECT sku AS source_id, title AS name, price, changed FROM goods",
    "cursor": "changed",
}


@pytest.fixture
def dated(crm, warehouse, later):
    """An empty table of goods that say when they changed."""
    crm.create("goods", sku="key", title="text", price="money", changed="moment")
    if later:
        load(warehouse, DATED, run_id="r0")
    return crm


@pytest.mark.fault("F26", how="a key three times in one batch; the latest version is no copy")
def test_f26_of_three_rows_with_one_key_the_latest_lands_and_two_are_set_aside(dated, warehouse):
    dated.add(
        "goods",
        ("a", "old", "1", crms.ago(minutes=3)),
        ("a", "new", "3", crms.ago(minutes=1)),
        ("a", "mid", "2", crms.ago(minutes=2)),
        ("b", "Bread", "4", crms.ago(minutes=2)),
    )
    loaded = load(warehouse, DATED)
    assert (loaded.read, loaded.inserted, loaded.quarantined) == (4, 2, 2)
    assert landed(warehouse, "source_id, name") == [("a", "new"), ("b", "Bread")]
    assert set_aside(warehouse) == [("a", "duplicate", "source_id")] * 2
    kept = warehouse.execute("SELECT payload ->> 'name' FROM ops.quarantine ORDER BY 1").fetchall()
    assert kept == [("mid",), ("old",)]
    again = load(warehouse, DATED, run_id="r2")
    assert (again.inserted, again.updated, again.quarantined) == (0, 0, 0)


@pytest.mark.fault("F26", how="of three rows with one key the latest also breaks a rule")
def test_f26_the_latest_good_row_of_a_key_lands_and_a_later_bad_one_is_set_aside(dated, warehouse):
    dated.add(
        "goods",
        ("a", "old", "1", crms.ago(minutes=3)),
        ("a", None, "3", crms.ago(minutes=1)),
        ("a", "mid", "2", crms.ago(minutes=2)),
    )
    for run_id in ("r1", "r2"):
        load(warehouse, DATED, run_id=run_id)
        assert landed(warehouse, "source_id, name") == [("a", "mid")]
        assert set_aside(warehouse) == [("a", "duplicate", "source_id"), ("a", "required", "name")]
