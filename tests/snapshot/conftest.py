"""A warehouse with one small company in it: two sources, some of every entity."""

import psycopg
import pytest

from include import identity
from include.snapshot.schema import SCHEMA

RUN = "now(), 'ingest'"
ROWS = {
    "customer": f"""(source, source_id, landed_at, run_id, first_name, last_name, full_name, email,
            phone, birth_date, street, postal_code, city, country, signup_at, deleted_at) VALUES
        ('shop', '1', {RUN}, 'Ada', 'Lovelace', NULL, 'ada@mail.test', '0170 1234567', '1980-05-06',
            '12 Engine Row', 'N1 9GU', 'London', 'UK', '2025-12-31 23:30Z', NULL),
        ('support', 'x', {RUN}, NULL, NULL, 'Ada Lovelace', 'ADA@mail.test', NULL, NULL, NULL, NULL,
            NULL, NULL, NULL, NULL),
        ('shop', '2', {RUN}, 'Kain', 'Evans', NULL, 'kain@mail.test', '0170 7654321', NULL, NULL,
            NULL, NULL, NULL, NULL, now())""",
    "product": f"""(source, source_id, landed_at, run_id, name, description, price,
            is_product) VALUES
        ('shop', 'P', {RUN}, 'Pen', E'blue,\\n"fine"', 1.25, NULL),
        ('shop', 'POST', {RUN}, 'Postage', '', 3, false)""",
    "customer_order": f"""(source, source_id, landed_at, run_id, customer_source_id, ordered_at,
            status, total) VALUES
        ('shop', 'o1', {RUN}, '1', '2026-02-01 23:30Z', 'paid', 5.5),
        ('shop', 'o2', {RUN}, '1', '2026-02-02 10:00Z', 'cancelled', 9),
        ('shop', 'o3', {RUN}, NULL, '2026-02-03 10:00Z', NULL, 7)""",
    "order_line": f"""(source, source_id, landed_at, run_id, order_source_id, customer_source_id,
            product_source_id, line_no, ordered_at, quantity, unit_price, discount,
            deleted_at) VALUES
        ('shop', 'l1', {RUN}, 'o1', NULL, 'P', 1, '2026-02-01 23:30:00.25Z', 2, 1.25, 0.5, NULL),
        ('shop', 'l2', {RUN}, 'o1', NULL, 'POST', 2, '2026-02-01 23:30Z', -1, 3, NULL, NULL),
        ('shop', 'l3', {RUN}, 'o1', NULL, 'P', 3, '2026-02-01 23:30Z', 1, 1.25, NULL, now()),
        ('shop', 'l4', {RUN}, 'o2', NULL, 'P', 1, '2026-02-02 10:00Z', 9, 1, NULL, NULL),
        ('shop', 'l5', {RUN}, 'gone', '1', 'unknown', 1, '2026-02-03 10:00Z', 1, 7, NULL, NULL),
        ('shop', 'l6', {RUN}, 'o3', NULL, 'P', 1, '2026-02-03 10:00Z', 1, 7, NULL, NULL)""",
    "interaction": f"""(source, source_id, landed_at, run_id, customer_source_id, happened_at, kind)
        VALUES ('shop', 'v1', {RUN}, '1', '2026-02-01 10:00Z', 'visit')""",
    "ticket": f"""(source, source_id, landed_at, run_id, customer_source_id, opened_at, reopened,
            subject, body) VALUES
        ('support', 't1', {RUN}, 'x', '2026-02-05 10:00Z', 1, 'Lovelace', 'call 0170 1234567')""",
    "feedback": f"""(source, source_id, landed_at, run_id, customer_source_id, product_source_id,
            given_at, rating, text) VALUES
        ('support', 'f1', {RUN}, 'x', 'P', '2026-02-06 10:00Z', 4.5, 'ada@mail.test liked it')""",
    "consent": f"""(source, source_id, landed_at, run_id, customer_source_id, purpose, granted,
            given_at) VALUES
        ('support', 'c1', {RUN}, 'x', 'marketing', true, '2026-01-01 10:00Z')""",
}


@pytest.fixture
def empty_company(warehouse):
    """The warehouse with landing tables that take any source."""
    for entity in SCHEMA:
        warehouse.execute(
            f"CREATE TABLE landing.{entity}_any PARTITION OF landing.{entity} DEFAULT"
        )
    warehouse.commit()
    return warehouse


@pytest.fixture
def company(empty_company) -> psycopg.Connection:
    """Ada, who is two records, and what she did."""
    for entity, rows in ROWS.items():
        empty_company.execute(f"INSERT INTO landing.{entity} {rows}")
    identity.resolve(empty_company, run_id="r")
    empty_company.commit()
    return empty_company
