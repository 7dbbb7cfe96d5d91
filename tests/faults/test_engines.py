"""The engine that builds profiles, killed and starved, and held against another one."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from include import duck, ledger, profile
from include.errors import ResourceError
from include.snapshot.schema import SCHEMA
from tests.faults.pauses import paused
from tests.marts.test_generations import publish, work
from tests.profile.random_shop import random_shop
from tests.profile.test_engines import LANGUAGE, cells
from tests.snapshots import write_snapshot

AS_OF, EARLIER = date(2025, 12, 15), date(2025, 12, 14)
LINES = 300_000  # take some 80 MB of memory; with 50 they fit if the rest may go to disk
SCARCE_MEMORY = "90MB"


def build(url: str, folder: Path, day: date) -> None:
    """A profile as the task ``build`` makes it."""
    run_id = f"profile/{day}"
    with psycopg.connect(url, autocommit=True) as db:
        made = profile.compute(folder, day)
        customers = profile.customers(made)
        ledger.built(db, run_id, as_of=day, folder=str(folder), customers=customers)


def visible(folder: Path) -> dict[str, bytes]:
    """What any reader of a snapshot folder takes for a part of it."""
    return {path.name: path.read_bytes() for path in folder.glob("*.parquet")}


@dataclass(frozen=True)
class Large:
    """A snapshot of so many order lines that memory may get scarce, and its profile."""

    folder: Path
    expected: pa.Table
    build_s: float


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Large:
    folder = write_snapshot(tmp_path_factory.mktemp("large"))
    write_order_lines(folder / "order_line.parquet")
    profile.compute(folder, EARLIER)
    started = time.monotonic()
    expected = pq.read_table(profile.compute(folder, AS_OF))
    return Large(folder, expected, time.monotonic() - started)


def write_order_lines(path: Path) -> None:
    made = duckdb.sql(
        f"""SELECT *, CAST(ordered_at AS date) AS ordered_on, hour(ordered_at) AS ordered_hour
            FROM (SELECT 'o' || (i // 2) AS order_id, (i // 2) * 7919 % {LINES // 8} AS customer_id,
                         'p' || (i * 31 % 500) AS product_id, true AS is_product, i % 2 AS line_no,
                         TIMESTAMP '2025-01-01' + to_seconds(i * 37 % 30000000) AS ordered_at,
                         1.0 AS quantity, (i % 100) / 10 AS unit_price, NULL AS discount,
                         (i % 100) / 10 AS amount
                  FROM range({LINES}) AS t (i))"""
    ).to_arrow_table()
    schema = SCHEMA["order_line"]
    pq.write_table(made.select(schema.names).cast(schema), path)


@pytest.mark.fault("F48", how="SIGKILL of a build that is held just before the file gets its name")
@pytest.mark.parametrize("day", [AS_OF, EARLIER], ids=["of a new day", "of the same day again"])
def test_f48_a_killed_build_leaves_the_old_profile_and_what_bi_reads(warehouse_url, tmp_path, day):
    folder = write_snapshot(tmp_path / "snapshot", **random_shop(1))
    build(warehouse_url, folder, EARLIER)
    with psycopg.connect(warehouse_url, autocommit=True) as db:
        publish(db, work(tmp_path / "work", {1: "s1"}), "publish/1")
        before = visible(folder)
        target = folder / f"profile_{day}.parquet"
        with paused(target, build, warehouse_url, folder, day) as builder:
            written = builder.about_to_rename()
            assert pq.read_metadata(written).num_rows > 10
            builder.kill()
        assert visible(folder) == before
        assert ledger.newest_profile(db) == (EARLIER, str(folder))
        assert db.execute("SELECT generation FROM bi.customer_profile").fetchall() == [(1,)]
        build(warehouse_url, folder, day)
        assert ledger.newest_profile(db) == (day, str(folder))


@pytest.mark.fault("F48", how="SIGKILL of a build at a random moment of its work")
def test_f48_a_build_killed_at_any_moment_leaves_a_whole_profile_or_none(large, seed):
    target = large.folder / f"profile_{AS_OF}.parquet"
    target.unlink(missing_ok=True)
    before = visible(large.folder)
    with paused(None, profile.compute, large.folder, AS_OF) as builder:
        builder.process.join(np.random.default_rng([48, seed]).uniform(0, 1.5 * large.build_s))
        builder.kill()
    after = visible(large.folder)
    assert after.keys() - before.keys() <= {target.name}
    assert target.name not in after or pq.read_table(target).equals(large.expected)
    assert pq.read_table(profile.compute(large.folder, AS_OF)).equals(large.expected)


@pytest.mark.fault("F48", how="a build with little memory, then with little disk to spill to")
def test_f48_a_build_spills_up_to_its_limit_and_then_leaves_the_old_profile(large, monkeypatch):
    target = profile.compute(large.folder, AS_OF)
    before, names = visible(large.folder), set(large.folder.iterdir())
    monkeypatch.setattr(duck, "MEMORY_LIMIT", SCARCE_MEMORY)
    monkeypatch.setattr(duck, "SPILL_LIMIT", "100KB")
    with pytest.raises(ResourceError, match="needs more than 90MB of memory and 100KB of disk; "):
        profile.compute(large.folder, AS_OF)
    assert (visible(large.folder), set(large.folder.iterdir())) == (before, names)
    monkeypatch.setattr(duck, "SPILL_LIMIT", "1GB")
    target.unlink()
    assert pq.read_table(profile.compute(large.folder, AS_OF)).equals(large.expected)
    monkeypatch.setattr(duck, "MEMORY_LIMIT", "20MB")
    with pytest.raises(ResourceError, match="needs more than 20MB of memory; "):
        profile.compute(large.folder, AS_OF)
    assert pq.read_table(target).equals(large.expected)


NIGHTS = ["2025-03-30 01:59:59.5", "2025-03-30 02:30", "2025-03-30 03:00",
          "2025-10-26 02:00", "2025-10-26 02:30", "2025-10-26 03:00"]  # fmt: skip
NIGHT_OWL = 1001


def awkward_shop(seed: int) -> dict[str, list[dict]]:
    """A random shop, and one who buys and asks when the clocks change, twice at the same time."""
    shop = random_shop(seed)
    for number, at in enumerate([*NIGHTS, *NIGHTS]):
        order = {"customer_id": NIGHT_OWL, "order_id": f"night{number}", "ordered_at": at}
        shop["customer_order"].append({**order, "channel": "aB"[number % 2]})
        shop["order_line"] += [{**order, "product_id": p} for p in ("shop:a1", "shop:B2")]
        ticket = {"ticket_id": f"night{number}", "customer_id": NIGHT_OWL, "opened_at": at}
        shop["ticket"].append({**ticket, "closed_at": "2025-10-27 00:00"})
    return shop


def differing(
    postgres: psycopg.Connection,
    duck: duckdb.DuckDBPyConnection,
    day: date,
    *,
    change: Callable[[str], str] = str,
) -> set[str]:
    """The features of which any customer has another value on PostgreSQL than on DuckDB."""
    found = set()
    for theme in profile.THEMES:
        one = cells(postgres.execute(change(profile.sql(theme, day, engine="postgres"))))
        two = cells(duck.execute(profile.sql(theme, day)))
        assert len(one) > 10
        for customer in one.keys() | two.keys():
            left, right = one.get(customer, {}), two.get(customer, {})
            found |= {
                name for name in left.keys() | right.keys() if left.get(name) != right.get(name)
            }
    return found


@pytest.fixture
def both(engines):
    """Fill PostgreSQL and DuckDB, whose sessions are in zones that change their clocks."""

    def fill(shop: dict[str, list[dict]]) -> tuple[psycopg.Connection, duckdb.DuckDBPyConnection]:
        postgres, duck = engines(**shop)
        postgres.execute("SET TimeZone = 'Europe/Berlin'")
        duck.execute("SET TimeZone = 'America/New_York'")
        return postgres, duck

    return fill


@pytest.mark.fault("F49", how="random shops with missing values, ties and the nights of new clocks")
def test_f49_postgresql_and_duckdb_give_the_same_cells(both, seed):
    postgres, duck = both(awkward_shop(seed))
    for day in (AS_OF, date(2025, 10, 26), date(2025, 10, 27)):
        assert differing(postgres, duck, day) == set()


@pytest.mark.fault("F49", how="one value is changed on one side: the comparison names the feature")
@pytest.mark.parametrize(
    ("planted", "feature"),
    [
        (f"UPDATE order_line SET amount = amount + 0.000001 WHERE customer_id = {NIGHT_OWL}",
         "revenue"),
        (f"UPDATE order_line SET ordered_at = ordered_at + interval '1 hour'"
         f" WHERE ordered_at = '{NIGHTS[0]}'", "first_order_at"),
        (f"UPDATE ticket SET closed_at = closed_at + interval '1 hour'"
         f" WHERE customer_id = {NIGHT_OWL}", "solve_hours_mean"),
        ("UPDATE customer SET city = '' WHERE city IS NULL", "city"),
        ("DELETE FROM customer_order WHERE order_id = 'night1'", "preferred_channel"),
    ],
    ids=["the last digit", "an hour", "a closing", "empty for missing", "a lost row"],
)  # fmt: skip
def test_f49_a_planted_difference_is_found(both, planted, feature):
    postgres, duck = both(awkward_shop(1))
    postgres.execute(planted)
    assert feature in differing(postgres, duck, AS_OF)


@pytest.mark.fault("F49", how="one side breaks ties otherwise: the comparison names the features")
@pytest.mark.parametrize(
    ("old", "new"),
    [(' COLLATE "C"', ""), ("min(top_product_id", "max(top_product_id")],
    ids=["by a language's letters", "the last one wins"],
)
def test_f49_ties_that_are_broken_otherwise_are_found(both, old, new):
    postgres, duck = both(awkward_shop(1))
    if new == "" and postgres.execute(f"{LANGUAGE} EXCEPT SELECT 'C'").fetchone() is None:
        pytest.skip("this PostgreSQL sorts by bytes only")
    found = differing(postgres, duck, AS_OF, change=lambda text: text.replace(old, new))
    assert "top_product_id" in found
