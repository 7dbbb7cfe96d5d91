"""PostgreSQL and DuckDB give the same cells from the same SQL text."""

import math
from datetime import date
from decimal import Decimal

import duckdb
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from include import profile
from include.snapshot.schema import SCHEMA
from tests.profile.random_shop import random_shop
from tests.snapshots import write_snapshot

AS_OF = date(2025, 12, 15)
# A warehouse may sort by a language's rules; DuckDB always sorts by bytes.
LANGUAGE = (
    "SELECT collname FROM pg_collation WHERE collname IN ('en-x-icu', 'en_US') UNION SELECT 'C'"
)
MANIFEST = "CREATE TEMP TABLE manifest AS SELECT true AS consent_mapped"


def postgres_type(kind: pa.DataType, collation: str) -> str:
    if pa.types.is_decimal(kind):
        return f"numeric({kind.precision},{kind.scale})"
    if pa.types.is_string(kind):
        return f'text COLLATE "{collation}"'
    names = {"int64": "bigint", "int32": "integer", "bool": "boolean"}
    names |= {"date32[day]": "date", "timestamp[us]": "timestamp", "double": "double precision"}
    return names[str(kind)]


@pytest.fixture
def engines(empty_database, tmp_path):
    """Fill both engines from one snapshot folder; returns what fills them."""
    with psycopg.connect(empty_database) as postgres, duckdb.connect() as duck:

        def fill(**tables):
            write_snapshot(tmp_path, **tables)
            postgres.execute(MANIFEST)
            duck.execute(MANIFEST)
            [collation] = postgres.execute(f"{LANGUAGE} ORDER BY 1 DESC LIMIT 1").fetchone()
            for entity, schema in SCHEMA.items():
                path = tmp_path / f"{entity}.parquet"
                duck.execute(f"CREATE VIEW {entity} AS FROM read_parquet('{path}')")
                columns = ", ".join(
                    f"{field.name} {postgres_type(field.type, collation)}" for field in schema
                )
                postgres.execute(f"CREATE TEMP TABLE {entity} ({columns})")
                with postgres.cursor().copy(f"COPY {entity} FROM STDIN") as copy:
                    for row in pq.read_table(path).to_pylist():
                        copy.write_row(list(row.values()))
            return postgres, duck

        yield fill


def cells(cursor) -> dict[int, dict[str, object]]:
    """The rows by customer; numbers that are equal compare equal, whatever their type."""
    names = [column[0] for column in cursor.description]
    rows = [dict(zip(names, map(plain, row), strict=True)) for row in cursor.fetchall()]
    by_customer = {row["customer_id"]: row for row in rows}
    assert len(by_customer) == len(rows)
    return by_customer


def plain(value):
    if isinstance(value, float):
        assert math.isfinite(value)
    return float(value) if isinstance(value, int | Decimal) else value


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_theme_gives_the_same_cells_on_both_engines(engines, seed):
    postgres, duck = engines(**random_shop(seed))
    for theme in profile.THEMES:
        expected = cells(postgres.execute(profile.sql(theme, AS_OF, engine="postgres")))
        assert len(expected) > 10
        assert cells(duck.execute(profile.sql(theme, AS_OF))) == expected, theme


NIGHTS = ["2025-03-30 01:59:59.5", "2025-03-30 02:30", "2025-03-30 03:00", "2025-10-26 02:00",
          "2025-10-26 02:30", "2025-10-26 03:00"]  # fmt: skip


def with_nights(shop):
    """One more customer, who buys and asks when the clocks change, twice at the same time."""
    for number, at in enumerate([*NIGHTS, *NIGHTS]):
        order = {"customer_id": 999, "order_id": f"night{number}", "ordered_at": at}
        shop["customer_order"].append({**order, "channel": "aB"[number % 2]})
        shop["order_line"] += [{**order, "product_id": p} for p in ("shop:a1", "shop:B2")]
        shop["ticket"].append({"customer_id": 999, "ticket_id": f"night{number}", "opened_at": at})
    return shop


@pytest.mark.parametrize("seed", [4, 5])
@pytest.mark.parametrize("as_of", [AS_OF, date(2025, 10, 27)])
def test_the_shared_tables_and_the_whole_profile_are_the_same_on_both_engines(engines, seed, as_of):
    postgres, duck = engines(**with_nights(random_shop(seed)))
    for name in profile.SHARED:
        postgres.execute(f"CREATE TEMP TABLE {name} AS {profile.text(name, as_of, 'postgres')}")
        duck.execute(f"CREATE TEMP TABLE {name} AS {profile.text(name, as_of)}")
        expected = rows(postgres.execute(f"SELECT * FROM {name}"))
        assert len(expected) > 100
        assert rows(duck.execute(f"SELECT * FROM {name}")) == expected, name
    for theme in profile.THEMES:
        text = profile.text(theme, as_of, "postgres")
        postgres.execute(f"CREATE TEMP TABLE theme_{theme} AS {text}")
        duck.execute(f"CREATE TEMP TABLE theme_{theme} AS {profile.text(theme, as_of)}")
    facts = profile.facts(profile.owners(duck, [f"theme_{theme}" for theme in profile.THEMES]))
    for engine in (postgres, duck):
        engine.execute(f"CREATE TEMP TABLE facts AS {facts}")
    assert cells(duck.execute("FROM facts")) == cells(postgres.execute("SELECT * FROM facts"))
    expected = cells(postgres.execute(profile.text(profile.LAST, as_of, "postgres")))
    assert len(expected) > 30
    assert cells(duck.execute(profile.text(profile.LAST, as_of))) == expected


def rows(cursor) -> list[tuple[object, ...]]:
    """All rows in one order; numbers that are equal compare equal, whatever their type."""
    return sorted((tuple(map(plain, row)) for row in cursor.fetchall()), key=repr)


def test_every_theme_runs_on_empty_tables_on_both_engines(engines):
    postgres, duck = engines()
    for theme in profile.THEMES:
        assert postgres.execute(profile.sql(theme, AS_OF, engine="postgres")).fetchall() == []
        assert duck.execute(profile.sql(theme, AS_OF)).fetchall() == []
