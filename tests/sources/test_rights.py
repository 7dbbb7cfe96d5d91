"""An account that may read the tables named in docs/crms.md, and nothing else, is enough."""

import os
import re
import secrets
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.sources import crm

PAGE = (Path(__file__).parents[2] / "docs" / "crms.md").read_text()


def tables(product: str) -> list[str]:
    """The tables that the page names for a product: those of its second row."""
    rows = re.findall(rf"^\| `{product}` \| (.*) \|$", PAGE, re.MULTILINE)
    return re.findall(r"`(\w+)`", rows[1])


def as_reader(monkeypatch, product: str, reader: str) -> None:
    """The product's connection, under another account."""
    variable = f"AIRFLOW_CONN_{product.upper()}"
    there = urlsplit(os.environ[variable])
    place = f"{there.hostname}:{there.port}{there.path}"
    monkeypatch.setenv(variable, f"{there.scheme}://{reader}:{reader}@{place}")


@pytest.mark.parametrize("product", ["suitecrm", "vtiger", "woocommerce", "espocrm"])
def test_the_tables_on_the_page_are_enough_in_mariadb(product, mariadb, warehouse, monkeypatch):
    crm.create(mariadb, product)
    reader = f"portrait_{secrets.token_hex(6)}"
    mariadb.execute(f"CREATE USER {reader} IDENTIFIED BY '{reader}'")
    try:
        for table in tables(product):
            mariadb.execute(f"GRANT SELECT ON `{table}` TO {reader}")
        as_reader(monkeypatch, product, reader)
        constant = {"suitecrm": {"product": (1, 0, 0, 0)}, "espocrm": {"product": (1, 0, 0, 0)}}
        assert crm.load(product, warehouse) == constant.get(product, {})
    finally:
        mariadb.execute(f"DROP USER {reader}")


def test_the_tables_on_the_page_are_enough_in_postgresql(postgres, warehouse, monkeypatch):
    crm.create(postgres, "odoo")
    reader = f"portrait_{secrets.token_hex(6)}"
    postgres.execute(f"CREATE ROLE {reader} LOGIN PASSWORD '{reader}'")
    try:
        for table in tables("odoo"):
            postgres.execute(f"GRANT SELECT ON {table} TO {reader}")
        as_reader(monkeypatch, "odoo", reader)
        assert crm.load("odoo", warehouse) == {}
    finally:
        postgres.execute(f"DROP OWNED BY {reader}")
        postgres.execute(f"DROP ROLE {reader}")
