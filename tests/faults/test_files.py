"""Two runs beside each other in one folder, and disks that are full."""

import sqlite3
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import psycopg
import pyarrow.parquet as pq
import pytest

from include import landing, ledger, profile, snapshot
from include.errors import ResourceError
from include.snapshot.schema import SCHEMA
from include.sources import Source
from tests.faults.disks import MB, Cluster, Disk, cluster_on_small_disks, small_disk
from tests.faults.pauses import paused
from tests.marts.test_generations import publish, work
from tests.profile.random_shop import random_shop
from tests.snapshot.test_snapshot import visit
from tests.snapshots import write_snapshot

AS_OF = date(2025, 12, 15)
NO_ROOM = "the warehouse's server: no space left on the disk; make room, then run again"


def take(url: str, root: Path, run_id: str) -> Path:
    with psycopg.connect(url) as db:
        return snapshot.take(db, root, run_id=run_id)


def contents(folder: Path) -> dict[str, bytes]:
    """The bytes of every Parquet file that can be seen in a folder."""
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.parquet"))}


@pytest.mark.fault("F44", how="two processes are held just before each names its snapshot")
@pytest.mark.parametrize("run_ids", [("r", "r"), ("r", "s")], ids=["one run", "two runs"])
def test_f44_snapshots_taken_at_once_share_no_path_and_none_replaces_another(
    company,
    warehouse_url,
    tmp_path,
    run_ids,
):
    expected = contents(take(warehouse_url, tmp_path / "alone", "alone"))
    root = tmp_path / "snapshots"
    one, two = (root / run_id for run_id in run_ids)
    with (
        paused(one, take, warehouse_url, root, run_ids[0]) as first,
        paused(two, take, warehouse_url, root, run_ids[1]) as second,
    ):
        assert first.about_to_rename() != second.about_to_rename()
        assert snapshot.newest(root) is None
        assert first.go_on() == one
        named = one.stat().st_ino
        assert second.go_on() == two
    assert one.stat().st_ino == named
    assert contents(one) == contents(two) == expected
    assert {path.name for path in root.iterdir()} == set(run_ids)


@pytest.mark.fault("F44", how="two processes are held just before each names the same profile")
def test_f44_two_builds_of_one_profile_share_no_path_and_give_the_same_file(tmp_path):
    folder = write_snapshot(tmp_path / "snapshot", **random_shop(1))
    expected = profile.compute(write_snapshot(tmp_path / "alone", **random_shop(1)), AS_OF)
    target = folder / expected.name
    with (
        paused(target, profile.compute, folder, AS_OF) as first,
        paused(target, profile.compute, folder, AS_OF) as second,
    ):
        assert first.about_to_rename() != second.about_to_rename()
        assert not target.exists()
        assert first.go_on() == second.go_on() == target
    assert pq.read_table(target).equals(pq.read_table(expected))
    assert {path.name for path in folder.iterdir()} == {
        *(f"{entity}.parquet" for entity in SCHEMA),
        target.name,
        snapshot.MANIFEST,
    }


@pytest.fixture
def disk() -> Iterator[Disk]:
    with small_disk(16 * MB) as disk:
        yield disk


@pytest.mark.fault("F9", how="a snapshot while its disk is a full tmpfs")
def test_f9_a_full_disk_keeps_the_snapshots_that_are_there(
    company,
    warehouse_url,
    disk,
):
    old = take(warehouse_url, disk.folder, "old")
    before = contents(old)
    visit(company, "something new")
    with disk.full(but_bytes=4 << 10):
        with pytest.raises(ResourceError, match=r"new: .*No space left on device; make room"):
            take(warehouse_url, disk.folder, "new")
        assert {path.name for path in disk.folder.iterdir()} == {"old", "ballast"}
        assert (snapshot.newest(disk.folder), contents(old)) == (old, before)
    new = take(warehouse_url, disk.folder, "new")
    assert snapshot.newest(disk.folder) == new
    assert snapshot.manifest(new)["rows"]["interaction"] == 2


@pytest.mark.fault("F9", how="a profile while its disk is a full tmpfs")
def test_f9_a_full_disk_keeps_the_profile_that_is_there(disk):
    folder = write_snapshot(disk.folder / "snapshot", **random_shop(1))
    profile.compute(folder, AS_OF)
    before = contents(folder)
    with disk.full(but_bytes=4 << 10):
        for day in (AS_OF, date(2025, 12, 1)):  # one that is there, and a new one
            with pytest.raises(ResourceError, match="made: No space left on device; make room"):
                profile.compute(folder, day)
            assert contents(folder) == before
    profile.compute(folder, AS_OF)
    assert contents(folder) == before


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with cluster_on_small_disks(home_bytes=240 * MB, space_bytes=160 * MB) as cluster:
        yield cluster


CRM = Source.model_validate({
    "name": "crm",
    "connection": "crm",
    "entities": {
        "product": {
            "select": "SELECT sku AS source_id, title AS name, price FROM goods",
            "deletes": "sweep",
        }
    },
})


@pytest.fixture
def goods(tmp_path, monkeypatch) -> Callable[[int], None]:
    """A CRM; call with how many goods it has from now on."""
    path = tmp_path / "crm.sqlite"
    monkeypatch.setenv("AIRFLOW_CONN_CRM", f"sqlite:///{path}")
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE goods (sku text PRIMARY KEY, title text, price numeric)")

    def grow(number: int) -> None:
        with sqlite3.connect(path) as db:
            db.execute(
                """WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
                   INSERT OR IGNORE INTO goods SELECT 's' || i, 'thing ' || i, i % 100 FROM n""",
                [number],
            )

    return grow


def ingest(run_id: str) -> landing.Loaded:
    """One load as a task does it."""
    with ledger.step(run_id) as db:
        ledger.begin(db, run_id)
        loaded = landing.load(CRM, "product", db, run_id=run_id)
        ledger.finish(db, run_id)
    return loaded


def state(url: str) -> dict[str, str | None]:
    """What has landed and how far the source was read: the rows of every table, as a hash each."""
    tables = """SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r'
                AND (relnamespace = 'landing'::regnamespace OR relpersistence = 't'
                     OR oid IN ('ops.watermark'::regclass, 'ops.load'::regclass))"""
    query = "SELECT md5(string_agg(t::text, chr(10) ORDER BY t::text)) FROM {} AS t"
    with psycopg.connect(url) as db:
        return {
            table: db.execute(query.format(table)).fetchone()[0]
            for (table,) in db.execute(tables).fetchall()
        }


def message(url: str, run_id: str) -> tuple[str, str]:
    with psycopg.connect(url) as db:
        query = "SELECT status, message FROM ops.pipeline_run WHERE run_id = %s"
        return db.execute(query, [run_id]).fetchone()


@pytest.mark.fault(
    "F9", how="a load while the disk of the tables, or of temporary files, is a full tmpfs"
)
@pytest.mark.parametrize("full", ["tables", "temporary"])
def test_f9_a_load_onto_a_full_disk_is_rolled_back_and_the_next_one_succeeds(
    cluster, goods, monkeypatch, full
):
    url = cluster.create(f"load_{full}", tables_in_space=full == "tables")
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", url)
    goods(1000)
    assert ingest("ingest_crm/1").inserted == 1000
    before = state(url)
    goods(60_000)
    with cluster.space.full(but_bytes=MB):
        with pytest.raises(ResourceError, match=f"^{NO_ROOM}; nothing was lost$"):
            ingest("ingest_crm/2")
        assert state(url) == before
        assert message(url, "ingest_crm/2") == ("failed", f"{NO_ROOM}; nothing was lost")
    assert ingest("ingest_crm/3").inserted == 59_000


@pytest.mark.fault(
    "F9", how="a load while the WAL's disk is a full tmpfs, which brings the server down"
)
def test_f9_a_load_that_fills_the_wals_disk_changes_nothing_and_the_next_one_succeeds(
    cluster, goods, monkeypatch
):
    url = cluster.create("load_wal", tables_in_space=True)
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", url)
    goods(1000)
    ingest("ingest_crm/1")
    before = state(url)
    goods(100_000)
    with (
        cluster.home.full(but_bytes=MB),
        pytest.raises(ResourceError, match=r"^the warehouse's server.*; nothing was lost$"),
    ):
        ingest("ingest_crm/2")
    cluster.recover()
    assert state(url) == before
    assert ingest("ingest_crm/3").inserted == 99_000


@pytest.mark.fault("F9", how="a publish fills a mart while the disk of the tables is a full tmpfs")
def test_f9_a_publish_onto_a_full_disk_leaves_the_old_generation(cluster, tmp_path, monkeypatch):
    url = cluster.create("publish", tables_in_space=True)
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", url)
    small, large = (
        work(tmp_path / str(members), dict.fromkeys(range(members), "s1")) for members in (10, 5000)
    )
    with psycopg.connect(url, autocommit=True) as db:
        publish(db, small, "publish/1")
        shown = "SELECT generation, count(*) FROM bi.customer_profile GROUP BY 1"
        with cluster.space.full(but_bytes=MB):
            with (
                pytest.raises(ResourceError, match=NO_ROOM),
                ledger.step("publish/2") as task,
            ):
                publish(task, large, "publish/2")
            assert db.execute(shown).fetchall() == [(1, 10)]
        publish(db, large, "publish/2")
        assert db.execute(shown).fetchall() == [(2, 5000)]
