"""A real shop's file, landed by the same code as any source: nothing of it is lost or rounded."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

import pandas as pd
import psycopg
import pyarrow.parquet as pq
import pytest

from include import identity, landing, snapshot, sources
from include.local import retail_file
from include.profile import frame
from tests.conftest import ROOT
from tests.flow.conftest import copy_database, nothing_set

FILE = ROOT.parent / "shared" / "data" / "online_retail" / "online_retail.parquet"
REVENUE = Decimal("6013039.542")
CANCELLED_LINES = 6031
LAST, MIDDLE = date(2011, 12, 10), date(2011, 7, 1)


@dataclass(frozen=True)
class RealShop:
    db: psycopg.Connection
    lines: pd.DataFrame  # the file as it is
    profiles: dict[date, pd.DataFrame]
    settings: dict[str, str]


@pytest.fixture(scope="module")
def real(postgres_url, deployed_template, tmp_path_factory):
    """The file in the CRM, the CRM in landing, and the profiles of two days."""
    if not FILE.exists():
        pytest.skip("no ../shared/data/online_retail beside this checkout")
    folder = tmp_path_factory.mktemp("real")
    names = [copy_database(postgres_url, name) for name in ("template1", deployed_template)]
    shop, target = (psycopg.conninfo.make_conninfo(postgres_url, dbname=name) for name in names)
    with psycopg.connect(shop) as db:
        retail_file.load(FILE, db, folder / "support.sqlite")
    settings = {
        "AIRFLOW_CONN_SHOP": f"{postgres_url.rpartition('/')[0]}/{names[0]}",
        "AIRFLOW_CONN_SUPPORT": f"sqlite:///{folder / 'support.sqlite'}",
        "PORTRAIT_DOMAIN": "british_gifts",
    }
    with nothing_set(**settings), psycopg.connect(target, autocommit=True) as db:
        for source in map(sources.load, sources.switched_on()):
            for entity in source.entities:
                landing.load(source, entity, db, run_id="real")
        identity.resolve(db, run_id="real")
        taken = snapshot.take(db, folder / "snapshots", run_id="real")
        profiles = {day: frame(taken, day) for day in (MIDDLE, LAST)}
        yield RealShop(db, pq.read_table(FILE).to_pandas(), profiles, settings)


def landed_and_set_aside(real: RealShop, source: str, entity: str) -> int:
    query = f"""SELECT (SELECT count(*) FROM landing.{entity} WHERE source = %(source)s)
        + (SELECT count(*) FROM ops.quarantine WHERE source = %(source)s AND entity = %(entity)s)"""
    values = {"source": source, "entity": entity}
    return real.db.execute(query.encode(), values).fetchone()[0]


def test_every_row_of_the_file_has_landed_or_is_set_aside(real):
    invoices, lines = real.lines["InvoiceNo"].astype(str), real.lines
    cancelled = invoices.str.startswith("C")
    expected = {
        ("shop", "order_line"): len(lines),
        ("shop", "customer_order"): invoices.nunique(),
        ("shop", "customer"): lines["CustomerID"].nunique(),
        ("shop", "product"): lines["StockCode"].astype(str).nunique(),
        ("support", "ticket"): invoices[cancelled].nunique(),
        ("support", "customer"): lines.loc[cancelled, "CustomerID"].nunique(),
    }
    assert {key: landed_and_set_aside(real, *key) for key in expected} == expected


def test_prices_keep_every_digit(real):
    query = "SELECT sum(quantity * unit_price) FROM landing.order_line"
    assert real.db.execute(query).fetchone() == (REVENUE,)


def test_lines_of_cancelled_invoices_land_as_they_are(real):
    query = "SELECT count(*), max(quantity) FROM landing.order_line WHERE order_source_id LIKE 'C%'"
    lines, most = real.db.execute(query.encode()).fetchone()
    assert lines == CANCELLED_LINES
    assert most < 0


@pytest.mark.parametrize("day", [MIDDLE, LAST])
def test_every_customer_with_an_order_before_the_day_has_a_profile(real, day):
    moments = pd.to_datetime(real.lines["InvoiceDate"])
    before = real.lines[moments < datetime.combine(day, datetime.min.time())]
    identified = {str(int(number)) for number in before["CustomerID"].dropna()}
    query = "SELECT source_id, customer_id FROM core.identity WHERE source = 'shop'"
    people = dict(real.db.execute(query).fetchall())
    assert len(identified) > 2000
    assert {people[number] for number in identified} <= set(real.profiles[day].index)


@pytest.mark.slow
def test_every_view_has_rows_or_says_why_not(real, place):
    there = place(filled=False)
    answer = there.run(**real.settings)
    assert (answer.status, answer.err) == (0, "")
    views = there.rows("SELECT viewname::text FROM pg_views WHERE schemaname = 'bi'")
    empty = {view for (view,) in views if not there.rows(f"SELECT 1 FROM bi.{view} LIMIT 1")}
    assert empty <= {"quarantine"}  # nothing of the file was set aside
