"""A profile knows nothing that is dated on or after its day, nor what landed after its moment."""

import hashlib
from datetime import timedelta
from pathlib import Path

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from include import profile, snapshot
from include.contracts import load
from tests.snapshot.conftest import empty_company  # noqa: F401
from tests.snapshot.edits import PRODUCTS, RECORDS, START, identify, land, random_edits

KNOWN_AT = START + timedelta(hours=1)
AS_OF = (START - timedelta(days=40)).date()
DATED = {  # entity -> when it happened; from as_of on nothing that it says may be seen
    "customer_order": "ordered_at",
    "order_line": "ordered_at",
    "interaction": "happened_at",
    "ticket": "opened_at",
    "feedback": "given_at",
    "consent": "given_at",
}
MOMENTS = {  # what may lie after as_of in a row that began before it
    "customer": ["signup_at"],
    "product": ["available_from", "discontinued_at"],
    "ticket": ["first_answer_at", "closed_at"],
}
OTHER = {  # another value of each type
    "text": "{} || '!'",
    "boolean": "NOT {}",
    "timestamptz": "{} + interval '3 days'",
    "bigint": "{} + 7",
    "integer": "{} + 7",
    "double precision": "5 - {}",
    "numeric(18,6)": "{} * 3 + 7",
}
KEPT = {"interaction": {"kind"}, "consent": {"purpose"}}  # one of a few words
LEAKS = {
    "dated on as_of": "SELECT customer_id, count(*) AS n FROM order_line "
    "WHERE ordered_on <= {as_of} GROUP BY customer_id",
    "closed after as_of": "SELECT customer_id, count(closed_at) AS n, max(closed_at) AS last "
    "FROM ticket WHERE opened_on < {as_of} GROUP BY customer_id",
    "given after as_of": "SELECT customer_id, max(given_on) AS last FROM consent "
    "GROUP BY customer_id",
}


@pytest.fixture
def shop(empty_company) -> psycopg.Connection:  # noqa: F811
    """Rows of every entity, in several versions, on both sides of as_of and of known_at."""
    for record in range(RECORDS):
        identify(empty_company, f"c{record}", 1 + record // 2, START - timedelta(days=1))
        land(empty_company, "customer", f"c{record}", START - timedelta(days=1), city="Oslo")
    random_edits(empty_company, np.random.default_rng(5), START, 900)
    for number in range(PRODUCTS):  # at the very moment
        land(empty_company, "order_line", f"edge{number}", START, order_source_id="edge",
             product_source_id=f"p{number}", customer_source_id=f"c{number}", quantity=1,
             unit_price=1, ordered_at=AS_OF)  # fmt: skip
    empty_company.commit()
    return empty_company


def perturb(db: psycopg.Connection) -> int:
    """Change every value that is dated on or after as_of, and land after known_at; how many."""
    changed = 0
    for table in (f"{entity}{part}" for entity in DATED for part in ("", "_history")):
        entity = table.removesuffix("_history")
        sets = ", ".join(
            f'"{column.name}" = {OTHER[column.type].format(column.name)}'
            for column in load(f"landing.{entity}").own_columns
            if column.name not in {"source", "source_id"} | KEPT.get(entity, set())
        )
        query = f"UPDATE landing.{table} SET {sets} WHERE {DATED[entity]} >= %s"
        changed += db.execute(query, [AS_OF]).rowcount
    for entity, columns in MOMENTS.items():
        for column in columns:
            for part in ("", "_history"):
                query = f"""UPDATE landing.{entity}{part}
                    SET {column} = {column} + interval '5 days' WHERE {column} >= %s"""
                changed += db.execute(query, [AS_OF]).rowcount
    random_edits(db, np.random.default_rng(6), KNOWN_AT + timedelta(hours=3), 900)
    return changed


def taken(db: psycopg.Connection, root: Path) -> Path:
    return snapshot.take(db, root, run_id="r", known_at=KNOWN_AT)


def test_what_is_dated_or_landed_later_changes_no_cell_of_the_profile(shop, tmp_path):
    before = taken(shop, tmp_path / "before")
    assert perturb(shop) > 100
    after = taken(shop, tmp_path / "after")
    expected = pq.read_table(profile.compute(before, AS_OF))
    assert expected.num_rows > 4
    assert_same(pq.read_table(profile.compute(after, AS_OF)), expected)


def test_the_profile_of_a_past_day_and_moment_can_be_made_again(shop, tmp_path):
    first = content_hash(profile.compute(taken(shop, tmp_path / "then"), AS_OF))
    random_edits(shop, np.random.default_rng(7), KNOWN_AT + timedelta(hours=3), 900)
    assert content_hash(profile.compute(taken(shop, tmp_path / "later"), AS_OF)) == first
    now = snapshot.take(shop, tmp_path / "now", run_id="r")
    assert content_hash(profile.compute(now, AS_OF)) != first


@pytest.mark.parametrize("leak", LEAKS)
def test_a_theme_that_leaks_would_be_seen(shop, tmp_path, leak):
    one = taken(shop, tmp_path / "before")
    perturb(shop)
    two = taken(shop, tmp_path / "after")
    with pytest.raises(AssertionError):
        assert_same(ran(two, LEAKS[leak]), ran(one, LEAKS[leak]))
    sound = (
        "SELECT customer_id, count(*) AS n FROM order_line WHERE ordered_on < {as_of} GROUP BY 1"
    )
    assert_same(ran(two, sound), ran(one, sound))


def ran(folder: Path, text: str) -> pa.Table:
    """The rows of a theme's text over a snapshot."""
    query = text.replace("{as_of}", f"DATE '{AS_OF}'")
    with profile.open_snapshot(folder) as (db, _):
        return db.sql(f"FROM ({query}) ORDER BY ALL").to_arrow_table()


def assert_same(found: pa.Table, expected: pa.Table) -> None:
    """Both tables hold the same rows; the columns that differ are named."""
    assert found.num_rows == expected.num_rows
    odd = [name for name in expected.column_names if not found[name].equals(expected[name])]
    assert odd == []


def content_hash(path: Path) -> str:
    """A hash of the rows of a Parquet file, however they are stored."""
    rows = pq.read_table(path).to_pylist()
    return hashlib.sha256(repr(rows).encode()).hexdigest()
