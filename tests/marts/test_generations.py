"""A generation is seen whole or not at all."""

from datetime import date
from pathlib import Path

import pandas as pd
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from include import contracts
from include.errors import InputError, QualityError
from include.marts import IN_DATABASE, MARTS, audiences, checks, fill, generations, retire
from tests.snapshots import write_snapshot

DAY = date(2026, 3, 1)


def write(path: Path, table: str, rows: list[dict]) -> None:
    """A work file with the contract's columns; what a row leaves out is null, or 0 if required."""
    kinds = {"bigint": pa.int64(), "integer": pa.int32(), "double precision": pa.float64()}
    kinds |= {"boolean": pa.bool_(), "date": pa.date32(), "timestamp": pa.timestamp("us")}
    own = contracts.load(f"mart.{table}").own_columns
    empty = {"text": "", "boolean": False}
    needed = {column.name: empty.get(column.type, 0) for column in own if column.required}
    fields = [
        (
            column.name,
            kinds.get(column.type, pa.float64() if "numeric" in column.type else pa.string()),
        )
        for column in own
    ]
    rows = [{**needed, **row} for row in rows]
    columns = {name: pa.array([row.get(name) for row in rows], kind) for name, kind in fields}
    pq.write_table(pa.table(columns), path)


@pytest.fixture
def db(warehouse_url):
    with psycopg.connect(warehouse_url, autocommit=True) as db:
        yield db


def work(tmp_path: Path, members: dict[int, str], day: date = DAY) -> Path:
    """The work files of a publish in which each customer is in one segment; an empty snapshot."""
    write_snapshot(tmp_path)
    write(
        tmp_path / f"profile_{day}.parquet",
        "customer_profile",
        [
            {"customer_id": c, "revenue": 10.0, "order_count": 1, "city": "", "country": 'A,"B'}
            for c in members
        ],
    )
    rows = [{"customer_id": c, "segment_key": k, "segment_name": k} for c, k in members.items()]
    write(tmp_path / "customer_segment.parquet", "customer_segment", rows)
    sizes = pd.Series(members).value_counts()
    write(
        tmp_path / "segment.parquet",
        "segment",
        [{"segment_key": k, "name": k, "customers": int(n)} for k, n in sizes.items()],
    )
    for table in (
        *("profile_coverage", "customer_score", "customer_value"),
        *("recommendation", "product_similarity", "bundle", "product_audience", "lift"),
        *("segment_feature", "segment_map", "rule_segment", "rule_segment_member"),
    ):
        write(tmp_path / f"{table}.parquet", table, [])
    return tmp_path


def finish(db, generation: int, run_id: str, day: date = DAY) -> None:
    """What follows once the work files are in their tables."""
    checks.check(db, generation=generation, as_of=day, run_id=run_id)
    generations.attach(db, generation=generation, tables=MARTS)
    audiences.fill(db, generation=generation, as_of=day, wanted=[])
    generations.attach(db, generation=generation, tables=IN_DATABASE)
    generations.switch(db, generation=generation, as_of=day, run_id=run_id)


def publish(db, folder: Path, run_id: str, day: date = DAY) -> int:
    generation = generations.begin(db, as_of=day, run_id=run_id, data_to=None, stale_reason=None)
    for table in MARTS:
        fill.fill(db, table, generation=generation, as_of=day, work=folder, folder=folder)
    finish(db, generation, run_id, day)
    return generation


def test_a_publish_shows_bi_the_new_generation(db, tmp_path):
    assert publish(db, work(tmp_path, {1: "s1", 2: "s1", 3: "s2"}), "publish/1") == 1
    rows = db.execute(
        """SELECT customer_id, generation, as_of, segment_key, since, previous_segment_key
           FROM bi.customer_segment ORDER BY 1"""
    ).fetchall()
    assert rows == [
        (1, 1, DAY, "s1", DAY, None),
        (2, 1, DAY, "s1", DAY, None),
        (3, 1, DAY, "s2", DAY, None),
    ]
    migration = "SELECT from_key, to_key, customers FROM bi.segment_migration ORDER BY 2"
    assert db.execute(migration).fetchall() == [("(new)", "s1", 2), ("(new)", "s2", 1)]


def test_models_are_as_old_as_the_oldest_that_is_still_trained(db, tmp_path):
    for model, day in (
        ("churn", "2026-01-01"), ("need:Tea", "2025-06-01"),  # tea is bought by few now
        ("churn", "2026-02-01"), ("need:Nails", "2026-02-01"),
    ):  # fmt: skip
        db.execute(
            """INSERT INTO ops.model_version (model, model_version, as_of, "window", card, champion,
                   decision, reason, run_id, recorded_at)
               VALUES (%s, %s, %s, '', '{}', true, 'promoted', '', 'train/1', now())
               ON CONFLICT DO NOTHING""",
            [model, f"{model}-{day}", day],
        )
        db.execute(
            "UPDATE ops.model_version SET champion = (as_of = %s) WHERE model = %s", [day, model]
        )
    publish(db, work(tmp_path, {1: "s1"}), "publish/1", date(2026, 3, 1))
    row = db.execute("SELECT model_as_of FROM bi.freshness").fetchone()
    assert row == (date(2026, 2, 1),)


def test_empty_text_and_null_stay_distinct(db, tmp_path):
    publish(db, work(tmp_path, {1: "s1"}), "publish/1")
    row = db.execute("SELECT city, country, region FROM bi.customer_profile").fetchone()
    assert row == ("", 'A,"B', None)


def test_the_next_day_says_who_moved_and_since_when_they_stay(db, tmp_path):
    publish(db, work(tmp_path, {1: "s1", 2: "s1", 9: "s1"}), "publish/1")
    later = date(2026, 3, 2)
    publish(db, work(tmp_path, {1: "s1", 2: "s2", 3: "s2"}, later), "publish/2", later)
    rows = "SELECT customer_id, since, previous_segment_key FROM bi.customer_segment ORDER BY 1"
    assert db.execute(rows).fetchall() == [(1, DAY, "s1"), (2, later, "s1"), (3, later, None)]
    assert db.execute(
        "SELECT from_key, to_key, customers FROM bi.segment_migration ORDER BY 1, 2"
    ).fetchall() == [("(new)", "s2", 1), ("s1", "(gone)", 1), ("s1", "s1", 1), ("s1", "s2", 1)]


def test_publishing_a_day_again_gives_the_same_rows_but_for_the_generation(db, tmp_path):
    folder = work(tmp_path, {1: "s1", 2: "s2"})
    publish(db, folder, "publish/0", date(2026, 3, 1))
    views = [f"bi.{table}" for table in MARTS]

    def rows() -> dict[str, list]:
        return {
            view: sorted(
                map(
                    str,
                    pd
                    .DataFrame(
                        db.execute(f"SELECT * FROM {view}").fetchall(),
                        columns=[
                            c.name for c in db.execute(f"SELECT * FROM {view} LIMIT 0").description
                        ],
                    )
                    .drop(columns="generation")
                    .itertuples(index=False),
                )
            )
            for view in views
        }

    first = rows()
    assert publish(db, folder, "publish/2") == 2
    assert rows() == first


def test_a_killed_publish_leaves_the_old_generation_and_the_next_one_clears_it(db, tmp_path):
    folder = work(tmp_path, {1: "s1"})
    publish(db, folder, "publish/1")
    left = generations.begin(
        db, as_of=DAY, run_id="publish/killed", data_to=None, stale_reason=None
    )
    fill.fill(db, "segment", generation=left, as_of=DAY, work=folder, folder=folder)
    assert db.execute("SELECT DISTINCT generation FROM bi.segment").fetchall() == [(1,)]
    assert publish(db, folder, "publish/3") == 3
    assert db.execute("SELECT to_regclass('mart.segment__g2')").fetchone() == (None,)
    assert db.execute("SELECT generation, status FROM ops.generation ORDER BY 1").fetchall() == [
        (1, "ready"),
        (2, "retired"),
        (3, "ready"),
    ]


def test_an_inconsistent_generation_is_kept_from_bi(db, tmp_path):
    publish(db, work(tmp_path, {1: "s1"}), "publish/1")
    folder = work(tmp_path, {1: "s1", 2: "s1"})
    write(folder / f"profile_{DAY}.parquet", "customer_profile", [{"customer_id": 1}])
    with pytest.raises(QualityError, match=r"every member of a segment has a profile \(1 do not\)"):
        publish(db, folder, "publish/2")
    assert db.execute("SELECT count(*) FROM bi.customer_segment").fetchone() == (1,)


def test_three_generations_are_kept_and_a_report_may_pin_one(db, tmp_path):
    for number in range(1, 6):
        publish(db, work(tmp_path, dict.fromkeys(range(number), "s1")), f"publish/{number}")
        retire.retire(db)
    assert db.execute(
        "SELECT generation FROM ops.generation WHERE status = 'ready' ORDER BY 1"
    ).fetchall() == [(3,), (4,), (5,)]
    db.execute("SET portrait.generation = '3'")
    assert db.execute("SELECT count(*) FROM bi.customer_segment").fetchone() == (3,)


def test_rollback_points_bi_at_the_generation_before(db, tmp_path):
    for number in (1, 2):
        publish(db, work(tmp_path, dict.fromkeys(range(number), "s1")), f"publish/{number}")
    assert generations.rollback(db, run_id="rollback/1") == 1
    assert db.execute("SELECT count(*) FROM bi.customer_segment").fetchone() == (1,)
    with pytest.raises(InputError, match="generation 7 is not kept; kept: 1, 2"):
        generations.rollback(db, run_id="rollback/2", generation=7)


def test_a_reader_in_a_transaction_neither_blocks_a_publish_nor_is_blocked(
    db, warehouse_url, tmp_path
):
    folder = work(tmp_path, {1: "s1"})
    for number in range(1, 5):
        publish(db, folder, f"publish/{number}")
    with psycopg.connect(warehouse_url) as reader:
        assert reader.execute("SELECT count(*) FROM bi.customer_segment").fetchone() == (1,)
        publish(db, work(tmp_path, {1: "s1", 2: "s1"}), "publish/5")
        assert retire.retire(db) == []
        assert reader.execute("SELECT count(*) FROM bi.segment").fetchone() == (1,)
    assert retire.retire(db) == [1, 2]


def test_ten_publishes_leave_three_generations_and_nothing_else(db, tmp_path):
    folder = work(tmp_path, dict.fromkeys(range(50), "s1"))
    for number in range(1, 11):
        publish(db, folder, f"publish/{number}")
        retire.retire(db)
    left = """SELECT DISTINCT substring(relname FROM '__g([0-9]+)$')::int FROM pg_class
        WHERE relname ~ '__g[0-9]+$' AND relkind = 'r' ORDER BY 1"""
    assert db.execute(left).fetchall() == [(8,), (9,), (10,)]
    kept = "SELECT count(*) FROM mart.customer_profile_history"
    assert db.execute(kept).fetchone() == (50,)
    rewritten = """SELECT relname::text, n_tup_ins, n_tup_upd + n_tup_del
        FROM pg_stat_user_tables WHERE relname = 'customer_profile_history'"""
    db.execute("SELECT pg_stat_force_next_flush()")
    assert db.execute(rewritten).fetchall() == [("customer_profile_history", 50, 0)]
