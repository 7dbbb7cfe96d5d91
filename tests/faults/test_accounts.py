"""An account that may not see, may no longer read or log in, or whose statements are ended."""

import secrets
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from include import ledger
from tests.faults.scene import Scene, goods, news

READER = {
    "postgres": [
        "CREATE ROLE {} LOGIN PASSWORD 'first-secret'",
        "GRANT SELECT ON goods, people TO {}",
    ],
    "mysql": [
        "CREATE USER {} IDENTIFIED BY 'first-secret'",
        "GRANT SELECT ON goods TO {}",
        "GRANT SELECT ON people TO {}",
    ],
}
PEOPLE = {"select": "SELECT id AS source_id, modified FROM people", "cursor": "modified"}


def read_by_another(scene: Scene) -> str:
    """Let the CRM, with a table of people too, be read by an account that may only read."""
    scene.execute("CREATE TABLE people AS SELECT 1 AS id, modified FROM goods LIMIT 1")
    scene.mapping["entities"]["customer"] = PEOPLE
    role = f"reader_{secrets.token_hex(4)}"
    for statement in READER[scene.dialect]:
        scene.execute(statement.format(role))
    log_in(scene, role, "first-secret")
    return role


def log_in(scene: Scene, role: str, password: str) -> None:
    """Let the loads log in so."""
    url = urlsplit(scene.crm_url)
    place = f"{role}:{password}@{url.hostname}:{url.port}"
    scene.crm_url = url._replace(netloc=place).geturl()


def begin(scene: Scene, run_id: str) -> None:
    with scene.open_warehouse() as db:
        ledger.begin(db, run_id)


def run_of(scene: Scene, run_id: str) -> tuple:
    """How the ledger says that a run stands, and why."""
    query = f"SELECT status, message FROM ops.pipeline_run WHERE run_id = '{run_id}'"
    return scene.ask(query)[0]


@pytest.mark.fault(
    "F13", how="the account may not see other sessions: the lookback finds the late row"
)
def test_an_account_that_sees_no_sessions_relies_on_the_lookback(own_scene):
    own_scene.mapping["lookback_minutes"] = 10
    own_scene.add(goods(1, rows=50))
    read_by_another(own_scene)
    own_scene.load("r1")
    with closing(own_scene.open_crm()) as late:
        late.execute("BEGIN")
        late.execute("INSERT INTO goods VALUES ('late', 'Late', 1, 'food', now())")
        own_scene.change(news(4, 50, 50))
        own_scene.load("r2")
        late.execute("COMMIT")
    own_scene.load("r3")
    own_scene.assert_same()


@pytest.mark.fault(
    "F46", how="the right to read one of two tables is revoked before a run, and given back"
)
@pytest.mark.parametrize("crm", ["own_scene", "mysql_scene"])
@pytest.mark.parametrize("order", [("product", "customer"), ("customer", "product")])
def test_a_table_that_may_not_be_read_fails_alone(crm, order, request):
    scene: Scene = request.getfixturevalue(crm)
    scene.add(goods(1, rows=50))
    role = read_by_another(scene)
    scene.execute(f"REVOKE SELECT ON goods FROM {role}")
    begin(scene, "ingest_crm/1")
    ended = {entity: scene.start("ingest_crm/1", entity).wait() for entity in order}
    assert (ended["product"].status, ended["customer"].status) == (1, 0)
    line = ended["product"].line
    assert line.startswith("ConfigError: crm.yaml: ")
    assert "denied" in line
    assert "goods" in line
    assert run_of(scene, "ingest_crm/1") == ("failed", line.removeprefix("ConfigError: "))
    assert scene.ask("SELECT source_id FROM landing.customer") == [("1",)]
    assert scene.ask("SELECT entity FROM ops.watermark") == [("customer",)]
    scene.execute(f"GRANT SELECT ON goods TO {role}")
    scene.load("ingest_crm/1", "product")
    scene.assert_same()


@pytest.mark.fault("F46", how="the account's password changes between two loads")
def test_a_password_that_was_changed_is_asked_for_and_not_shown(own_scene):
    own_scene.add(goods(1, rows=50))
    role = read_by_another(own_scene)
    own_scene.load("r1")
    own_scene.execute(f"ALTER ROLE {role} PASSWORD 'second-secret'")
    own_scene.change(news(2, 50, 50))
    begin(own_scene, "ingest_crm/2")
    ended = own_scene.start("ingest_crm/2").wait()
    assert ended.status == 1
    assert ended.line.startswith("ResourceError: crm: no connection to 127.0.0.1:")
    assert f'password authentication failed for user "{role}"' in ended.line
    assert "check AIRFLOW_CONN_CRM" in ended.line
    assert "secret" not in ended.said
    assert run_of(own_scene, "ingest_crm/2")[0] == "failed"
    log_in(own_scene, role, "second-secret")
    own_scene.load("ingest_crm/2")
    own_scene.assert_same()


SLOW_ROWS, BATCH_ROWS, TIMEOUT_MS = 800, 50, 1000
SLOW = """
CREATE INDEX ON goods (modified, sku COLLATE "C");
CREATE TABLE stuck (sku text);
CREATE FUNCTION slowly(wanted text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER COST 1000000 AS $$
BEGIN
    PERFORM pg_sleep(CASE WHEN wanted IN (SELECT sku FROM stuck) THEN 60 ELSE 0.002 END);
    RETURN true;
END $$
"""


@pytest.fixture
def slow_scene(own_scene: Scene) -> Scene:
    """A source that takes 2 ms a row, and ends every statement after TIMEOUT_MS."""
    own_scene.add(goods(1, rows=SLOW_ROWS))
    own_scene.execute(SLOW)
    own_scene.execute("ANALYZE goods")
    role = read_by_another(own_scene)
    own_scene.execute(f"ALTER ROLE {role} SET statement_timeout = {TIMEOUT_MS}")
    own_scene.mapping["entities"]["product"]["select"] += " WHERE slowly(sku)"
    return own_scene


@pytest.mark.fault("F47", how="a whole read takes longer than the account's statement_timeout")
def test_a_read_that_the_source_ends_leaves_nothing_and_passes_in_batches(slow_scene):
    before = slow_scene.state()
    ended = slow_scene.start("r1").wait()
    assert ended.status == 1
    assert "canceling statement due to statement timeout" in ended.said
    assert slow_scene.state() == before
    slow_scene.mapping["batch_rows"] = BATCH_ROWS
    slow_scene.load("r2")
    slow_scene.assert_same()
    ((read, parts),) = slow_scene.ask("SELECT rows_in, parts FROM ops.load")
    assert read == SLOW_ROWS
    assert parts >= SLOW_ROWS / BATCH_ROWS


@pytest.mark.fault("F47", how="a batch gets stuck: the next run goes on after the one before it")
def test_a_batch_that_the_source_ends_is_resumed_at_its_position(slow_scene):
    slow_scene.mapping["batch_rows"] = BATCH_ROWS
    order = sorted(goods(1, rows=SLOW_ROWS), key=lambda row: (row[4], row[0]))
    slow_scene.execute(f"INSERT INTO stuck VALUES ('{order[450][0]}')")
    ended = slow_scene.start("r1").wait()
    assert ended.status == 1
    assert "canceling statement due to statement timeout" in ended.said
    ((landed,),) = slow_scene.ask("SELECT count(*) FROM landing.product")
    assert 450 - BATCH_ROWS <= landed <= 450
    place = slow_scene.ask("SELECT read_to, after_key FROM ops.watermark")
    assert place == [(None, order[landed - 1][0])]
    slow_scene.execute("DELETE FROM stuck")
    slow_scene.load("r2")
    slow_scene.assert_same()
    assert slow_scene.ask("SELECT run_id, rows_in FROM ops.load ORDER BY run_id") == [
        ("r1", landed),
        ("r2", SLOW_ROWS - landed),
    ]
    slow_scene.change(news(3, 600, 300))
    slow_scene.load("r3")
    slow_scene.assert_same()
