"""Table rules of a contract, run by Great Expectations against real tables."""

import psycopg
import pytest

from include import contracts, quality
from include.errors import QualityError


@pytest.fixture
def orders(warehouse_url, monkeypatch):
    """The warehouse with two order lines, one of an order that never landed."""
    parts = psycopg.conninfo.conninfo_to_dict(warehouse_url)
    login = f"{parts['user']}:{parts.get('password', '')}@{parts['host']}:{parts['port']}"
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", f"postgres://{login}/{parts['dbname']}")
    with psycopg.connect(warehouse_url, autocommit=True) as db:
        for entity in ("customer_order", "order_line"):
            db.execute(
                f"CREATE TABLE landing.{entity}__crm PARTITION OF landing.{entity}"
                " FOR VALUES IN ('crm')"
            )
        db.execute(
            """INSERT INTO landing.customer_order (source, source_id, landed_at, run_id, ordered_at)
               VALUES ('crm', 'o1', now(), 'r', '2026-01-01')"""
        )
        db.execute(
            """INSERT INTO landing.order_line (source, source_id, landed_at, run_id,
                   order_source_id, product_source_id, ordered_at, quantity, unit_price)
               SELECT 'crm', o || '-1', now(), 'r', o, 'p', '2026-01-01', 1, 1
               FROM (VALUES ('o1'), ('o2')) AS v (o)"""
        )
        yield db


def test_a_broken_reference_is_counted_and_shown_as_a_warning(orders):
    quality.check(orders, [("landing.order_line", "landing.order_line__crm")], run_id="r")
    assert orders.execute(
        'SELECT "check", passed, failing_rows, severity FROM bi.quality_result ORDER BY 1'
    ).fetchall() == [
        ("every line belongs to an order of its source", False, 1, "warning"),
        ("every line names a known product", False, 2, "warning"),
    ]


def test_a_broken_rule_of_severity_error_stops_the_run_after_it_was_written(orders, monkeypatch):
    table = contracts.load("landing.order_line")
    strict = ({**table.checks[0], "severity": "error"},)
    monkeypatch.setattr(
        contracts, "load", lambda _: contracts.Table(**{**vars(table), "checks": strict})
    )
    with pytest.raises(QualityError, match="every line belongs to an order of its source"):
        quality.check(orders, [("landing.order_line", "landing.order_line__crm")], run_id="r")
    assert orders.execute("SELECT passed FROM bi.quality_result").fetchall() == [(False,)]
