"""Contracts into tables."""

import os
import re
import secrets
from collections.abc import Callable
from dataclasses import replace

import psycopg
import pytest

from include import contracts, ddl, locks, warehouse
from include.contracts import Column, Table
from include.errors import ContractError, ResourceError


@pytest.fixture
def db(warehouse_url):
    with psycopg.connect(warehouse_url, autocommit=True, options="-c timezone=UTC") as db:
        yield db


@pytest.fixture
def changed(monkeypatch) -> Callable[..., None]:
    """Puts contracts in the place of those of the same name, or beside the others."""

    def change(*tables: Table) -> None:
        by_name = {table.full_name: table for table in [*contracts.all_tables(), *tables]}
        monkeypatch.setattr(contracts, "all_tables", lambda: tuple(by_name.values()))

    return change


def with_column(full_name: str, column: Column, place: int | None = None) -> Table:
    table = contracts.load(full_name)
    columns = list(table.columns)
    columns.insert(len(columns) if place is None else place, column)
    return replace(table, columns=tuple(columns))


def without_column(full_name: str, column: str) -> Table:
    table = contracts.load(full_name)
    return replace(table, columns=tuple(c for c in table.columns if c.name != column))


def columns(db: psycopg.Connection, relation: str) -> list[str]:
    return [column.name for column in db.execute(f"SELECT * FROM {relation} LIMIT 0").description]


def made_of(db: psycopg.Connection) -> list[tuple]:
    """The row of the catalog behind every table, view, column, index and comment of ours."""
    return db.execute(
        """SELECT 'class', xmin, oid::text FROM pg_class WHERE relnamespace::regnamespace::text
               IN ('landing', 'core', 'mart', 'ops', 'bi')
           UNION ALL SELECT 'attribute', xmin, attrelid || '.' || attname FROM pg_attribute
           UNION ALL SELECT 'rule', xmin, oid::text FROM pg_rewrite
           UNION ALL SELECT 'comment', xmin, objoid || '.' || objsubid FROM pg_description
           UNION ALL SELECT 'schema', xmin, nspname FROM pg_namespace WHERE nspname !~ 'pg_.*temp'
           ORDER BY 1, 3"""
    ).fetchall()


def test_deploying_twice_changes_nothing(db):
    assert warehouse.deploy(db) is False


@pytest.mark.parametrize("table", contracts.all_tables(), ids=lambda table: table.full_name)
def test_the_real_table_agrees_with_its_contract(table, warehouse):
    real = warehouse.execute(
        """SELECT attname, attnotnull, format_type(atttypid, atttypmod),
                  col_description(attrelid, attnum)
           FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum""",
        [table.full_name],
    ).fetchall()
    said = [
        (column.name, column.required, ddl.SAME_TYPE.get(column.type, column.type))
        for column in (ddl.view_columns(table) if table.storage == "view" else table.columns)
    ]
    if table.storage == "view":  # which lets every column be null, as far as PostgreSQL knows
        said = [(column, False, kind) for column, _, kind in said]
    assert [(column, required, kind) for column, required, kind, _ in real] == said
    assert all(comment for *_, comment in real)


def test_what_is_as_it_should_be_is_not_touched(db, warehouse_url):
    db.execute("DELETE FROM ops.deployment")
    before = made_of(db)
    with psycopg.connect(warehouse_url) as report:
        for view, _ in ddl.views(contracts.all_tables()):
            report.execute(f"SELECT * FROM {view} LIMIT 1").fetchall()
        assert warehouse.deploy(db, patience_s=0) is True
    assert made_of(db) == before


def test_a_connection_is_handed_back_as_it_came(empty_database):
    with psycopg.connect(empty_database) as db:
        assert warehouse.deploy(db) is True
        assert (db.autocommit, db.info.transaction_status.name) == (False, "IDLE")
        assert db.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
        ).fetchone() == (0,)


def test_a_column_gone_from_its_contract_is_refused_by_name(db):
    db.execute("ALTER TABLE ops.watermark ADD COLUMN by_hand int")
    db.execute("DELETE FROM ops.deployment")
    with pytest.raises(ContractError) as refused:
        warehouse.deploy(db)
    assert str(refused.value) == (
        "ops.watermark.by_hand is in the warehouse but not in its contract: put it back "
        "(or upgrade this checkout, if it is the older one), or drop it by hand "
        "(ALTER TABLE ... DROP COLUMN ... CASCADE); nothing was changed"
    )


def test_whatever_would_lose_is_refused_before_anything_is_added(db, changed):
    changed(
        with_column("core.identity", Column("note", "text", "A note.")),
        without_column("mart.segment", "rule"),
    )
    with pytest.raises(ContractError, match=r"mart\.segment\.rule .*; 1 more like it; nothing was"):
        warehouse.deploy(db)
    assert "note" not in columns(db, "core.identity")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"columns": (Column("k", "bigint", "K.", True, key=1), Column("v", "text", "V."))},
            r"ops\.thing\.k is integer, its contract says bigint: add a column under another name",
        ),
        (
            {"columns": (Column("k", "integer", "K.", True), Column("v", "text", "V.", True, 1))},
            r"ops\.thing: its key is k, its contract says v: make a table under another name",
        ),
        ({"storage": "source"}, "its kind is a table in one piece, its contract says a table in"),
        (
            {
                "columns": (
                    Column("k", "integer", "K.", True, 1),
                    Column("v", "text", "V.", in_bi=False),
                )
            },
            r"bi\.thing\.v is in the warehouse but not in .* \(DROP VIEW bi\.thing CASCADE\)",
        ),
    ],
    ids=["another type", "another key", "another kind", "taken out of bi"],
)
def test_a_change_that_readers_or_rows_would_not_survive_is_refused(db, changed, change, message):
    changed(THING)
    warehouse.deploy(db)
    changed(replace(THING, **change))
    with pytest.raises(ContractError, match=message):
        warehouse.deploy(db)


def test_what_a_person_has_dropped_is_not_missed_and_its_view_is_made_anew(db, changed):
    changed(THING)
    warehouse.deploy(db)
    changed(replace(THING, columns=THING.columns[:1]))
    with pytest.raises(ContractError, match=r"ops\.thing\.v is in the warehouse but not in its"):
        warehouse.deploy(db)
    db.execute("ALTER TABLE ops.thing DROP COLUMN v CASCADE")
    assert warehouse.deploy(db) is True
    db.execute("SET ROLE bi_reader")
    assert columns(db, "bi.thing") == ["k"]


THING = Table(
    "ops",
    "thing",
    "A thing.",
    "k",
    "plain",
    "thing",
    None,
    "1.0.0",
    (Column("k", "integer", "K.", required=True, key=1), Column("v", "text", "V.")),
)


def test_a_column_new_in_a_contract_is_added_at_the_end_and_shown(db):
    db.execute("ALTER TABLE mart.segment DROP COLUMN suggested_action CASCADE")
    db.execute("DELETE FROM ops.deployment")
    assert warehouse.deploy(db) is True
    assert columns(db, "mart.segment")[-1] == "suggested_action"
    assert "suggested_action" in columns(db, "bi.segment")


def test_a_column_new_in_the_middle_of_a_contract_reaches_a_filled_table_and_its_view(db, changed):
    db.execute(
        """INSERT INTO ops.segment_curve (model_version, k, run_id, as_of, recorded_at, inertia,
           elbow, chosen) VALUES ('segment-1', 3, 'r', '2026-03-01', now(), 1, true, true)"""
    )
    before = columns(db, "bi.segment_curve")
    new = Column("purity", "integer", "How pure a segment is.", required=True)
    changed(with_column("ops.segment_curve", new, place=3))
    assert warehouse.deploy(db) is True
    assert columns(db, "bi.segment_curve") == [*before, "purity"]
    assert db.execute("SELECT * FROM bi.segment_curve").fetchone()[-1] is None
    assert warehouse.deploy(db) is False


def test_what_a_contract_no_longer_requires_may_be_null(db, changed):
    key, value = THING.columns
    changed(replace(THING, columns=(key, replace(value, required=True))))
    warehouse.deploy(db)
    with pytest.raises(psycopg.errors.NotNullViolation):
        db.execute("INSERT INTO ops.thing VALUES (1, NULL)")
    changed(THING)
    warehouse.deploy(db)
    db.execute("INSERT INTO ops.thing VALUES (1, NULL)")


def test_an_index_is_built_on_a_new_table_and_on_one_in_use(db, changed, warehouse_url):
    changed(replace(THING, indexes=(("v",),)))
    warehouse.deploy(db)
    changed(replace(THING, indexes=(("v",), ("v", "k"))))
    with psycopg.connect(warehouse_url) as report:
        report.execute("SELECT * FROM bi.thing").fetchall()
        warehouse.deploy(db, patience_s=0)
    assert db.execute(
        "SELECT indexname FROM pg_indexes WHERE tablename = 'thing' ORDER BY 1"
    ).fetchall() == [("thing_pkey",), ("thing_v_idx",), ("thing_v_k_idx",)]


def test_who_writes_to_a_table_that_needs_an_index_is_named(db, changed, warehouse_url):
    changed(THING)
    warehouse.deploy(db)
    changed(replace(THING, indexes=(("v",),)))
    with psycopg.connect(warehouse_url, application_name="loader") as writer:
        writer.execute("INSERT INTO ops.thing VALUES (1)")
        pid = writer.info.backend_pid
        with pytest.raises(ResourceError, match=rf"ops\.thing is in use by pid {pid} \(.*loader"):
            warehouse.deploy(db, patience_s=0)
    assert warehouse.deploy(db) is True


def test_a_report_is_named_also_to_a_role_that_may_not_see_since_when_it_reads(db, warehouse_url):
    with psycopg.connect(warehouse_url, application_name="Superset") as report:
        report.execute("SELECT * FROM bi.segment").fetchall()
        db.execute("SET ROLE bi_reader")
        (who,) = locks.holders(db, "bi.segment", "ACCESS EXCLUSIVE").values()
        pid = report.info.backend_pid
    assert re.fullmatch(rf"pid {pid} \(\w+, Superset, since before [0-9-]+ [0-9:]+ \+00\)", who)


def test_a_view_that_reads_another_comes_after_it(db, changed):
    def view(name: str, query: str) -> Table:
        columns = (Column("k", "integer", "K."),)
        return Table("bi", name, "A view.", "k", "view", None, query, "1.0.0", columns)

    first = view("aa_first", "SELECT k FROM bi.zz_second")
    second = view("zz_second", "SELECT 1 AS k")
    assert [name for name, _ in ddl.views([first, second])] == ["bi.zz_second", "bi.aa_first"]
    changed(first, second)
    warehouse.deploy(db)
    changed(view("zz_second", "SELECT 2 AS k"))
    warehouse.deploy(db)
    assert db.execute("SELECT k FROM bi.aa_first").fetchall() == [(2,)]


def test_the_readers_role_reads_bi_and_nothing_else(warehouse):
    for schema in ("landing", "core", "mart", "ops"):
        assert warehouse.execute(
            "SELECT has_schema_privilege('bi_reader', %s, 'USAGE')", [schema]
        ).fetchone() == (False,)
    warehouse.execute("SET ROLE bi_reader")
    assert warehouse.execute("SELECT count(*) FROM bi.segment").fetchone() == (0,)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        warehouse.execute("SELECT count(*) FROM landing.customer")


def test_a_role_that_was_missing_gets_its_rights_once_it_is_there(empty_database, monkeypatch):
    owner, reader = (f"portrait_{kind}_{secrets.token_hex(4)}" for kind in ("owner", "bi"))
    monkeypatch.setitem(os.environ, "PORTRAIT_BI_ROLE", reader)
    with psycopg.connect(empty_database, autocommit=True) as db:
        db.execute(f"CREATE ROLE {owner}")
        try:
            db.execute(f"GRANT CREATE, TEMPORARY ON DATABASE {db.info.dbname} TO {owner}")
            db.execute(f"SET ROLE {owner}")
            assert warehouse.deploy(db) is True
            db.execute("RESET ROLE")
            db.execute(f"CREATE ROLE {reader}")
            db.execute(f"SET ROLE {owner}")
            assert [warehouse.deploy(db), warehouse.deploy(db)] == [True, False]
            db.execute("RESET ROLE")
            assert db.execute(
                "SELECT has_table_privilege(%s, 'bi.segment', 'SELECT')", [reader]
            ).fetchone() == (True,)
        finally:
            db.execute("RESET ROLE")
            for role in (owner, reader):
                db.execute(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}")
