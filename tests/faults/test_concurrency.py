"""Loads beside each other, beside long transactions, and at sources that refuse or end queries."""

import logging
import secrets
from contextlib import ExitStack, closing
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import pytest

from include import landing, ledger
from tests.faults.scene import NOW, ROWS, Scene, chance, goods, news, prepare, until

CRMS = pytest.mark.parametrize("crm", ["scene", "mysql_scene"])
WRITE = "INSERT INTO goods VALUES ('{}', 'Late', 1, 'food', {})"


@pytest.fixture
def chosen(crm: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """The scene that ``crm`` names, with its connections set here too."""
    scene: Scene = request.getfixturevalue(crm)
    monkeypatch.setenv("AIRFLOW_CONN_CRM", scene.crm_url)
    return scene


def load(scene: Scene, run_id: str) -> landing.Loaded:
    """Load in this process."""
    with scene.open_warehouse() as db:
        return landing.load(scene.source(), "product", db, run_id=run_id)


def wait(session: Any, scene: Scene) -> None:
    """Longer than a second, because MySQL tells when transactions began in whole ones."""
    sleep = {"postgres": "pg_sleep", "mysql": "sleep"}[scene.dialect]
    session.execute(f"SELECT {sleep}(1.2)")
    session.fetchall()


def watermark(scene: Scene) -> datetime:
    ((read_to,),) = scene.ask("SELECT read_to FROM ops.watermark WHERE entity = 'product'")
    return read_to


@pytest.mark.fault(
    "F10", how="three processes load one table at the same time, two of them for the same run"
)
def test_loads_of_one_table_at_once_do_its_work_once(form, seed, scene):
    prepare(scene, form, seed)
    with scene.locked("ops.load IN SHARE ROW EXCLUSIVE"):
        loads = [scene.start(run_id) for run_id in ("scheduled", "scheduled", "manual")]
        scene.until_waiting(3)
    assert [load.wait().status for load in loads] == [0, 0, 0]
    scene.assert_same()
    ((landed, new),) = scene.ask(
        "SELECT (SELECT count(*) FROM landing.product), sum(rows_inserted) FROM ops.load"
    )
    assert new == landed
    assert scene.ask("SELECT run_id FROM ops.load WHERE run_id <> 'before' ORDER BY 1") == [
        ("manual",),
        ("scheduled",),
    ]


@pytest.mark.fault(
    "F11",
    how="backfills of a day and incremental loads run side by side while the source changes; a "
    "trigger notes every move of the watermark",
)
def test_a_backfill_beside_loads_never_moves_the_watermark_back(seed, scene):
    pick = chance(seed)
    scene.add(goods(seed))
    scene.load("load")
    with scene.open_warehouse() as db:
        db.execute(NOTE_MOVES)
    scene.mapping["lookback_minutes"] = 1 / 60  # a statement's time lies before its transaction's
    scene.change(goods(seed + 1, pick.randrange(ROWS // 2), 2000))  # stamped on the day, long read
    for number in range(3):
        runs = [
            scene.start(f"load {number}"),
            scene.start(f"backfill {number}", "product", "2024-01-01", "2024-01-02"),
        ]
        scene.change(news(seed + 2 + number, pick.randrange(ROWS), 500))
        assert [run.wait().status for run in runs] == [0, 0]
    scene.load("last")
    scene.assert_same()
    moves = scene.ask("SELECT read_to, run_id FROM moves ORDER BY id")
    assert moves == sorted(moves, key=lambda move: move[0])
    assert [run_id for _, run_id in moves] == ["load 0", "load 1", "load 2", "last"]


NOTE_MOVES = """
CREATE TABLE moves (id int GENERATED ALWAYS AS IDENTITY, read_to timestamptz, run_id text);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO moves (read_to, run_id) VALUES (NEW.read_to, NEW.run_id);
    RETURN NULL;
END $$;
CREATE TRIGGER note AFTER INSERT OR UPDATE ON ops.watermark FOR EACH ROW EXECUTE FUNCTION note();
"""


@pytest.mark.fault(
    "F13", how="a row is stamped, later rows are committed and loaded, then its transaction commits"
)
@CRMS
def test_a_row_that_is_committed_late_is_not_skipped(chosen):
    chosen.add(goods(1, rows=50))
    load(chosen, "r1")
    with closing(chosen.open_crm()) as session, session.cursor() as late:
        late.execute("BEGIN")
        late.execute(WRITE.format("late", NOW[chosen.dialect]))
        wait(late, chosen)
        chosen.change(news(4, 50, 50))
        assert load(chosen, "r2").inserted == 50
        late.execute("COMMIT")
    load(chosen, "r3")
    chosen.assert_same()
    assert chosen.ask("SELECT run_id FROM landing.product WHERE source_id = 'late'") == [("r3",)]


@pytest.mark.fault(
    "F13", how="a transaction commits while the loader, its snapshot taken, waits for a table"
)
def test_a_row_that_is_committed_during_the_load_is_not_skipped(scene):
    scene.add(goods(1, rows=50))
    scene.load("r1")
    waiting = """SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'
                 AND datname = current_database() AND application_name = 'portrait'"""
    with closing(scene.open_crm()) as late:
        late.execute("BEGIN")
        late.execute("LOCK TABLE goods IN ACCESS EXCLUSIVE MODE")
        late.execute(WRITE.format("late", "now()"))
        run = scene.start("r2")
        until(lambda: scene.crm.execute(waiting).fetchone() == (1,), "the loader waits for goods")
        late.execute("COMMIT")
    assert run.wait().status == 0
    scene.load("r3")
    scene.assert_same()


@pytest.mark.fault(
    "F13", how="four sessions begin, stamp, commit and roll back in random order between loads"
)
@CRMS
def test_no_order_of_commits_loses_a_row(chosen, seed):
    pick, stamp = chance(seed), NOW[chosen.dialect]
    chosen.add(goods(seed, rows=20))
    with ExitStack() as stack:
        sessions = [stack.enter_context(closing(chosen.open_crm())) for _ in range(4)]
        for number in range(60):
            if pick.random() < 0.2:
                load(chosen, f"r{number}")
            with pick.choice(sessions).cursor() as cursor:
                cursor.execute(pick.choice(["BEGIN", "COMMIT", "COMMIT", "ROLLBACK"]))
                cursor.execute(WRITE.format(f"late {number}", stamp))
        for session in sessions:
            session.cursor().execute("COMMIT")
    load(chosen, "last")
    chosen.assert_same()


@pytest.mark.fault(
    "F13", how="a prepared transaction is committed after two loads, later than the lookback"
)
def test_a_row_of_a_prepared_transaction_is_not_skipped(own_scene, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_CRM", own_scene.crm_url)
    own_scene.mapping["lookback_minutes"] = 2 / 60  # its start is not known, only its preparation
    own_scene.add(goods(1, rows=50))
    load(own_scene, "r1")
    own_scene.execute("BEGIN")
    own_scene.execute(WRITE.format("late", "now()"))
    own_scene.execute("PREPARE TRANSACTION 'late'")
    own_scene.change(news(4, 50, 50))
    load(own_scene, "r2")
    own_scene.execute("SELECT pg_sleep(2.5)")
    load(own_scene, "r3")
    own_scene.execute("COMMIT PREPARED 'late'")
    load(own_scene, "r4")
    own_scene.assert_same()


@pytest.mark.fault(
    "F13", how="the account may not see other sessions: the lookback finds the late row"
)
def test_an_account_that_sees_no_sessions_relies_on_the_lookback(own_scene, monkeypatch):
    own_scene.mapping["lookback_minutes"] = 10
    own_scene.add(goods(1, rows=50))
    read_by_another(own_scene)
    monkeypatch.setenv("AIRFLOW_CONN_CRM", own_scene.crm_url)
    load(own_scene, "r1")
    with closing(own_scene.open_crm()) as late:
        late.execute("BEGIN")
        late.execute(WRITE.format("late", "now()"))
        own_scene.change(news(4, 50, 50))
        load(own_scene, "r2")
        late.execute("COMMIT")
    load(own_scene, "r3")
    own_scene.assert_same()


@pytest.mark.fault(
    "F14", how="a session stays idle in its transaction past stall_alarm_minutes, over two loads"
)
@CRMS
def test_who_holds_the_watermark_is_named_and_nothing_is_skipped(chosen, caplog):
    chosen.mapping["stall_alarm_minutes"] = 0.0001
    chosen.add(goods(1, rows=50))
    load(chosen, "r1")
    assert alarms(chosen) == []
    with closing(chosen.open_crm()) as session, session.cursor() as holder:
        holder.execute("BEGIN")
        holder.execute(WRITE.format("late", NOW[chosen.dialect]))
        holder.execute("SELECT " + PID[chosen.dialect])
        ((pid,),) = holder.fetchall()
        wait(holder, chosen)
        chosen.change(news(4, 50, 50))
        with caplog.at_level(logging.WARNING):
            assert load(chosen, "r2").inserted == 50
        held = watermark(chosen)
        load(chosen, "r3")
        assert watermark(chosen) == held
        holder.execute("COMMIT")
        wait(holder, chosen)
    first, second = alarms(chosen)
    assert first[:4] == ("r2", "landing.product", False, "warning")
    assert second[:4] == ("r3", "landing.product", False, "warning")
    assert f" {pid} " in first[4]
    assert "held back for 0 minutes" in first[4]
    assert first[4] in caplog.text
    load(chosen, "r4")
    chosen.assert_same()
    assert watermark(chosen) > held


PID = {"postgres": "pg_backend_pid()", "mysql": "connection_id()"}


def alarms(scene: Scene) -> list[tuple]:
    return scene.ask(
        """SELECT run_id, table_name, passed, severity, observed FROM ops.quality_result
           WHERE "check" = 'the watermark moves' ORDER BY run_id"""
    )


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


SLOW_ROWS, BATCH_ROWS, TIMEOUT_MS = 800, 100, 700
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
