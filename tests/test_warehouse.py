"""Contracts into tables."""

from dataclasses import replace

import psycopg
import pytest

from include import contracts
from include.errors import ContractError


def test_deploying_twice_changes_nothing(warehouse):
    from include import warehouse as house

    assert house.deploy(warehouse) is False


@pytest.mark.parametrize("table", contracts.all_tables(), ids=lambda table: table.full_name)
def test_the_real_table_agrees_with_its_contract(table, warehouse):
    real = warehouse.execute(
        """SELECT column_name, is_nullable = 'NO', col_description(%s::regclass, ordinal_position)
           FROM information_schema.columns WHERE table_schema = %s AND table_name = %s
           ORDER BY ordinal_position""",
        [table.full_name, table.schema, table.name],
    ).fetchall()
    if table.storage == "view":
        assert sorted(name for name, *_ in real) == sorted(c.name for c in table.columns)
    else:
        assert [(n, required) for n, required, _ in real] == [
            (column.name, column.required) for column in table.columns
        ]
    assert all(comment for *_, comment in real)


def test_a_column_gone_from_its_contract_is_refused_by_name(warehouse):
    from include import warehouse as house

    warehouse.execute("ALTER TABLE ops.watermark ADD COLUMN by_hand int")
    warehouse.execute("DELETE FROM ops.deployment")
    with pytest.raises(ContractError, match=r"ops\.watermark\.by_hand is in the warehouse but not"):
        house.deploy(warehouse)


def test_a_column_new_in_a_contract_is_added_at_the_end(warehouse):
    from include import warehouse as house

    warehouse.execute("ALTER TABLE mart.segment DROP COLUMN suggested_action CASCADE")
    warehouse.execute("DELETE FROM ops.deployment")
    assert house.deploy(warehouse) is True
    assert "suggested_action" in [
        column.name for column in warehouse.execute("SELECT * FROM bi.segment").description
    ]


def test_a_column_new_in_the_middle_of_a_contract_reaches_a_filled_table_and_its_view(warehouse):
    from include import warehouse as house

    curve = contracts.load("ops.segment_curve")
    warehouse.execute(
        """INSERT INTO ops.segment_curve (model_version, k, run_id, as_of, recorded_at, inertia,
           elbow, chosen) VALUES ('segment-1', 3, 'r', '2026-03-01', now(), 1, true, true)"""
    )
    before = [column.name for column in curve.columns]
    new = contracts.Column("purity", "integer", "How pure a segment is.", required=True)
    longer = replace(curve, columns=(*curve.columns[:3], new, *curve.columns[3:]))
    house.deploy_table(warehouse, longer)
    house.deploy_view(warehouse, longer)
    shown = warehouse.execute("SELECT * FROM bi.segment_curve")
    assert [column.name for column in shown.description] == [*before, "purity"]
    assert shown.fetchone()[-1] is None


def test_the_readers_role_reads_bi_and_nothing_else(warehouse):
    for schema in ("landing", "core", "mart", "ops"):
        assert warehouse.execute(
            "SELECT has_schema_privilege('bi_reader', %s, 'USAGE')", [schema]
        ).fetchone() == (False,)
    warehouse.execute("SET ROLE bi_reader")
    assert warehouse.execute("SELECT count(*) FROM bi.segment").fetchone() == (0,)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        warehouse.execute("SELECT count(*) FROM landing.customer")
