"""A snapshot in a store of objects: complete once its manifest is there, read by DuckDB."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import fsspec
import pytest
from moto.server import ThreadedMotoServer

from include import paths, snapshot
from include.errors import ConfigError, ResourceError
from include.snapshot import place
from include.snapshot.schema import SCHEMA
from tests.snapshot.test_snapshot import visit


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of an S3-compatible server of our own."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(server, monkeypatch) -> Iterator[str]:
    """The URL of an empty bucket."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    store = fsspec.filesystem("s3", skip_instance_cache=True)
    store.mkdir("snapshots")
    yield "s3://snapshots/shop"
    store.rm("snapshots", recursive=True)


def names(root: str) -> list[str]:
    store, path = fsspec.core.url_to_fs(root)
    store.invalidate_cache()
    return sorted(each.removeprefix(f"{path}/") for each in store.find(path))


def count(folder: str | Path, entity: str) -> int:
    with duckdb.connect(config={"autoinstall_known_extensions": False}) as db:
        snapshot.register(db, folder)
        path = snapshot.files(folder)[entity]
        return db.execute(f"SELECT count(*) FROM read_parquet('{path}')").fetchone()[0]


def test_duckdb_reads_a_snapshot_from_a_bucket(company, bucket):
    folder = snapshot.take(company, bucket, run_id="one")
    assert folder == f"{bucket}/one"
    rows = snapshot.manifest(folder)["rows"]
    assert {entity: count(folder, entity) for entity in SCHEMA} == rows
    assert rows["order_line"] == 4


def test_duckdb_reads_a_snapshot_from_a_disk(company, tmp_path):
    folder = snapshot.take(company, tmp_path, run_id="one")
    assert count(folder, "order_line") == 4


def test_a_bucket_knows_what_is_new_and_who_was_touched(company, bucket):
    one = snapshot.take(company, bucket, run_id="one")
    assert snapshot.take(company, bucket, run_id="two") == one == snapshot.newest(bucket)
    visit(company, "v2")
    two = snapshot.take(company, bucket, run_id="two")
    assert (two, snapshot.manifest(two)["previous"]["folder"]) == (f"{bucket}/two", one)
    assert count(two, "touched") > 0


def test_a_snapshot_without_its_manifest_is_none(company, bucket):
    folder = snapshot.take(company, bucket, run_id="one")
    store, path = fsspec.core.url_to_fs(folder)
    store.rm_file(f"{path}/manifest.json")
    assert snapshot.newest(bucket) is None
    assert snapshot.take(company, bucket, run_id="one") == folder == snapshot.newest(bucket)


def test_the_files_of_two_attempts_are_never_mixed(company, bucket, tmp_path):
    folder = snapshot.take(company, bucket, run_id="one")
    held = snapshot.files(folder)
    visit(company, "v2")
    other = snapshot.take(company, tmp_path, run_id="other")
    place.put(other, folder, snapshot.manifest(other))  # the same run once more, by a zombie
    assert not set(held.values()) & set(snapshot.files(folder).values())
    assert (count(folder, "interaction"), snapshot.manifest(folder)["rows"]["interaction"]) == (
        2,
        2,
    )


def test_only_the_newest_are_kept_in_a_bucket_and_half_of_one_is_removed_after_a_day(
    company, bucket, monkeypatch
):
    store, path = fsspec.core.url_to_fs(bucket)
    for name in ("half/unfinished", "half/order_line-1.parquet", "somebody/file"):
        store.pipe_file(f"{path}/{name}", b"1")
    for run_id in ("a", "b", "c"):
        visit(company, run_id)
        snapshot.take(company, bucket, run_id=run_id, keep=2)
    assert {name.partition("/")[0] for name in names(bucket)} == {"b", "c", "half", "somebody"}
    monkeypatch.setattr(place, "STALE_S", -1)
    visit(company, "d")
    snapshot.take(company, bucket, run_id="d", keep=2)
    assert {name.partition("/")[0] for name in names(bucket)} == {"c", "d", "somebody"}


def test_a_bucket_that_is_not_there_is_told_in_one_line(company, bucket):
    with pytest.raises(ResourceError, match=r"^snapshot: s3://absent/one: .*set another folder"):
        snapshot.take(company, "s3://absent", run_id="one")


def test_a_store_out_of_reach_is_told_in_one_line(company, bucket, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    fsspec.filesystem("s3").clear_instance_cache()
    with pytest.raises(ResourceError, match=r"^snapshot: s3://far/one: Could not connect"):
        snapshot.take(company, "s3://far", run_id="one")
    fsspec.filesystem("s3").clear_instance_cache()


def test_a_url_that_nothing_knows_is_refused(company):
    with pytest.raises(ConfigError, match=r"^PORTRAIT_SNAPSHOTS=ftq://.*install its fsspec"):
        snapshot.take(company, "ftq://somewhere/else", run_id="one")


def test_the_place_is_given_by_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("PORTRAIT_HOME", str(tmp_path))
    assert paths.snapshots() == tmp_path / "snapshots"
    monkeypatch.setenv("PORTRAIT_SNAPSHOTS", "s3://bucket/shop")
    assert paths.snapshots() == "s3://bucket/shop"
    monkeypatch.setenv("PORTRAIT_SNAPSHOTS", str(tmp_path / "other"))
    assert paths.snapshots() == tmp_path / "other"
