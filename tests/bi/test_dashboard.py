"""The dashboard that is shipped, in a real Superset, over what two publishes made."""

import io
import json
import zipfile
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
import yaml

from bi import screenshot
from docs.screenshots import Command
from include.local import bi, postgres
from tests.bi.conftest import PUBLISHED
from tests.flow.conftest import Place

pytestmark = pytest.mark.bi

Dashboard = tuple[Path, bi.Login]


@pytest.fixture
def client(dashboard: Dashboard):
    """Signed in as the one who called `make bi`."""
    with bi.session(dashboard[1]) as client:
        yield client


def names(client: httpx.Client) -> dict[int, str]:
    """The number and the title of each chart."""
    charts = client.get("/api/v1/chart/", params={"q": "(page_size:100)"}).json()["result"]
    return {chart["id"]: chart["slice_name"] for chart in charts}


def exported(client: httpx.Client) -> dict[str, dict]:
    """All that Superset holds, as it exports it: file -> content, without the moment."""
    answer = client.get("/api/v1/assets/export/")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        files = {name.split("/", 1)[1]: archive.read(name) for name in archive.namelist()}
    return {name: yaml.safe_load(text) for name, text in files.items() if name != "metadata.yaml"}


def asked(client: httpx.Client, query: str) -> dict:
    """What SQL Lab answers."""
    database = client.get("/api/v1/database/").json()["result"][0]["id"]
    body = {"database_id": database, "sql": query, "runAsync": False, "schema": "bi"}
    return client.post("/api/v1/sqllab/execute/", json=body).json()


def test_every_chart_shows_rows_and_none_shows_an_error(
    dashboard: Dashboard, client: httpx.Client, tab: Command, tmp_path: Path
):
    screenshot.open_dashboard(tab, dashboard[1], charts=bi.charts())
    picture = tmp_path / "dashboard.png"
    screenshot.save(tab, picture)
    rows = {
        name: [query["rowcount"] for query in screenshot.answers(tab)[number]]
        for number, name in names(client).items()
    }
    assert screenshot.troubles(tab) == []
    assert len(rows) >= 10
    assert [name for name, counts in rows.items() if 0 in counts or not counts] == []
    assert rows["Segment sizes over time"] == [len(PUBLISHED)]
    assert picture.stat().st_size > 100_000  # an empty page has 20 kB


def test_a_filter_acts_on_the_charts_of_customers_and_on_no_other(
    dashboard: Dashboard, client: httpx.Client, tab: Command, filled: Place
):
    wanted, customers = filled.rows(
        """SELECT country, count(*) FROM bi.dim_customer WHERE country IS NOT NULL
           GROUP BY 1 ORDER BY 2 DESC LIMIT 1""",
        reader=True,
    )[0]
    chosen = (
        "(NATIVE_FILTER-country:(id:NATIVE_FILTER-country,ownState:(),"
        f"extraFormData:(filters:!((col:country,op:IN,val:!('{wanted}')))),"
        f"filterState:(label:'{wanted}',value:!('{wanted}'))))"
    )
    charts = bi.charts()
    screenshot.open_dashboard(
        tab, dashboard[1], charts=charts, query=f"&native_filters={quote(chosen)}"
    )
    told = {name: screenshot.answers(tab)[number] for number, name in names(client).items()}
    assert [row["country"] for row in told["Customers by country and segment"][0]["data"]] == [
        wanted
    ]
    shown = told["Customers by country and segment"][0]["data"][0]
    assert sum(value or 0 for name, value in shown.items() if name != "country") == customers
    assert len(told["Segment sizes over time"][0]["data"]) == len(PUBLISHED)


def test_a_second_import_changes_nothing(client: httpx.Client, filled: Place):
    warehouse = filled.server.url("warehouse", postgres.reader())
    bi.import_dashboard(client, warehouse)
    before = exported(client)
    bi.import_dashboard(client, warehouse)
    assert exported(client) == before
    kinds = [name.split("/")[0] for name in before]
    files = [path.parent.name for path in bi.DASHBOARD.rglob("*.yaml")]
    for kind in ("databases", "datasets", "charts", "dashboards"):
        assert kinds.count(kind) == files.count(kind)


def test_what_superset_exports_is_what_stands_in_the_files(client: httpx.Client, filled: Place):
    bi.import_dashboard(client, filled.server.url("warehouse", postgres.reader()))
    held = {content["uuid"]: content for content in exported(client).values()}
    for path in (bi.DASHBOARD / "charts").glob("*.yaml"):
        ours = yaml.safe_load(path.read_text())
        theirs = held[ours["uuid"]]
        assert {key: theirs["params"].get(key) for key in ours["params"]} == ours["params"]
        assert (theirs["slice_name"], theirs["description"]) == (
            ours["slice_name"],
            ours["description"],
        )


def test_it_reads_as_bi_reader(client: httpx.Client):
    answer = asked(client, "SHOW session_authorization")  # Superset refuses current_user
    assert answer["data"] == [{"session_authorization": postgres.reader()}]


@pytest.mark.parametrize("table", ["landing.customer", "core.identity", "mart.segment", "ops.load"])
def test_nothing_but_bi_can_be_read_through_it(client: httpx.Client, table: str):
    answer = asked(client, f"SELECT * FROM {table}")
    assert f"permission denied for schema {table.split('.')[0]}" in json.dumps(answer)


@pytest.mark.parametrize(
    "statement", ["CREATE TABLE bi.mine (a int)", "DELETE FROM bi.segment", "DROP VIEW bi.segment"]
)
def test_nothing_can_be_changed_through_it(client: httpx.Client, filled: Place, statement: str):
    assert "does not allow for DDL/DML" in json.dumps(asked(client, statement))
    assert filled.rows("SELECT count(*) > 0 FROM bi.segment", reader=True) == [(True,)]


def test_nobody_enters_without_the_password(dashboard: Dashboard):
    url = dashboard[1].url
    login = {"username": "admin", "password": "admin", "provider": "db"}
    assert httpx.post(f"{url}/api/v1/security/login", json=login).status_code == 401
    assert httpx.get(f"{url}/api/v1/chart/").status_code == 401


def test_the_browser_is_allowed_to_ask_nobody_outside(dashboard: Dashboard):
    policy = httpx.get(f"{dashboard[1].url}/login/").headers["Content-Security-Policy"]
    assert "http" not in policy
