"""Loads beside each other, beside backfills, and beside long transactions of the source."""

import logging
from contextlib import ExitStack, closing
from datetime import datetime
from typing import Any

import pytest

from include import landing
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
