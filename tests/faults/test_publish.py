"""Publishing beside readers and beside another publisher, and killed in the middle."""

import multiprocessing
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from pathlib import Path

import numpy as np
import psycopg
import pytest

from include.errors import InputError
from include.marts import MARTS, fill, generations, retire
from tests.marts.test_generations import DAY, publish, work

PATIENCE_S = 60
LOCK_PATIENCE = "200ms"  # the longest that a reader may wait for a lock


@pytest.fixture
def db(warehouse_url) -> Iterator[psycopg.Connection]:
    with psycopg.connect(warehouse_url, autocommit=True) as db:
        yield db


def of(tmp_path: Path, customers: int) -> Path:
    """The work files of a publish with so many customers, all in one segment."""
    return work(tmp_path / f"of_{customers}", dict.fromkeys(range(customers), "s1"))


def read(db: psycopg.Connection) -> dict[str, list[str]]:
    """Every row that BI reads, but for the number of its generation."""
    query = "SELECT (to_jsonb(v) - 'generation')::text FROM bi.{} AS v ORDER BY 1"
    return {
        table: [row for (row,) in db.execute(query.format(table)).fetchall()] for table in MARTS
    }


def shown(db: psycopg.Connection) -> tuple[int, dict[str, list[str]]]:
    """The generation that BI reads, and its rows, of one moment."""
    with db.transaction():
        db.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        return current(db), read(db)


def customers(db: psycopg.Connection) -> int:
    return len(read(db)["customer_profile"])


def current(db: psycopg.Connection) -> int:
    return db.execute("SELECT generation FROM ops.current_generation").fetchone()[0]


def kept(db: psycopg.Connection) -> tuple[list[int], list[int]]:
    """The generations that are ready, and those of which any table is there."""
    ready = "SELECT generation FROM ops.generation WHERE status = 'ready' ORDER BY 1"
    there = """SELECT DISTINCT substring(relname FROM '__g([0-9]+)$')::bigint FROM pg_class
               WHERE relnamespace = 'mart'::regnamespace AND relname ~ '__g[0-9]+$'
               AND relkind = 'r' ORDER BY 1"""
    return tuple([number for (number,) in db.execute(query).fetchall()] for query in (ready, there))


def wait_for(db: psycopg.Connection, holder: psycopg.Connection, waiting_for: str) -> int:
    """Wait until a statement with ``waiting_for`` in it waits for ``holder``; its process id."""
    query = """SELECT pid FROM pg_stat_activity WHERE query LIKE '%%' || %s || '%%'
               AND %s = ANY(pg_blocking_pids(pid))"""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := db.execute(query, [waiting_for, holder.info.backend_pid]).fetchone()):
        assert time.monotonic() < deadline, f"nothing waits with {waiting_for!r}"
        time.sleep(0.005)
    return found[0]


@contextmanager
def other_readers(url: str) -> Iterator[list[int]]:
    """Read every view over and over; a reader that waits for a lock fails the test."""
    stop, seen = threading.Event(), []

    def read() -> None:
        with psycopg.connect(url, autocommit=True) as db:
            db.execute(f"SET lock_timeout = '{LOCK_PATIENCE}'")
            while not stop.wait(0.005):
                seen.append(len(shown(db)[1]["customer_profile"]))

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read)
        try:
            yield seen
        finally:
            stop.set()
        reading.result()


@pytest.mark.fault("F41", how="a report keeps all views open while a generation is published")
def test_f41_a_publish_ends_beside_a_long_reader_and_no_other_reader_waits(
    db, warehouse_url, tmp_path
):
    for number in range(1, 5):
        publish(db, of(tmp_path, 1), f"publish/{number}")
    with psycopg.connect(warehouse_url) as report, other_readers(warehouse_url) as seen:
        assert customers(report) == 1
        publish(db, of(tmp_path, 2), "publish/5")
        assert retire.retire(db) == []  # the report may still read them
        assert customers(db) == 2
    assert set(seen) == {1, 2}
    assert seen == sorted(seen)
    assert retire.retire(db) == [1, 2]


@pytest.mark.fault("F41", how="a dump keeps a mart open while old generations are retired")
def test_f41_retiring_beside_a_dump_makes_no_reader_wait(db, warehouse_url, tmp_path):
    for number in range(1, 6):
        publish(db, of(tmp_path, 1), f"publish/{number}")
    with psycopg.connect(warehouse_url) as dump, other_readers(warehouse_url) as seen:
        dump.execute("LOCK TABLE mart.segment IN ACCESS SHARE MODE")  # as pg_dump takes it
        assert retire.retire(db) == []
    assert set(seen) == {1}
    assert retire.retire(db) == [1, 2]
    assert kept(db) == ([3, 4, 5], [3, 4, 5])


@pytest.mark.fault("F41", how="another session locks a table against the publish")
def test_f41_a_publish_that_waits_for_a_table_makes_no_reader_wait(db, warehouse_url, tmp_path):
    publish(db, of(tmp_path, 1), "publish/1")
    with (
        ThreadPoolExecutor(1) as pool,
        psycopg.connect(warehouse_url, autocommit=True) as publisher,
        psycopg.connect(warehouse_url) as holder,
    ):
        holder.execute("LOCK TABLE mart.segment IN SHARE MODE")  # as CREATE INDEX takes it
        switching = pool.submit(publish, publisher, of(tmp_path, 2), "publish/2")
        wait_for(db, holder, "ATTACH PARTITION")
        db.execute(f"SET lock_timeout = '{LOCK_PATIENCE}'")
        assert customers(db) == 1
        holder.rollback()
        assert switching.result() == 2
    assert customers(db) == 2


@pytest.mark.fault(
    "F41", how="a second publish begins while the first is about to move the pointer"
)
def test_f41_two_publishers_at_once_are_serialised(db, warehouse_url, tmp_path):
    publish(db, of(tmp_path, 1), "publish/1")
    with (
        ThreadPoolExecutor(2) as pool,
        psycopg.connect(warehouse_url, autocommit=True) as one,
        psycopg.connect(warehouse_url, autocommit=True) as two,
        psycopg.connect(warehouse_url) as holder,
    ):
        holder.execute("SELECT * FROM ops.current_generation FOR UPDATE")
        first = pool.submit(publish, one, of(tmp_path, 2), "publish/2")
        wait_for(db, holder, "current_generation")
        second = pool.submit(publish, two, of(tmp_path, 3), "publish/3")
        wait_for(db, one, "pg_advisory_xact_lock")
        assert customers(db) == 1
        holder.rollback()
        assert (first.result(), second.result()) == (2, 3)
    assert (current(db), customers(db), kept(db)) == (3, 3, ([1, 2, 3], [1, 2, 3]))


@pytest.mark.fault("F41", how="a publish ends after one that began later")
def test_f41_a_publish_that_was_overtaken_does_not_move_the_pointer_back(db, tmp_path):
    assert begin(db, "publish/1") == 1
    folder = of(tmp_path, 1)
    for table in MARTS:
        fill.fill(db, table, generation=1, as_of=DAY, work=folder, folder=folder)
    publish(db, of(tmp_path, 2), "publish/2")
    overtaken = r"generation 1 is retired: another publish .*; .* again"
    with pytest.raises(InputError, match=overtaken):
        fill.fill(db, "segment", generation=1, as_of=DAY, work=folder, folder=folder)
    with pytest.raises(InputError, match=overtaken):
        generations.attach(db, generation=1, tables=MARTS)
    with pytest.raises(InputError, match=overtaken):
        generations.switch(db, generation=1, as_of=DAY, run_id="publish/1")
    assert (current(db), customers(db)) == (2, 2)
    assert begin(db, "publish/1") == 3  # cleared from its first task, it takes its turn anew
    retire.retire(db)
    assert kept(db)[1] == [2]


def begin(db: psycopg.Connection, run_id: str) -> int:
    return generations.begin(db, as_of=DAY, run_id=run_id, data_to=None, stale_reason=None)


@contextmanager
def publishing(
    url: str, folder: Path, run_id: str
) -> Iterator[tuple[multiprocessing.Process, Event]]:
    """A publish in a process of its own, which begins when the event is set."""
    context = multiprocessing.get_context("spawn")
    ready, go = context.Event(), context.Event()
    process = context.Process(target=publish_alone, args=(url, folder, run_id, ready, go))
    process.start()
    try:
        assert ready.wait(PATIENCE_S)
        yield process, go
    finally:
        process.kill()
        process.join()


def publish_alone(url: str, folder: Path, run_id: str, ready: Event, go: Event) -> None:
    with psycopg.connect(url, autocommit=True) as db:
        ready.set()
        go.wait()
        publish(db, folder, run_id)
        retire.retire(db)


@pytest.mark.fault("F42", how="SIGKILL of a publish that is held just before it moves the pointer")
def test_f42_a_publish_killed_before_the_pointer_moves_leaves_the_old_generation(
    db, warehouse_url, tmp_path
):
    publish(db, of(tmp_path, 1), "publish/1")
    before = shown(db)
    with (
        publishing(warehouse_url, of(tmp_path, 2), "publish/2") as (publisher, go),
        psycopg.connect(warehouse_url) as holder,
    ):
        holder.execute("SELECT * FROM ops.current_generation FOR UPDATE")
        go.set()
        wait_for(db, holder, "INSERT INTO ops.current_generation")  # the tables are attached
        publisher.kill()
        publisher.join()
        assert publisher.exitcode == -signal.SIGKILL
        assert shown(db) == before
    assert shown(db) == before
    assert publish(db, of(tmp_path, 2), "publish/3") == 3
    assert retire.retire(db) == [2]
    assert (customers(db), kept(db)) == (2, ([1, 3], [1, 3]))


@pytest.mark.fault("F42", how="SIGKILL of a publish at a random moment of its work")
def test_f42_a_publish_killed_at_any_moment_shows_one_whole_generation(
    db, warehouse_url, tmp_path, seed
):
    for number in range(1, 5):
        started = time.monotonic()
        publish(db, of(tmp_path, 1), f"publish/{number}")
    longest_s = 1.5 * (time.monotonic() - started)
    before = shown(db)
    with publishing(warehouse_url, of(tmp_path, 2), "publish/5") as (publisher, go):
        go.set()
        publisher.join(np.random.default_rng([42, seed]).uniform(0, longest_s))
        publisher.kill()
        publisher.join()
    generation, rows = shown(db)
    publish(db, of(tmp_path, 2), "publish/6")
    retire.retire(db)
    assert (generation, rows) == before or (generation, rows) == (5, read(db))
    assert customers(db) == 2
    ready, there = kept(db)
    assert ready == there


@pytest.mark.fault(
    "F43",
    how="a repeatable-read transaction lives through four publishes and the end of its generation",
)
def test_f43_a_reader_sees_its_generation_to_the_end_though_it_is_retired_meanwhile(
    db, warehouse_url, tmp_path
):
    publish(db, of(tmp_path, 3), "publish/1")
    expected = read(db)
    with psycopg.connect(warehouse_url) as report:
        report.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        report.execute("SELECT count(*) FROM bi.segment").fetchall()  # no other view so far
        for number in range(2, 6):
            publish(db, of(tmp_path, number + 2), f"publish/{number}")
            retire.retire(db)
        assert customers(db) == 7
        assert read(report) == expected
    assert retire.retire(db) == [1, 2]
    assert kept(db) == ([3, 4, 5], [3, 4, 5])
