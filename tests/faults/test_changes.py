"""Rows and columns that go, come back or change their kind in the source: rows F19 to F24."""

import logging
from decimal import Decimal

import pytest

from include import landing
from include.errors import ConfigError, QualityError
from tests.faults import crms
from tests.faults.crms import GOODS, STAMPED, landed, load, set_aside

databases, warehouse = crms.databases(), crms.warehouse()
crm = crms.fixture("postgres", "mysql", "sqlite")
typed = crms.fixture("postgres", "mysql")
postgres = crms.fixture("postgres")
sqlite = crms.fixture("sqlite")

SWEPT = {**GOODS, "deletes": "sweep"}
STAMPED_SWEPT = {**STAMPED, "deletes": "sweep"}
either = pytest.mark.parametrize("how", [SWEPT, STAMPED_SWEPT], ids=["no cursor", "cursor"])


@pytest.fixture
def goods(crm):
    """Fifty goods, k00 to k49, changed two hours ago."""
    crm.create("goods", sku="key", title="text", price="money", changed="moment")
    stamp = crms.ago(hours=2)
    crm.add("goods", *((f"k{n:02d}", f"Thing {n}", n, stamp) for n in range(50)))
    return crm


def versions(warehouse) -> list[tuple]:
    """Which version of which row is where: equal only if nothing was written."""
    return [
        *landed(warehouse, "source_id, xmin::text, ctid::text, deleted_at"),
        *warehouse.execute("SELECT source_id, valid_to FROM landing.product_history").fetchall(),
        *warehouse.execute("SELECT read_to, swept_at, run_id FROM ops.watermark").fetchall(),
        *warehouse.execute("SELECT run_id, rows_in FROM ops.load ORDER BY 1").fetchall(),
    ]


@pytest.mark.fault("F19", how="rows marked as deleted in a column, and unmarked again")
def test_f19_a_marked_row_is_deleted_and_an_unmarked_one_comes_back(crm, warehouse):
    crm.create("goods", sku="key", title="text", gone="text", changed="moment")
    marks = {"a": "1", "b": "true", "c": "2026-01-05 10:00:00", "d": "0", "e": "", "f": None}
    crm.add("goods", *((key, "", mark, crms.ago(hours=2)) for key, mark in marks.items()))
    how = {
        "select": "SELECT sku AS source_id, title AS name, gone, changed FROM goods",
        "cursor": "changed",
        "deletes": {"column": "gone"},
    }
    load(warehouse, how)
    assert landed(warehouse, "source_id, deleted_at IS NOT NULL") == [
        *(("a", True), ("b", True), ("c", True), ("d", False), ("e", False), ("f", False))
    ]
    crm.run(f"UPDATE goods SET gone = '0', changed = '{crms.ago()}' WHERE sku = 'a'")
    crm.run(f"UPDATE goods SET gone = '1', changed = '{crms.ago()}' WHERE sku = 'd'")
    load(warehouse, how, run_id="r2")
    assert landed(warehouse, "source_id, deleted_at IS NOT NULL") == [
        *(("a", False), ("b", True), ("c", True), ("d", True), ("e", False), ("f", False))
    ]


@either
@pytest.mark.fault("F19", how="one of fifty rows deleted, three databases, with and without cursor")
def test_f19_a_row_gone_from_the_source_is_marked_and_its_version_kept(how, goods, warehouse):
    load(warehouse, how)
    goods.run("DELETE FROM goods WHERE sku = 'k07'")
    loaded = load(warehouse, how, run_id="r2")
    assert (loaded.inserted, loaded.updated, loaded.deleted) == (0, 0, 1)
    gone = "SELECT source_id FROM landing.product WHERE deleted_at IS NOT NULL"
    assert warehouse.execute(gone).fetchall() == [("k07",)]
    assert landed(warehouse, "source_id, name, deleted_at", "product_history") == [
        ("k07", "Thing 7", None)
    ]
    again = load(warehouse, how, run_id="r3")
    assert (again.updated, again.deleted) == (0, 0)


@either
@pytest.mark.fault("F19", how="60 % of the rows deleted, then allowed for one run")
def test_f19_a_sweep_that_would_delete_most_rows_is_refused_and_changes_nothing(
    how, goods, warehouse
):
    load(warehouse, how)
    before = versions(warehouse)
    goods.run("DELETE FROM goods WHERE sku < 'k30'")
    message = (
        r"crm\.product: 30 of 50 rows are gone from the source, more than 30 %; nothing was changed"
    )
    with pytest.raises(QualityError, match=message):
        load(warehouse, how, run_id="r2")
    assert versions(warehouse) == before
    loaded = load(warehouse, how, run_id="r3", most_vanishing_percent=100)
    assert loaded.deleted == 30
    assert landed(warehouse, "count(*), count(deleted_at)") == [(50, 30)]


@either
@pytest.mark.fault("F19", how="a row deleted within the hours between two sweeps")
def test_f19_deletes_are_looked_for_only_every_so_many_hours(how, goods, warehouse):
    load(warehouse, how, sweep_every_hours=24)
    goods.run("DELETE FROM goods WHERE sku = 'k07'")
    assert load(warehouse, how, run_id="r2", sweep_every_hours=24).deleted == 0
    warehouse.execute("UPDATE ops.watermark SET swept_at = swept_at - interval '25 hours'")
    assert load(warehouse, how, run_id="r3", sweep_every_hours=24).deleted == 1
    assert load(warehouse, how, run_id="r4", sweep_every_hours=24).deleted == 0


@either
@pytest.mark.fault("F19", how="a deleted row restored with its old stamp")
def test_f19_a_row_restored_with_its_old_stamp_comes_back_at_the_next_sweep(how, goods, warehouse):
    load(warehouse, how)
    goods.run("CREATE TABLE copy AS SELECT * FROM goods WHERE sku = 'k07'")
    goods.run("DELETE FROM goods WHERE sku = 'k07'")
    assert load(warehouse, how, run_id="r2").deleted == 1
    goods.run("INSERT INTO goods SELECT * FROM copy")
    assert load(warehouse, how, run_id="r3").updated == 1
    assert landed(warehouse, "count(*), count(deleted_at)") == [(50, 0)]


@pytest.mark.fault("F19", how="a delete between two sweeps, found by a reconciliation")
def test_f19_a_reconciliation_finds_what_was_deleted_between_two_sweeps(goods, warehouse):
    load(warehouse, STAMPED_SWEPT, sweep_every_hours=24)
    goods.run("DELETE FROM goods WHERE sku = 'k07'")
    warehouse.commit()
    how = crms.mapping(STAMPED_SWEPT, sweep_every_hours=24)
    loaded = landing.reconcile(how, "product", warehouse, run_id="r2")
    assert (loaded.inserted, loaded.updated, loaded.deleted) == (0, 0, 1)
    gone = "SELECT source_id FROM landing.product WHERE deleted_at IS NOT NULL"
    assert warehouse.execute(gone).fetchall() == [("k07",)]


@either
@pytest.mark.fault("F19", how="a landed row breaks a rule while deletes are swept")
def test_f19_a_row_that_is_set_aside_is_not_taken_for_deleted(how, goods, warehouse):
    load(warehouse, how)
    goods.run(f"UPDATE goods SET price = -1, changed = '{crms.ago()}' WHERE sku = 'k07'")
    loaded = load(warehouse, how, run_id="r2")
    assert (loaded.deleted, loaded.quarantined) == (0, 1)
    assert set_aside(warehouse) == [("k07", "range", "price")]
    goods.run("DELETE FROM goods WHERE sku = 'k07'")
    assert load(warehouse, how, run_id="r3").deleted == 1


@pytest.mark.parametrize("how", [GOODS, SWEPT, STAMPED, STAMPED_SWEPT])
@pytest.mark.fault("F20", how="an empty table, loaded twice, then filled, every way to read it")
def test_f20_an_empty_source_is_a_success_and_rows_land_once_there_are_some(
    how, crm, warehouse, caplog
):
    crm.create("goods", sku="key", title="text", price="money", changed="moment")
    loaded = load(warehouse, how)
    assert (loaded.read, loaded.inserted, loaded.deleted) == (0, 0, 0)
    assert "crm.product: the source has no rows" in caplog.text
    assert crms.ledger(warehouse, "rows_in") == 0
    assert load(warehouse, how, run_id="r2").read == 0
    crm.add("goods", ("a", "Apple", "1.5", crms.ago()))
    assert load(warehouse, how, run_id="r3").inserted == 1
    assert landed(warehouse, "source_id, price") == [("a", Decimal("1.5"))]


@either
@pytest.mark.fault("F21", how="a table of fifty rows emptied, then restored")
def test_f21_an_emptied_source_is_refused_and_once_restored_nothing_has_changed(
    how, goods, warehouse
):
    load(warehouse, how)
    before = landed(warehouse, "source_id, xmin::text, ctid::text")
    goods.run("CREATE TABLE copy AS SELECT * FROM goods")
    goods.run("DELETE FROM goods")
    with pytest.raises(QualityError, match="50 of 50 rows are gone from the source"):
        load(warehouse, how, run_id="r2")
    warehouse.commit()
    with pytest.raises(QualityError, match="50 of 50 rows are gone from the source"):
        landing.reconcile(crms.mapping(how), "product", warehouse, run_id="r2")
    goods.run("INSERT INTO goods SELECT * FROM copy")
    loaded = load(warehouse, how, run_id="r3")
    assert (loaded.inserted, loaded.updated, loaded.deleted) == (0, 0, 0)
    assert landed(warehouse, "source_id, xmin::text, ctid::text") == before


@pytest.mark.parametrize("how", [GOODS, STAMPED], ids=["no cursor", "cursor"])
@pytest.mark.fault("F21", how="a table of fifty rows emptied where deletes do not count")
def test_f21_where_deletes_do_not_count_an_emptied_source_changes_nothing(how, goods, warehouse):
    load(warehouse, how)
    goods.run("DELETE FROM goods")
    assert load(warehouse, how, run_id="r2").read == 0
    assert landed(warehouse, "count(*), count(deleted_at)") == [(50, 0)]


STAR = {"select": "SELECT sku AS source_id, title AS name, g.* FROM goods AS g"}


@pytest.fixture
def shelf(crm):
    """Two goods, whose table will change."""
    crm.create("goods", sku="key", title="text", price="money", kind="text", changed="moment")
    stamp = crms.ago(hours=2)
    crm.add("goods", ("a", "Apple", "1.5", "fruit", stamp), ("b", "Bread", "2.5", None, stamp))
    return crm


def add_color(crm) -> None:
    """A new column, in the middle where the database can do that."""
    place = " AFTER sku" if crm.dialect == "mysql" else ""
    crm.run(f"ALTER TABLE goods ADD COLUMN color varchar(20){place}")
    crm.run("UPDATE goods SET color = 'red' WHERE sku = 'a'")


def warnings(caplog) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]


@pytest.mark.fault("F22", how="a column added in the middle of a table read by name")
def test_f22_a_new_column_shifts_nothing(shelf, warehouse, caplog):
    load(warehouse, GOODS)
    add_color(shelf)
    loaded = load(warehouse, GOODS, run_id="r2")
    assert (loaded.read, loaded.updated) == (2, 0)
    assert landed(warehouse, "source_id, name, price") == [
        ("a", "Apple", Decimal("1.5")),
        ("b", "Bread", Decimal("2.5")),
    ]
    assert warnings(caplog) == []


@pytest.mark.fault("F22", how="a column added to a table read with *, policy ignore")
def test_f22_a_new_column_is_left_out_and_named_once(shelf, warehouse, caplog):
    load(warehouse, STAR)
    add_color(shelf)
    assert load(warehouse, STAR, run_id="r2").updated == 0
    (said,) = warnings(caplog)
    assert "crm.yaml: entities.product" in said
    assert "color" in said
    load(warehouse, STAR, run_id="r3")
    assert len(warnings(caplog)) == 1
    assert landed(warehouse, "source_id, price") == [("a", Decimal("1.5")), ("b", Decimal("2.5"))]


@pytest.mark.fault("F22", how="a column added to a table read with *, policy evolve, three loads")
def test_f22_a_new_column_is_kept_beside_the_model_from_then_on(shelf, warehouse):
    evolve = {"added": "evolve"}
    load(warehouse, STAR, changes=evolve)
    add_color(shelf)
    load(warehouse, STAR, run_id="r2", changes=evolve)
    kept = [("a", "red"), ("b", None)]
    assert landed(warehouse, "source_id, pass_through ->> 'color'") == kept
    assert load(warehouse, STAR, run_id="r3", changes=evolve).updated == 0
    assert landed(warehouse, "source_id, pass_through ->> 'color'") == kept


@pytest.mark.parametrize("name", ["color", "brand"], ids=["unknown", "of our model"])
@pytest.mark.fault("F22", how="a column added to a table read with *, policy freeze")
def test_f22_a_new_column_stops_the_load_where_the_mapping_says_freeze(name, shelf, warehouse):
    freeze = {"added": "freeze"}
    load(warehouse, STAR, changes=freeze)
    shelf.run(f"ALTER TABLE goods ADD COLUMN {name} varchar(20)")
    before = versions(warehouse)
    with pytest.raises(ConfigError, match=rf"crm\.yaml: entities\.product.*{name}"):
        load(warehouse, STAR, run_id="r2", changes=freeze)
    assert versions(warehouse) == before
    assert load(warehouse, STAR, run_id="r3").read == 2


NAMED = {
    "select": "SELECT sku AS source_id, title AS name, kind AS category, changed FROM goods",
    "deletes": "sweep",
}
LEAVE = {
    "drop": "ALTER TABLE goods DROP COLUMN kind",
    "rename": "ALTER TABLE goods RENAME COLUMN kind TO sort",
}
leaves = pytest.mark.parametrize("change", LEAVE)


@leaves
@pytest.mark.fault("F23", how="a mapped column dropped or renamed, policy freeze")
def test_f23_a_dropped_column_stops_the_load_and_is_named(change, shelf, warehouse):
    load(warehouse, NAMED)
    before = versions(warehouse)
    shelf.run(LEAVE[change])
    with pytest.raises(ConfigError, match=r"crm\.yaml: .*kind") as raised:
        load(warehouse, NAMED, run_id="r2")
    assert "\n" not in str(raised.value)
    assert versions(warehouse) == before


@leaves
@pytest.mark.fault("F23", how="a mapped column dropped or renamed, policy evolve")
def test_f23_a_dropped_column_becomes_null_and_the_history_keeps_it(change, shelf, warehouse):
    load(warehouse, NAMED)
    shelf.run(LEAVE[change])
    for run_id, updated in (("r2", 1), ("r3", 0)):
        loaded = load(warehouse, NAMED, run_id=run_id, changes={"dropped": "evolve"})
        assert (loaded.updated, loaded.deleted) == (updated, 0)
    assert landed(warehouse, "source_id, category") == [("a", None), ("b", None)]
    assert landed(warehouse, "source_id, category", "product_history") == [("a", "fruit")]


@leaves
@pytest.mark.fault("F23", how="a mapped column dropped or renamed, policy ignore")
def test_f23_what_has_landed_of_a_dropped_column_may_stay(change, shelf, warehouse):
    load(warehouse, NAMED)
    shelf.run(LEAVE[change])
    shelf.run("UPDATE goods SET title = 'Apples' WHERE sku = 'a'")
    shelf.run("INSERT INTO goods (sku, title) VALUES ('c', 'Cake')")
    for run_id in ("r2", "r3"):
        load(warehouse, NAMED, run_id=run_id, changes={"dropped": "ignore"})
    assert landed(warehouse, "source_id, name, category") == [
        ("a", "Apples", "fruit"),
        ("b", "Bread", None),
        ("c", "Cake", None),
    ]


@pytest.mark.parametrize("policy", ["freeze", "evolve", "ignore"])
@pytest.mark.fault("F23", how="a column dropped from a table read with *, every policy")
def test_f23_a_column_gone_from_a_star_is_treated_as_one_that_was_named(policy, shelf, warehouse):
    shelf.run("ALTER TABLE goods RENAME COLUMN kind TO brand")
    changes = {"dropped": policy}
    load(warehouse, STAR, changes=changes)
    assert landed(warehouse, "source_id, brand") == [("a", "fruit"), ("b", None)]
    shelf.run("ALTER TABLE goods DROP COLUMN brand")
    if policy == "freeze":
        with pytest.raises(ConfigError, match=r"crm\.yaml: entities\.product.*brand"):
            load(warehouse, STAR, run_id="r2", changes=changes)
    else:
        for run_id in ("r2", "r3"):
            load(warehouse, STAR, run_id=run_id, changes=changes)
    left = None if policy == "evolve" else "fruit"
    assert landed(warehouse, "source_id, brand") == [("a", left), ("b", None)]


@pytest.mark.parametrize("policy", ["evolve", "ignore"])
@pytest.mark.parametrize("column", ["sku", "title", "changed"])
@pytest.mark.fault("F23", how="key, required column and cursor dropped, policies evolve and ignore")
def test_f23_key_cursor_and_required_columns_cannot_be_dropped(column, policy, shelf, warehouse):
    how = {**NAMED, "cursor": "changed"}
    load(warehouse, how)
    before = versions(warehouse)
    shelf.run(f"ALTER TABLE goods RENAME COLUMN {column} TO other")
    with pytest.raises(ConfigError, match=rf"crm\.yaml: .*{column}"):
        load(warehouse, how, run_id="r2", changes={"dropped": policy})
    assert versions(warehouse) == before


@pytest.mark.parametrize("select", [f"{GOODS['select']} AS g", STAR["select"]], ids=["named", "*"])
@pytest.mark.fault("F23", how="a column kept beside the model dropped, policies evolve and ignore")
def test_f23_a_dropped_column_beside_the_model_follows_the_policy(select, shelf, warehouse):
    how = {"select": select.replace("price", "kind"), "pass_through": ["kind"]}
    load(warehouse, how)
    shelf.run("ALTER TABLE goods DROP COLUMN kind")
    for run_id in ("r2", "r3"):
        load(warehouse, how, run_id=run_id, changes={"dropped": "ignore"})
    kept = landed(warehouse, "source_id, pass_through ->> 'kind'")
    assert kept == [("a", "fruit"), ("b", None)]
    for run_id in ("r4", "r5"):
        load(warehouse, how, run_id=run_id, changes={"dropped": "evolve"})
    kept = landed(warehouse, "source_id, pass_through ->> 'kind'")
    assert kept == [("a", None), ("b", None)]


@pytest.mark.parametrize("policy", ["evolve", "ignore"])
@pytest.mark.fault("F23", how="a number column dropped while a change of type would stop the load")
def test_f23_a_dropped_column_is_no_change_of_type(policy, shelf, warehouse):
    load(warehouse, GOODS)
    shelf.run("ALTER TABLE goods DROP COLUMN price")
    for run_id in ("r2", "r3"):
        load(warehouse, GOODS, run_id=run_id, changes={"dropped": policy, "retyped": "freeze"})
    left = {"evolve": (None, None), "ignore": (Decimal("1.5"), Decimal("2.5"))}[policy]
    assert landed(warehouse, "source_id, price") == list(zip("ab", left, strict=True))


@pytest.mark.fault("F23", how="a column in double quotes, which SQLite takes for a text once gone")
def test_f23_a_dropped_column_in_quotes_never_becomes_its_own_name(sqlite, warehouse):
    sqlite.create("goods", sku="key", title="text", kind="text")
    sqlite.add("goods", ("a", "Apple", "fruit"))
    how = {"select": 'SELECT "sku" AS source_id, "title" AS name, "kind" AS category FROM goods'}
    load(warehouse, how)
    sqlite.run("ALTER TABLE goods DROP COLUMN kind")
    with pytest.raises(ConfigError, match=r"crm\.yaml: .*kind"):
        load(warehouse, how, run_id="r2")
    assert landed(warehouse, "source_id, category") == [("a", "fruit")]


@pytest.mark.fault("F23", how="the whole table dropped")
def test_f23_a_dropped_table_stops_the_load_and_is_named(shelf, warehouse):
    load(warehouse, SWEPT)
    before = versions(warehouse)
    shelf.run("DROP TABLE goods")
    for policy in ("freeze", "evolve"):
        with pytest.raises(ConfigError, match=r"crm\.yaml: .*goods"):
            load(warehouse, SWEPT, run_id="r2", changes={"dropped": policy})
    assert versions(warehouse) == before


def retype(crm, column: str, kind: str) -> None:
    """Give a column another type, its values converted."""
    if crm.dialect == "postgres":
        crm.run(f"ALTER TABLE goods ALTER {column} TYPE {kind} USING {column}::{kind}")
    elif crm.dialect == "mysql":
        crm.run(f"ALTER TABLE goods MODIFY {column} {kind}")
    else:
        crm.run(f"ALTER TABLE goods ADD COLUMN other {kind}")
        crm.run(f"UPDATE goods SET other = {column}")
        crm.run(f"ALTER TABLE goods DROP COLUMN {column}")
        crm.run(f"ALTER TABLE goods RENAME COLUMN other TO {column}")


@pytest.mark.parametrize("policy", ["evolve", "ignore"])
@pytest.mark.fault("F24", how="numbers become text, some of it no number; evolve and ignore")
def test_f24_what_does_not_fit_after_a_change_of_type_is_set_aside(
    policy, shelf, warehouse, caplog
):
    load(warehouse, GOODS)
    retype(shelf, "price", "varchar(40)")
    shelf.run("UPDATE goods SET price = 'cheap' WHERE sku = 'b'")
    shelf.run("INSERT INTO goods (sku, title, price) VALUES ('c', 'Cake', ' 3.25 ')")
    loaded = load(warehouse, GOODS, run_id="r2", changes={"retyped": policy})
    assert (loaded.read, loaded.inserted, loaded.updated, loaded.quarantined) == (3, 1, 0, 1)
    assert landed(warehouse, "source_id, price") == [
        ("a", Decimal("1.5")),
        ("b", Decimal("2.5")),
        ("c", Decimal("3.25")),
    ]
    reason = 'SELECT row_key, "check", reason FROM ops.quarantine'
    assert warehouse.execute(reason).fetchall() == [
        ("b", "type", "price cannot be read as numeric(18,6)")
    ]
    said = [message for message in warnings(caplog) if "price" in message]
    expected = 0 if policy == "ignore" or shelf.dialect == "sqlite" else 1
    assert len(said) == expected


NEW_TYPES = {
    "postgres": [("numeric(14,4)", "text"), ("numeric(14,4)", "numeric(10,1)")],
    "mysql": [("decimal(14,4)", "text"), ("decimal(14,4)", "decimal(10,1)")],
}


@pytest.mark.parametrize("number", [0, 1], ids=["to text", "fewer digits"])
@pytest.mark.fault("F24", how="numbers become text, or lose digits; policy freeze")
def test_f24_a_change_of_type_stops_the_load_where_the_mapping_says_freeze(
    number, typed, warehouse
):
    old, new = NEW_TYPES[typed.dialect][number]
    typed.create("goods", sku="key", title="text", price=old)
    typed.add("goods", ("a", "Apple", "1.25"))
    load(warehouse, GOODS, changes={"retyped": "freeze"})
    retype(typed, "price", new)
    before = versions(warehouse)
    with pytest.raises(ConfigError, match=r"crm\.yaml: entities\.product.*price was") as raised:
        load(warehouse, GOODS, run_id="r2", changes={"retyped": "freeze"})
    said = str(raised.value)
    assert old.partition("(")[2] in said
    assert new in said
    assert versions(warehouse) == before


@pytest.mark.fault("F24", how="a price loses digits in the source: what it says now lands")
def test_f24_amounts_that_lost_digits_in_the_source_land_as_they_are_now(typed, warehouse):
    (old, _), (_, new) = NEW_TYPES[typed.dialect]
    typed.create("goods", sku="key", title="text", price=old)
    typed.add("goods", ("a", "Apple", "1.25"))
    load(warehouse, GOODS)
    retype(typed, "price", new)
    load(warehouse, GOODS, run_id="r2")
    assert landed(warehouse, "source_id, price") == [("a", Decimal("1.3"))]
    assert landed(warehouse, "source_id, price", "product_history") == [("a", Decimal("1.25"))]


@pytest.mark.parametrize("kind", ["timestamp", "date"])
@pytest.mark.fault("F24", how="the cursor loses its offset, or its time of day")
def test_f24_a_cursor_of_another_type_loses_no_change(kind, postgres, warehouse):
    postgres.create("goods", sku="key", title="text", price="money", changed="timestamptz")
    postgres.add("goods", ("a", "Apple", "1", crms.ago(hours=48)))
    load(warehouse, STAMPED)
    retype(postgres, "changed", kind)
    postgres.add("goods", ("b", "Bread", "2", crms.ago()))
    loaded = load(warehouse, STAMPED, run_id="r2")
    assert (loaded.inserted, loaded.updated) == (1, 0)
    assert landed(warehouse, "source_id, name") == [("a", "Apple"), ("b", "Bread")]


@pytest.mark.fault("F24", how="the cursor of a PostgreSQL table becomes text")
def test_f24_a_cursor_that_became_text_is_refused_with_what_to_do(postgres, warehouse):
    postgres.create("goods", sku="key", title="text", price="money", changed="timestamptz")
    postgres.add("goods", ("a", "Apple", "1", crms.ago(hours=48)))
    load(warehouse, STAMPED)
    retype(postgres, "changed", "text")
    before = versions(warehouse)
    with pytest.raises(ConfigError, match=r"crm\.yaml: .*changed.* text") as raised:
        load(warehouse, STAMPED, run_id="r2")
    assert "operator does not exist" not in str(raised.value)
    assert versions(warehouse) == before
