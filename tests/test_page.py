"""The Portrait page: who may read it, and what it says of the warehouse."""

import re
import subprocess
import sys
from datetime import date
from urllib.parse import quote

import psycopg
import pytest

from include import connections
from tests import airflow_home
from tests.faults.scene import postgres_url

TABLES = """
CREATE SCHEMA bi;
CREATE TABLE bi.freshness (generation bigint, as_of date, published_at timestamptz,
    data_to timestamptz, stale_reason text);
CREATE TABLE bi.segment (generation bigint, as_of date, segment_key text, name text, rule text,
    customers bigint, customer_share float8, revenue_share float8, suggested_action text);
CREATE TABLE bi.model_run (model text, model_version text, run_id text, as_of date,
    recorded_at timestamptz, champion boolean, decision text, reason text);
CREATE TABLE bi.model_readiness (model text, requirement text, run_id text, as_of date,
    recorded_at timestamptz, needed float8, found float8, gap float8);
CREATE TABLE bi.pipeline_run (run_id text, as_of date, recorded_at timestamptz, dag text,
    status text, rows_in bigint, rows_out bigint, rows_quarantined bigint, published boolean,
    stale_reason text, message text, rows_per_second float8, lag_seconds float8,
    rows_reconciled bigint);
CREATE TABLE bi.load (run_id text, ranges_differing int);
CREATE TABLE bi.quality_result (run_id text, table_name text, source text, "check" text,
    recorded_at timestamptz, passed boolean, observed text, failing_rows bigint, severity text);
CREATE TABLE bi.quarantine_count (source text, entity text, "check" text, "column" text,
    reason text, rows bigint, last_recorded_at timestamptz);
CREATE TABLE bi.recommended_product (list text, product_id text, product_name text,
    customers bigint, first_place_customers bigint);
CREATE TABLE bi.metric (name text);
CREATE TABLE bi.kpi (as_of date, metric text, label text, unit text, value float8, change float8,
    previous_as_of date);
CREATE TABLE bi.audience (audience text, label text, description text, members bigint,
    treatment bigint, control bigint, without_consent bigint, problem text);
"""
PUBLISHED = """
INSERT INTO bi.freshness VALUES (7, '2026-03-01', '2026-03-01 03:20+00', '2026-02-28 22:15+00',
    'shop sends nothing since 2026-02-28');
INSERT INTO bi.segment VALUES
    (7, '2026-03-01', 'loyal', 'Loyal', 'buy often', 300, .3, .7, 'Reward'),
    (7, '2026-03-01', 'once', '<b>Once</b>', 'bought once', 700, .7, .3, NULL);
INSERT INTO bi.model_run VALUES
    ('churn', 'churn-1', 'r', '2026-02-01', '2026-02-01', true, 'promoted', 'beats the baseline'),
    ('churn', 'churn-2', 'r', '2026-03-01', '2026-03-01', false, 'kept', 'no better');
INSERT INTO bi.model_readiness VALUES
    ('purchase', 'days of history', 'r', '2026-02-01', '2026-02-01', 180, 60, 120),
    ('purchase', 'days of history', 'r', '2026-03-01', '2026-03-01', 180, 90, 90),
    ('purchase', 'customers', 'r', '2026-03-01', '2026-03-01', 100, 900, 0);
INSERT INTO bi.pipeline_run VALUES ('publish/1', '2026-03-01', '2026-03-01 03:20+00', 'publish',
    'success', 10, 1000, 2, true, NULL, NULL, NULL, NULL, NULL);
INSERT INTO bi.quality_result VALUES
    ('r1', 'landing.product', 'shop', 'rows', '2026-02-01', false, '0', 5, 'error'),
    ('r2', 'landing.product', 'shop', 'rows', '2026-03-01', true, '9', 0, 'error');
INSERT INTO bi.quarantine_count VALUES
    ('shop', 'order_line', 'range', 'quantity', 'quantity is outside', 3, '2026-03-01'),
    ('shop', 'order_line', 'required', 'ordered_at', 'ordered_at is empty', 9, '2026-02-01');
INSERT INTO bi.recommended_product VALUES ('explore', 'shop:1', 'Teapot', 2, 1),
    ('repeat', 'shop:2', 'Cup', 9, 9);
INSERT INTO bi.metric VALUES ('revenue'), ('repeat_rate');
INSERT INTO bi.kpi VALUES
    ('2026-02-28', 'revenue', 'Revenue', 'money', 1000, NULL, NULL),
    ('2026-03-01', 'repeat_rate', 'Repeat rate', 'share', .25, NULL, NULL),
    ('2026-03-01', 'revenue', 'Revenue', 'money', 1234.5, .2345, '2026-02-28');
INSERT INTO bi.audience VALUES ('vip', 'Best customers', 'who spend most', 100, 90, 10, 7, NULL);
"""
LOADED = """
INSERT INTO bi.pipeline_run (run_id, dag, status, recorded_at, message, rows_in, rows_per_second,
    lag_seconds, rows_reconciled) VALUES
    ('a', 'ingest_shop', 'success', '2026-02-28 02:00+00', NULL, 999, 50, 5, NULL),
    ('b', 'ingest_shop', 'success', '2026-03-01 02:00+00', NULL, 12000, 4321.6, 420, NULL),
    ('c', 'ingest_shop', 'failed', '2026-03-02 02:00+00', 'shop: no connection', NULL, NULL, NULL,
     NULL),
    ('d', 'reconcile_shop', 'success', '2026-03-01 04:00+00', NULL, 40, 80, NULL, 7);
INSERT INTO bi.load VALUES ('d', 2), ('d', 1), ('b', NULL);
"""
DAGS = [  # name, file, and how Airflow sums up and describes its timetable
    ("ingest_shop", "ingest.py", "0 4 * * 0", "At 04:00, only on Sunday"),
    ("publish", "publish.py", "Asset", "Triggered by assets"),
    ("review", "operate.py", "None", "Never, external triggers only"),
    ("another", "another.py", None, None),
]


@pytest.fixture
def warehouse(empty_database, monkeypatch):
    """An empty warehouse, at the other end of the connection that the page opens."""
    with psycopg.connect(empty_database) as db:
        info = db.info
        login = f"{quote(info.user)}:{quote(info.password)}@" if info.password else f"{info.user}@"
        url = f"postgres://{login}{info.host}:{info.port}/{info.dbname}"
        monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", url)
        yield db


@pytest.fixture
def published(warehouse):
    warehouse.execute(TABLES)
    warehouse.execute(PUBLISHED)
    warehouse.commit()


@pytest.fixture
def airflow(monkeypatch):
    """Airflow's own auth manager, and metadata that hold four DAGs."""
    airflow_home.migrated()
    from airflow.api_fastapi.app import create_auth_manager
    from airflow.models.dag import DagModel
    from airflow.models.dagbundle import DagBundleModel
    from airflow.utils.session import create_session

    create_auth_manager()
    with create_session() as session:
        session.merge(DagBundleModel(name="portrait-test"))
        session.flush()
        for dag_id, file, timetable, described in DAGS:
            session.merge(
                DagModel(
                    dag_id=dag_id,
                    bundle_name="portrait-test",
                    relative_fileloc=file,
                    timetable_summary=timetable,
                    timetable_description=described,
                    is_stale=False,
                    is_paused=False,
                )
            )
    yield
    with create_session() as session:
        for dag_id, *_ in DAGS:
            session.delete(session.get(DagModel, dag_id))


@pytest.fixture
def visit(airflow):
    """``visit(path, role=None)``: the answer to a reader with that role, None being nobody."""
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
    from airflow.api_fastapi.core_api.security import get_user
    from fastapi.testclient import TestClient

    from plugins.portrait.page import build

    def visit(path, role=None):
        page = build()
        if role:
            user = SimpleAuthManagerUser(username="vera", role=role)
            page.dependency_overrides[get_user] = lambda: user
        return TestClient(page).get(path)

    return visit


def table(html, heading):
    """The rows of the table under a heading, as the texts of their cells."""
    found = html.partition(f"<h2>{heading}</h2>")[2].partition("</table>")[0]
    rows = [re.findall(r"<t[hd].*?>(.*?)</t[hd]>", row, re.S) for row in found.split("<tr")[1:]]
    return [[re.sub("<.*?>", "", cell).strip() for cell in row] for row in rows]


@pytest.mark.parametrize("path", ["/", "/api/summary"])
def test_nobody_reads_the_page_without_signing_in(visit, path):
    assert visit(path).status_code == 401


def test_a_forged_token_is_refused(visit, airflow):
    from fastapi.testclient import TestClient

    from plugins.portrait.page import build

    forged = {"Authorization": "Bearer e30.e30.e30"}
    assert TestClient(build()).get("/", headers=forged).status_code == 403


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json"])
def test_the_page_publishes_no_description_of_itself(visit, path):
    assert visit(path, "admin").status_code == 404


def test_the_summary_tells_what_is_published(visit, published):
    told = visit("/api/summary", "viewer").json()
    assert told.pop("dags") == [
        {
            "dag_id": "ingest_shop",
            "title": "ingest_shop",
            "purpose": "Copy what changed in a CRM",
            "schedule": "at 04:00, only on Sunday",
            "paused": False,
            "may_trigger": False,
        },
        {
            "dag_id": "publish",
            "title": "publish",
            "purpose": "Score everybody and switch BI over",
            "schedule": "when its inputs are new",
            "paused": False,
            "may_trigger": False,
        },
        {
            "dag_id": "review",
            "title": "review",
            "purpose": "Say whether two records are one person",
            "schedule": "by hand",
            "paused": False,
            "may_trigger": False,
        },
    ]
    assert {name: told[name] for name in ("generation", "as_of", "data_to", "stale_reason")} == {
        "generation": 7,
        "as_of": "2026-03-01",
        "data_to": "2026-02-28T22:15:00Z",
        "stale_reason": "shop sends nothing since 2026-02-28",
    }
    assert [(s["segment_key"], s["customers"]) for s in told["segments"]] == [
        ("loyal", 300),
        ("once", 700),
    ]
    assert [(m["model"], m["decision"], m["published"]) for m in told["models"]] == [
        ("churn", "kept", True)
    ]
    assert [(m["requirement"], m["needed"], m["found"]) for m in told["missing"]] == [
        ("days of history", 180, 90)
    ]
    assert [(c["check"], c["passed"]) for c in told["checks"]] == [("rows", True)]
    assert [(q["entity"], q["check"], q["rows"]) for q in told["quarantine"]] == [
        ("order_line", "required", 9),
        ("order_line", "range", 3),
    ]
    assert [(p["product_name"], p["customers"]) for p in told["products"]] == [("Teapot", 2)]
    assert [run["run_id"] for run in told["runs"]] == ["publish/1"]


def test_the_page_never_hides_that_data_are_stale(visit, published):
    html = visit("/", "viewer").text
    assert "Not fresh.</b> shop sends nothing since 2026-02-28" in html
    assert "2026-02-28 22:15" in html
    assert "generation 7" in html


def test_text_from_the_warehouse_is_shown_as_text(visit, published):
    html = visit("/", "viewer").text
    assert "<b>Once</b>" not in html
    assert "&lt;b&gt;Once&lt;/b&gt;" in html


@pytest.mark.parametrize(("role", "label"), [("viewer", "View"), ("user", "Trigger…")])
def test_a_dag_is_offered_for_starting_to_who_may_start_it(visit, published, role, label):
    html = visit("/", role).text
    assert html.count(f">{label}</a>") == 3
    assert 'href="../dags/publish"' in html


def test_an_empty_warehouse_says_what_to_run_first(visit, warehouse):
    answer = visit("/", "viewer")
    assert answer.status_code == 200
    assert "Nothing published yet" in answer.text
    assert "<code>ingest_shop</code>" in answer.text


def test_runs_are_shown_before_the_first_generation(visit, warehouse):
    warehouse.execute(TABLES)
    warehouse.execute(
        "INSERT INTO bi.pipeline_run (run_id, dag, status, recorded_at, message) "
        "VALUES ('ingest/1', 'ingest_shop', 'failed', %s, 'the source is gone')",
        [date(2026, 3, 1)],
    )
    warehouse.commit()
    html = visit("/", "viewer").text
    assert "Nothing published yet" in html
    assert "the source is gone" in html


def test_a_source_is_told_by_its_last_good_ingest_and_why_the_newest_failed(visit, published):
    with psycopg.connect(connections.address("warehouse").url) as db:
        db.execute(LOADED)
    (source,) = visit("/api/summary", "viewer").json()["sources"]
    assert source == {
        "source": "shop",
        "status": "failed",
        "message": "shop: no connection",
        "recorded_at": "2026-03-01T02:00:00Z",
        "rows_in": 12000,
        "rows_per_second": 4321.6,
        "lag_seconds": 420,
        "compared_at": "2026-03-01T04:00:00Z",
        "rows_reconciled": 7,
        "ranges_differing": 3,
    }
    html = visit("/", "viewer").text
    assert "<small>shop: no connection</small>" in html
    assert '<td class="number">7 min</td>' in html


def test_before_the_new_columns_are_deployed_the_page_does_without(visit, warehouse):
    warehouse.execute(TABLES)
    warehouse.execute("ALTER TABLE bi.pipeline_run DROP COLUMN rows_per_second")
    warehouse.commit()
    told = visit("/api/summary", "viewer").json()
    assert (told["sources"], told["runs"]) == ([], [])


@pytest.fixture
def doubtful(warehouse_url, monkeypatch):
    """A warehouse as deployed; ``doubtful(...)`` puts pairs of ops.identity_review into it."""
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", postgres_url(warehouse_url))

    def put(*pairs):
        with psycopg.connect(warehouse_url) as db, db.cursor() as cursor:
            cursor.executemany(
                """INSERT INTO ops.identity_review (source, source_id, other_source,
                       other_source_id, probability, weights, status, found_at)
                   VALUES (%s, %s, %s, %s, %s, %s, %s, '2026-03-01')""",
                pairs,
            )

    return put


EVIDENCE = '{"given": 0, "family": 9.31, "city": 0.58, "phone": -3.3, "street": 0.04, "email": -1}'
ONE = '{"postal_code": 2}'


def test_the_doubtful_pairs_are_shown_likeliest_first_with_what_speaks_for_either(visit, doubtful):
    doubtful(
        ("shop", "c-1", "support", "S-1", 0.61, ONE, "open"),
        ("shop", "c-2", "shop", "c-3", 0.875, EVIDENCE, "open"),
        ("shop", "c-4", "shop", "c-5", 0.7, ONE, "confirmed"),
    )
    assert table(visit("/", "user").text, "One person or two?") == [
        ["Record", "Other record", "Likely one", "For one person", "For two"],
        ["shop:c-2", "shop:c-3", "87.5%", "last name +9.3, city +0.6", "phone −3.3, email −1.0"],
        ["shop:c-1", "support:S-1", "61.0%", "postal code +2.0", "–"],
    ]


def test_an_operator_is_told_how_to_answer_and_where(visit, doubtful):
    doubtful(("shop", "c-1", "shop", "c-2", 0.61, ONE, "open"))
    section = visit("/", "user").text.partition("One person or two?")[2].partition("</section>")[0]
    for said in (
        "1 pair of records waits for an answer",
        "choose <i>one person</i> or <i>two people</i>",
        'target="_top" href="../dags/review">Open the form…</a>',
        "The next run of <code>profile</code> acts on it",
    ):
        assert said in section


def test_of_many_pairs_the_likeliest_are_shown_and_all_are_counted(visit, doubtful):
    doubtful(*(("shop", f"c-{n}", "till", "1", n / 100, ONE, "open") for n in range(50, 80)))
    html = visit("/", "user").text
    assert "30 pairs of records wait for an answer" in html
    assert "The 8 likeliest:" in html
    assert [row[2] for row in table(html, "One person or two?")[1:]][::7] == ["79.0%", "72.0%"]


def test_nothing_is_asked_where_no_pair_waits(visit, doubtful):
    doubtful(("shop", "c-1", "shop", "c-2", 0.7, ONE, "split"))
    assert "One person or two?" not in visit("/", "user").text


def test_who_may_not_answer_is_not_asked(visit, doubtful):
    doubtful(("shop", "c-1", "shop", "c-2", 0.61, ONE, "open"))
    assert "One person or two?" not in visit("/", "viewer").text
    assert visit("/api/summary", "viewer").json()["pairs"] == []
    assert [p["record"] for p in visit("/api/summary", "user").json()["pairs"]] == ["shop:c-1"]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(None, "–"), (0, "0 s"), (119, "119 s"), (420, "7 min"), (7200, "2 h"), (90000, "25 h")],
)
def test_a_lag_is_told_in_the_unit_that_fits(airflow, seconds, said):
    from plugins.portrait.page import duration

    assert duration(seconds) == said


def test_a_warehouse_that_does_not_answer_is_named_and_the_dags_stay(visit, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", "postgres://nobody:secret@127.0.0.1:1/none")
    answer = visit("/", "user")
    assert answer.status_code == 503
    assert "127.0.0.1:1/none" in answer.text
    assert "secret" not in answer.text
    assert 'href="../dags/publish"' in answer.text
    assert visit("/api/summary", "user").status_code == 503


def test_the_page_needs_nothing_from_elsewhere(visit, published):
    html = visit("/", "viewer").text
    assert [word for word in ("http:", "https:", "src=", "@import") if word in html] == []


IMPORTED = """
import sys, runpy
from airflow.plugins_manager import AirflowPlugin
before = set(sys.modules)
module = runpy.run_path("plugins/portrait_page.py")
print(sorted({name.split(".")[0] for name in set(sys.modules) - before}))
print([app["url_prefix"] for app in module["Portrait"].fastapi_apps])
"""


def test_loading_the_plugin_imports_nothing_of_the_page(tmp_path, monkeypatch):
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-2:] == ["[]", "['/portrait']"]


def test_every_question_fits_the_views_of_the_contracts(warehouse_url):
    from plugins.portrait import summary

    with psycopg.connect(warehouse_url) as db:
        told = summary.read(db)
    assert told["generation"] is None
    assert [told[name] for name in summary.QUERIES] == [[]] * len(summary.QUERIES)
