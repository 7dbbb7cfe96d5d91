"""A warehouse in use, filled by older contracts, is brought to the newer ones."""

import multiprocessing
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from multiprocessing.synchronize import Event
from pathlib import Path

import numpy as np
import psycopg
import pytest

from include import contracts, ddl, warehouse
from include.contracts import Table
from include.errors import ResourceError
from tests.conftest import _database, _drop
from tests.faults.servers import Postgres
from tests.faults.test_publish import wait_for
from tests.marts.test_generations import DAY, publish, work

PATIENCE_S = 60
LOCK_PATIENCE = "50ms"  # the longest that a reader may wait for a lock
NEW_TABLES = ("bi.dim_date", "ops.segment_curve")
NEW_COLUMNS = {
    "landing.ticket": "priority",
    "mart.customer_profile": "gap_days_std",
    "mart.product_similarity": "method",  # required, but not of the rows that are there
    "mart.segment": "distinguishing_features",
    "bi.quarantine_count": "last_recorded_at",
}
NO_LONGER_REQUIRED = ("mart.segment", "suggested_action")


def older() -> dict[str, Table]:
    """The contracts without what is new in them, and without their indexes."""
    tables = {table.full_name: table for table in contracts.all_tables()}
    for full_name in NEW_TABLES:
        del tables[full_name]
    for full_name, new in NEW_COLUMNS.items():
        kept = tuple(column for column in tables[full_name].columns if column.name != new)
        tables[full_name] = replace(tables[full_name], columns=kept, description="As it was.")
    full_name, looser = NO_LONGER_REQUIRED
    stricter = tuple(
        replace(column, required=column.required or column.name == looser)
        for column in tables[full_name].columns
    )
    tables[full_name] = replace(tables[full_name], columns=stricter)
    derived = contracts.profile_history(tables["mart.customer_profile"])
    tables[derived.full_name] = derived
    return {name: replace(table, indexes=()) for name, table in tables.items()}


def fill_older(url: str, folder: Path) -> None:
    """Deploy the older contracts, land a ticket and its earlier version, publish three days."""
    then = older()
    with pytest.MonkeyPatch.context() as patched, psycopg.connect(url, autocommit=True) as db:
        patched.setattr(contracts, "all_tables", lambda: tuple(then.values()))
        patched.setattr(contracts, "load", then.__getitem__)
        assert warehouse.deploy(db) is True
        db.execute(
            """CREATE TABLE landing.ticket__shop PARTITION OF landing.ticket FOR VALUES IN ('shop');
               INSERT INTO landing.ticket (source, source_id, opened_at, subject, landed_at, run_id)
               VALUES ('shop', 't1', '2026-02-01', 'late', '2026-02-02', 'ingest_shop/2');
               INSERT INTO landing.ticket_history
                   (source, source_id, subject, landed_at, valid_from, valid_to)
               VALUES ('shop', 't1', 'lat', '2026-02-01', '2026-02-01', '2026-02-02')"""
        )
        for number in (1, 2, 3):
            day = DAY + timedelta(number)
            members = {1: "s1", number + 1: "s2"}
            publish(db, work(folder / str(number), members, day), f"publish/{number}", day)


@pytest.fixture(scope="module")
def older_template(postgres_url, tmp_path_factory) -> Iterator[str]:
    name, url = _database(postgres_url)
    fill_older(url, tmp_path_factory.mktemp("older"))
    yield name
    _drop(postgres_url, name)


@pytest.fixture
def older_url(postgres_url, older_template) -> Iterator[str]:
    """The conninfo of a warehouse with three generations, as older contracts made it."""
    name, url = _database(postgres_url, older_template)
    yield url
    _drop(postgres_url, name)


@pytest.fixture
def db(older_url) -> Iterator[psycopg.Connection]:
    with psycopg.connect(older_url, autocommit=True) as db:
        yield db


@pytest.fixture(scope="module")
def undisturbed(postgres_url, older_template) -> Iterator[list[tuple]]:
    """What the newer contracts make of the older warehouse while nobody reads."""
    name, url = _database(postgres_url, older_template)
    with psycopg.connect(url, autocommit=True) as db:
        warehouse.deploy(db)
        yield shape(db)
    _drop(postgres_url, name)


def shape(db: psycopg.Connection) -> list[tuple]:
    """Every column, view, index and right of our schemas, and what was deployed."""
    return db.execute(
        """WITH ours AS (SELECT oid, oid::regclass::text AS name, relkind, relacl FROM pg_class
               WHERE relnamespace::regnamespace::text IN ('landing', 'core', 'mart', 'ops', 'bi'))
           SELECT name, attname::text, attnum::text, format_type(atttypid, atttypmod),
                  attnotnull::text, col_description(oid, attnum)
           FROM ours JOIN pg_attribute ON attrelid = oid WHERE attnum > 0 AND relkind <> 'i'
           UNION ALL SELECT name, 'view', pg_get_viewdef(oid), relacl::text,
                            obj_description(oid, 'pg_class'), NULL FROM ours WHERE relkind = 'v'
           UNION ALL SELECT name, 'index', pg_get_indexdef(oid), NULL, NULL, NULL
           FROM ours WHERE relkind IN ('i', 'I')
           UNION ALL SELECT 'deployed', fingerprint, NULL, NULL, NULL, NULL FROM ops.deployment
           ORDER BY 1, 2, 3"""
    ).fetchall()


def rows(db: psycopg.Connection, of: Iterable[str] = ()) -> dict[str, list[str]]:
    """Every row of these tables, or of all of ours, without its nulls."""
    ours = """SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r'
              AND relname <> 'deployment'
              AND relnamespace::regnamespace::text IN ('landing', 'core', 'mart', 'ops')"""
    tables = list(of) or [table for (table,) in db.execute(ours).fetchall()]
    query = "SELECT jsonb_strip_nulls(to_jsonb(t))::text FROM {} AS t ORDER BY 1"
    return {
        table: [row for (row,) in db.execute(query.format(table)).fetchall()] for table in tables
    }


def has(db: psycopg.Connection, table: str) -> bool:
    """Whether a table has what is new in it."""
    query = "SELECT count(*) FROM pg_attribute WHERE attrelid = %s::regclass AND attname = %s"
    return db.execute(query, [table, NEW_COLUMNS[table]]).fetchone() == (1,)


def until(true, what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, f"it never came to this: {what}"
        time.sleep(0.005)


@contextmanager
def readers(url: str, queries: list[str], *, at_once: int, pause_s: float) -> Iterator[None]:
    """Sessions that ask all that in transactions, over and over; one that waits for a lock fails
    the test."""
    stop = threading.Event()

    def read() -> None:
        with psycopg.connect(url, options=f"-c lock_timeout={LOCK_PATIENCE}") as db:
            while not stop.is_set():
                for query in queries:
                    db.execute(query).fetchall()
                    time.sleep(pause_s)
                    db.rollback()

    with ThreadPoolExecutor(at_once) as pool:
        reading = [pool.submit(read) for _ in range(at_once)]
        try:
            yield
        finally:
            stop.set()
        for reader in reading:
            reader.result()


@pytest.mark.fault("F41", how="a report keeps all views open while newer contracts are deployed")
def test_f41_an_upgrade_waits_for_a_report_in_short_attempts_and_nobody_waits_for_it(
    own_warehouse: Postgres, tmp_path
):
    name = own_warehouse.new_database()
    with own_warehouse.admin() as admin:  # so that the server tells of every reader that waits
        admin.execute(f"ALTER DATABASE {name} SET log_lock_waits = on")
        admin.execute(f"ALTER DATABASE {name} SET deadlock_timeout = '{LOCK_PATIENCE}'")
    url = own_warehouse.url(name)
    fill_older(url, tmp_path)
    server_log = own_warehouse.home / "log" / "postgres.log"
    told_before = server_log.stat().st_size
    with (
        ThreadPoolExecutor(1) as pool,
        psycopg.connect(url, autocommit=True) as db,
        psycopg.connect(url, autocommit=True) as deployer,
        psycopg.connect(url) as report,
    ):
        before = rows(db)
        for view, _ in ddl.views(older().values()):
            report.execute(f"SELECT * FROM {view}").fetchall()
        queries = [  # a prepared SELECT * would fail once its view has a column more
            f"SELECT {', '.join(ddl.quoted(c.name) for c in ddl.view_columns(table))} FROM {view}"
            for view, table in ddl.views(older().values())
        ]
        with readers(url, queries, at_once=2, pause_s=0.001):
            deploying = pool.submit(warehouse.deploy, deployer)
            until(lambda: has(db, "landing.ticket"), "what no report reads is changed")
            time.sleep(2)  # some forty attempts
            assert not deploying.done()
            assert not has(db, "mart.segment")
            report.rollback()
            assert deploying.result() is True
        assert rows(db, before) == before
    assert "still waiting for" not in server_log.read_text()[told_before:]


def test_f41_every_generation_of_before_is_read_by_the_newer_views(db, undisturbed, tmp_path):
    assert warehouse.deploy(db) is True
    assert shape(db) == undisturbed
    query = "SELECT as_of, segment_key, suggested_action, distinguishing_features FROM bi.segment"
    for generation in (1, 2, 3):
        db.execute(f"SET portrait.generation = '{generation}'")
        day = DAY + timedelta(generation)
        assert db.execute(f"{query} ORDER BY 2").fetchall() == [
            (day, "s1", "", None),
            (day, "s2", "", None),
        ]
    db.execute("RESET portrait.generation")
    day = DAY + timedelta(4)
    publish(db, work(tmp_path, {1: "s1"}, day), "publish/4", day)
    assert db.execute(query).fetchall() == [(day, "s1", None, None)]
    assert db.execute("SELECT source_id, subject, priority FROM landing.ticket").fetchall() == [
        ("t1", "late", None)
    ]


@pytest.mark.fault("F41", how="a report that does not end while newer contracts are deployed")
def test_f41_an_upgrade_that_a_report_outlasts_names_it_and_the_next_one_goes_on(
    db, older_url, undisturbed
):
    with psycopg.connect(older_url, application_name="monthly report") as report:
        report.execute("SELECT * FROM bi.segment").fetchall()
        pid = report.info.backend_pid
        with pytest.raises(
            ResourceError,
            match=rf"^deploy: mart\.segment is in use by pid {pid} \(\w+, monthly report, since "
            r"[0-9: +-]+\): end that session .* or run again later; .* the next run goes on$",
        ):
            warehouse.deploy(db, patience_s=0.3)
        assert (has(db, "landing.ticket"), has(db, "mart.segment")) == (True, False)
    assert warehouse.deploy(db) is True
    assert shape(db) == undisturbed


@pytest.mark.fault("F41", how="a report keeps one view open, whose table is left as it is")
def test_f41_a_view_in_use_is_named_while_its_table_stays_readable(db, older_url, undisturbed):
    with psycopg.connect(older_url, application_name="report") as report:
        report.execute("SELECT * FROM bi.quarantine_count").fetchall()
        with pytest.raises(ResourceError, match=r"bi\.quarantine_count is in use by pid .*report"):
            warehouse.deploy(db, patience_s=0.3)
        db.execute(f"SET lock_timeout = '{LOCK_PATIENCE}'")
        assert db.execute("SELECT count(*) FROM bi.quarantine_count").fetchone() == (0,)
    assert warehouse.deploy(db) is True
    assert shape(db) == undisturbed


@pytest.mark.fault("F41", how="readers leave no gap while newer contracts are deployed")
def test_f41_an_upgrade_comes_through_between_readers_that_leave_no_gap(db, older_url, undisturbed):
    with readers(older_url, ["SELECT name FROM bi.segment"], at_once=2, pause_s=0.03):
        assert warehouse.deploy(db) is True
    assert shape(db) == undisturbed


@pytest.mark.fault("F41", how="a table is vacuumed while newer contracts are deployed")
def test_f41_an_upgrade_waits_for_a_vacuum_and_readers_pass_it_by(db, older_url, undisturbed):
    with (
        ThreadPoolExecutor(1) as pool,
        psycopg.connect(older_url) as deployer,
        psycopg.connect(older_url) as vacuum,
    ):
        vacuum.execute("LOCK TABLE mart.segment IN SHARE UPDATE EXCLUSIVE MODE")
        deploying = pool.submit(warehouse.deploy, deployer, patience_s=0)
        wait_for(db, vacuum, "LOCK TABLE")
        db.execute(f"SET lock_timeout = '{LOCK_PATIENCE}'")
        assert db.execute("SELECT count(*) FROM bi.segment").fetchone() == (2,)
        vacuum.rollback()
        assert deploying.result() is True
    assert shape(db) == undisturbed


@pytest.mark.fault("F41", how="two deploys of newer contracts at once")
def test_f41_two_upgrades_at_once_leave_it_to_each_other(db, older_url, undisturbed):
    with ThreadPoolExecutor(2) as pool, psycopg.connect(older_url) as other:
        assert sorted(pool.map(warehouse.deploy, [db, other])) == [False, True]
    assert shape(db) == undisturbed


@contextmanager
def deploying(url: str) -> Iterator[tuple[multiprocessing.Process, Event]]:
    """A deploy in a process of its own, which begins when the event is set."""
    context = multiprocessing.get_context("spawn")
    ready, go = context.Event(), context.Event()
    process = context.Process(target=deploy_alone, args=(url, ready, go))
    process.start()
    try:
        assert ready.wait(PATIENCE_S)
        yield process, go
    finally:
        process.kill()
        process.join()


def deploy_alone(url: str, ready: Event, go: Event) -> None:
    contracts.all_tables()
    with psycopg.connect(url) as db:
        ready.set()
        go.wait()
        warehouse.deploy(db)


@pytest.mark.fault("F42", how="SIGKILL of a deploy that waits for a report")
def test_f42_an_upgrade_killed_in_the_middle_is_ended_by_the_next(db, older_url, undisturbed):
    before = rows(db)
    with deploying(older_url) as (process, go), psycopg.connect(older_url) as report:
        report.execute("SELECT * FROM mart.segment").fetchall()
        go.set()
        until(lambda: has(db, "mart.product_similarity"), "the deploy is at mart.segment")
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        assert not has(db, "mart.segment")
    assert warehouse.deploy(db) is True
    assert shape(db) == undisturbed
    assert rows(db, before) == before


@pytest.mark.fault("F42", how="SIGKILL of a deploy at a random moment of its work")
def test_f42_an_upgrade_killed_at_any_moment_is_ended_by_the_next(db, older_url, undisturbed, seed):
    before = rows(db)
    with deploying(older_url) as (process, go):
        go.set()
        process.join(np.random.default_rng([42, seed]).uniform(0, 0.4))
        process.kill()
        process.join()
    warehouse.deploy(db)
    assert shape(db) == undisturbed
    assert rows(db, before) == before
