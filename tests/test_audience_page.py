"""Audiences as files from the Portrait page: who may have them, and what is in them."""

import io

import psycopg
import pyarrow.parquet as pq
import pytest

from tests.faults.scene import postgres_url
from tests.marts.test_audiences import audience, filled
from tests.test_page import airflow

__all__ = ["airflow"]


@pytest.fixture
def db(warehouse_url, monkeypatch):
    """A warehouse with nine customers on the list fans."""
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", postgres_url(warehouse_url))
    with psycopg.connect(warehouse_url, autocommit=True) as db:
        filled(db, {n: {} for n in range(1, 10)}, audience("true", control_share=0.5))
        yield db


@pytest.fixture
def visit(airflow):
    """``visit(path, role=None)``: the answer to vera with that role, None being nobody."""
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
    from airflow.api_fastapi.core_api.security import get_user
    from fastapi import FastAPI
    from fastapi.testclient import TestClient

    from plugins.portrait.audiences import ROUTER

    def visit(path, role=None):
        app = FastAPI()
        app.include_router(ROUTER)
        if role:
            user = SimpleAuthManagerUser(username="vera", role=role)
            app.dependency_overrides[get_user] = lambda: user
        return TestClient(app).get(path)

    return visit


def logged(db) -> list[tuple]:
    return db.execute(
        "SELECT audience, split_group, rows, format, exported_by FROM ops.audience_export"
    ).fetchall()


def test_who_may_publish_gets_whom_to_contact(visit, db):
    answer = visit("/audiences/fans.csv", "user")
    treatment = db.execute(
        "SELECT customer_id FROM bi.audience_member WHERE split_group = 'treatment' ORDER BY 1"
    ).fetchall()
    assert answer.status_code == 200
    assert answer.text == "customer_id,split_group,since,records\n" + "".join(
        f"{customer},treatment,2026-03-01,\n" for (customer,) in treatment
    )
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="fans-treatment.csv"'
    assert answer.headers["cache-control"] == "no-store"
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert logged(db) == [("fans", "treatment", len(treatment), "csv", "page, vera")]


def test_the_other_groups_are_given_when_asked_for(visit, db):
    answer = visit("/audiences/fans.parquet?group=all", "user")
    table = pq.read_table(io.BytesIO(answer.content))
    assert table.column("customer_id").to_pylist() == list(range(1, 10))
    assert answer.headers["content-disposition"] == 'attachment; filename="fans-all.parquet"'
    assert logged(db) == [("fans", "all", 9, "parquet", "page, vera")]


@pytest.mark.parametrize(("role", "status"), [(None, 401), ("viewer", 403)])
def test_nobody_else_gets_a_customer(visit, db, role, status):
    answer = visit("/audiences/fans.csv", role)
    assert answer.status_code == status
    assert "2026" not in answer.text
    assert logged(db) == []


@pytest.mark.parametrize(
    ("path", "status"),
    [("fan.csv", 404), ("fans.xlsx", 422), ("fans.csv?group=both", 422), ("..%2Ffans.csv", 404)],
)
def test_what_is_not_there_is_said(visit, db, path, status):
    assert visit(f"/audiences/{path}", "user").status_code == status
    assert logged(db) == []


def test_a_warehouse_that_does_not_answer_is_named(visit, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", "postgres://nobody:secret@127.0.0.1:1/none")
    answer = visit("/audiences/fans.csv", "user")
    assert answer.status_code == 503
    assert "127.0.0.1:1/none" in answer.json()["detail"]
    assert "secret" not in answer.text
