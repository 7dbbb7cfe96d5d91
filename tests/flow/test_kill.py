"""``kill -9`` of a publish at any step: BI reads the last good generation, the next run mends."""

import time
from collections.abc import Callable, Iterator

import numpy as np
import psycopg
import pytest

from tests.flow.command import Command
from tests.flow.conftest import Place, assert_same

PATIENCE_S = 120
EARLIER = "2026-02-10"
TASKS = [
    *("begin", "score", "recommend", "fill", "check", "attach", "guard", "switch", "outcomes"),
    "retire",
]


@pytest.fixture
def publishing(place, demo_crm) -> Place:
    """Generation 1 is shown; what a publish would show next is another day."""
    there = place()
    assert there.run(ONLY="profile", AS_OF=EARLIER, **demo_crm).status == 0
    return there


def wait(event: Callable[[], object], publish: Command) -> None:
    """Ask the database until ``event`` has come true, as long as the publish is under way."""
    deadline = time.monotonic() + PATIENCE_S
    while not event():
        assert publish.process.is_alive(), f"ended before: {publish.wait()}"
        assert time.monotonic() < deadline, "what was waited for did not happen"
        time.sleep(0.002)


def tables_of(db: psycopg.Connection, generation: int) -> int:
    row = db.execute(
        "SELECT count(*) FROM pg_class WHERE relnamespace = 'mart'::regnamespace "
        "AND relkind = 'r' AND relname ~ %s",
        [f"__g{generation}$"],
    ).fetchone()
    return row[0]


def kill_after_tables(there: Place, generation: int, tables: int) -> None:
    """Kill a publish when so many tables of its generation are there."""
    publish = there.start(ONLY="publish")
    with there.connect() as db:
        wait(lambda: tables_of(db, generation) >= tables, publish)
    publish.kill()


def kill_within_switch(there: Place, generation: int) -> None:
    """Kill a publish between attaching its tables and moving the pointer, in one transaction."""
    waits = "SELECT 1 FROM pg_stat_activity WHERE %s = ANY(pg_blocking_pids(pid))"
    publish = there.start(ONLY="publish")
    with there.connect() as watch, there.connect() as holder:
        wait(lambda: tables_of(watch, generation), publish)
        with holder.transaction(force_rollback=True):
            holder.execute("SELECT * FROM ops.current_generation FOR UPDATE")
            blocker = holder.info.backend_pid
            wait(lambda: watch.execute(waits, [blocker]).fetchall(), publish)
            publish.kill()


def assert_repaired(there: Place) -> None:
    """A run by itself shows the next generation, and nothing is left of killed ones."""
    ((generation,),) = there.rows("SELECT max(generation) + 1 FROM ops.generation")
    answer = there.run(ONLY="publish")
    assert (answer.status, answer.err) == (0, "")
    assert there.generation() == generation
    assert there.rows("SELECT DISTINCT as_of::text FROM bi.customer_profile") == [(EARLIER,)]
    kept = there.rows("SELECT generation FROM ops.generation WHERE status = 'ready'")
    partitions = there.rows(
        "SELECT DISTINCT substring(relname FROM '__g([0-9]+)$')::int FROM pg_class "
        "WHERE relnamespace = 'mart'::regnamespace AND relkind = 'r' AND relname ~ '__g[0-9]+$'"
    )
    assert sorted(partitions) == sorted(kept)
    assert there.rows("SELECT 1 FROM ops.generation WHERE status = 'building'") == []
    assert there.rows("SELECT 1 FROM ops.pipeline_run WHERE status = 'running'") == []
    assert list((there.home / "work").iterdir()) == []


def test_killed_while_filling_and_again_while_switching(publishing):
    before = publishing.shown()
    kill_after_tables(publishing, 2, int(np.random.default_rng(7).integers(2, 8)))
    assert publishing.generation() == 1
    assert_same(publishing.shown(), before)
    kill_within_switch(publishing, 3)
    assert publishing.generation() == 1
    assert_same(publishing.shown(), before)
    assert_repaired(publishing)


@pytest.fixture
def metadata(publishing) -> Iterator[psycopg.Connection]:
    """Airflow's own record of what runs."""
    url = publishing.server.url(f"{publishing.database}_airflow")
    with psycopg.connect(url, autocommit=True) as db:
        yield db


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_killed_at_any_moment_of_any_task(publishing, metadata, task, seed):
    before, chance = publishing.shown(), np.random.default_rng([seed, TASKS.index(task)])
    nth, delay_s = int(chance.integers(8)) if task == "fill" else -1, chance.uniform(0, 0.3)
    began = metadata.execute("SELECT now()").fetchone()
    publish = publishing.start(ONLY="publish")
    running = """SELECT 1 FROM task_instance WHERE dag_id = 'publish' AND task_id = %s
                 AND map_index = %s AND start_date >= %s"""
    wait(lambda: metadata.execute(running, [task, nth, *began]).fetchall(), publish)
    time.sleep(delay_s)
    publish.kill()
    left = publishing.generation(), publishing.shown()
    assert_repaired(publishing)
    if left[0] == 1:
        assert_same(left[1], before)
    else:  # killed after the switch: what was shown then was complete as well
        assert task in {"switch", "outcomes", "retire"}
        assert_same(left[1], publishing.shown())


@pytest.mark.slow
@pytest.mark.parametrize("tables", range(1, 9))
def test_killed_after_any_table(publishing, tables):
    before = publishing.shown()
    kill_after_tables(publishing, 2, tables)
    assert_same(publishing.shown(), before)
    assert_repaired(publishing)
