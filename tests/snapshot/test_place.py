"""A snapshot in a store of objects: complete once its manifest is there, fetched to be read."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import fsspec
import pyarrow.parquet as pq
import pytest

from include import paths, profile, snapshot
from include.errors import ConfigError, ResourceError
from include.snapshot import place
from include.snapshot.schema import SCHEMA
from tests.bucket import bucket as made_bucket
from tests.bucket import serving
from tests.snapshot.test_snapshot import visit


@pytest.fixture(scope="module")
def settings() -> Iterator[dict[str, str]]:
    with serving() as said:
        yield said


@pytest.fixture
def bucket(settings, monkeypatch, tmp_path) -> Iterator[str]:
    """A folder in an empty bucket, and a home of this test's own for what is fetched."""
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PORTRAIT_HOME", str(tmp_path / "home"))
    with made_bucket("snapshots") as url:
        yield f"{url}/shop"


def names(root: str) -> list[str]:
    store, path = fsspec.core.url_to_fs(root)
    store.invalidate_cache()
    return sorted(each.removeprefix(f"{path}/") for each in store.find(path))


def count(folder: str | Path, entity: str) -> int:
    return pq.read_metadata(snapshot.files(snapshot.local(folder))[entity]).num_rows


def test_a_snapshot_is_fetched_from_a_bucket_once(company, bucket):
    folder = snapshot.take(company, bucket, run_id="one")
    assert folder == f"{bucket}/one"
    rows = snapshot.manifest(folder)["rows"]
    assert {entity: count(folder, entity) for entity in SCHEMA} == rows
    assert rows["order_line"] == 4
    held = (snapshot.local(folder) / "order_line.parquet").stat().st_ino
    assert (snapshot.local(folder) / "order_line.parquet").stat().st_ino == held


def test_a_snapshot_of_a_disk_is_where_it_is(company, tmp_path):
    folder = snapshot.take(company, tmp_path, run_id="one")
    assert snapshot.local(str(folder)) == folder


def test_what_was_fetched_goes_when_the_bucket_has_it_no_more(company, bucket):
    one = snapshot.local(snapshot.take(company, bucket, run_id="one"))
    visit(company, "v2")
    two = snapshot.local(snapshot.take(company, bucket, run_id="two", keep=1))
    assert (one.exists(), two.exists()) == (False, True)


def test_a_profile_that_one_machine_computed_is_there_on_another(
    company, bucket, tmp_path, monkeypatch
):
    folder = snapshot.take(company, bucket, run_id="one")
    made = profile.compute(snapshot.local(folder), date(2026, 3, 1))
    snapshot.share(made, folder)
    monkeypatch.setenv("PORTRAIT_HOME", str(tmp_path / "other"))
    other = snapshot.local(folder) / made.name
    assert (other != made, other.read_bytes()) == (True, made.read_bytes())


def test_a_task_that_fetches_later_leaves_another_ones_copy_where_it_is(company, bucket):
    folder = snapshot.take(company, bucket, run_id="one")
    target = snapshot.local(folder)
    held = target.stat().st_ino
    store, path = fsspec.core.url_to_fs(folder)
    stored = {
        entity: f"{path}/{name}" for entity, name in snapshot.manifest(folder)["files"].items()
    }
    place._fetch(store, stored, target, snapshot.manifest(target))  # both saw that it was not there
    assert target.stat().st_ino == held


def test_half_a_fetched_snapshot_is_fetched_again(company, bucket):
    folder = snapshot.take(company, bucket, run_id="one")
    (snapshot.local(folder) / "order_line.parquet").write_bytes(b"")
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
    held, rows = set(names(folder)), count(folder, "interaction")
    visit(company, "v2")
    other = snapshot.take(company, tmp_path, run_id="other")
    place.put(other, folder, snapshot.manifest(other))  # the same run once more, by a zombie
    assert held < set(names(folder))  # beside the first attempt's files, none in their place
    assert (rows, count(folder, "interaction")) == (1, 2)


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
    with pytest.raises(ResourceError, match=r"^snapshot: s3://far/one: .*; run profile again"):
        snapshot.local("s3://far/one")
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
