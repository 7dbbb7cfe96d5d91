"""The generated CRM: who is who is known, and matching it must come close to what is possible."""

import json
from datetime import date

import pandas as pd
import psycopg
import pytest

from include import identity, landing, sources
from include.local import crm
from tests.flow.conftest import nothing_set


def _pairs(sizes: pd.Series) -> int:
    return int((sizes * (sizes - 1) // 2).sum())


@pytest.mark.slow
def test_the_planted_people_are_found(postgres_url, empty_database, warehouse_url, tmp_path):
    with psycopg.connect(empty_database) as shop:
        crm.generate(
            shop, tmp_path / "support.sqlite", customers=10_000, days=90,
            last_day=date(2026, 2, 28), truth=tmp_path / "truth.json",
        )  # fmt: skip
        address = f"{postgres_url.rpartition('/')[0]}/{shop.info.dbname}"
    settings = {
        "AIRFLOW_CONN_SHOP": address,
        "AIRFLOW_CONN_SUPPORT": f"sqlite:///{tmp_path / 'support.sqlite'}",
        "PORTRAIT_DOMAIN": "retail",
    }
    with nothing_set(**settings), psycopg.connect(warehouse_url, autocommit=True) as db:
        for source in map(sources.load, sources.switched_on()):
            landing.load(source, "customer", db, run_id="r")
        identity.resolve(db, run_id="r")
        rows = db.execute("SELECT source, source_id, customer_id FROM core.identity").fetchall()
    truth = pd.read_parquet(tmp_path / "truth.record.parquet")
    bound = json.loads((tmp_path / "truth.json").read_text())["bounds"]["match_recall"]
    found = pd.DataFrame(rows, columns=["source", "source_id", "customer"])
    found = found.merge(truth, on=["source", "source_id"])
    right = _pairs(found.groupby(["customer", "person"]).size())
    precision = right / _pairs(found.groupby("customer").size())
    recall = right / _pairs(found.groupby("person").size())
    assert (precision >= 0.99, recall >= 0.95 * bound) == (True, True), (precision, recall / bound)
