"""What a profile costs: core-seconds and peak memory, one JSON line a figure.

python bench/profile.py FOLDER  (what ../shared/bench/make_orders.py wrote; 20 M lines: 2 GB disk)

The limit is ../shared/bench/feature_limit.py: 38 features, computed from its own files. The ratios
count: the machine may be busy.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import date, timedelta
from multiprocessing import get_context
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from include import duck, profile
from include.snapshot.schema import SCHEMA

AS_OF = date(2026, 11, 1)
LIMIT = Path(__file__).parents[2] / "shared" / "bench" / "feature_limit.py"
TABLES = ("customers", "products", "orders", "order_lines")
SNAPSHOT = {
    "customer": """SELECT customer_id, 'shop' AS source, CAST(customer_id AS text) AS source_id,
        CAST(signup_at AS date) AS signup_on, country FROM customers""",
    "product": """SELECT 'shop:' || product_id AS product_id, 'shop' AS source, name, category,
        brand, list_price AS price, true AS in_stock, true AS is_product,
        false AS age_restricted FROM products""",
    "customer_order": """SELECT 'shop:' || order_id AS order_id, customer_id, ordered_at,
        CAST(ordered_at AS date) AS ordered_on, hour(ordered_at) AS ordered_hour, channel,
        amount AS total FROM orders""",
    "order_line": """SELECT 'shop:' || order_id AS order_id, customer_id,
        'shop:' || product_id AS product_id, true AS is_product, line_id AS line_no, ordered_at,
        CAST(ordered_at AS date) AS ordered_on, hour(ordered_at) AS ordered_hour, quantity,
        unit_price, NULL AS discount, amount FROM order_lines""",
}
# The limit's own text over the columns of a snapshot.
VIEWS = """
CREATE VIEW order_lines AS SELECT customer_id, order_id, product_id, amount,
    CAST(ordered_at AS timestamptz) AS ordered_at FROM order_line;
CREATE VIEW products AS SELECT product_id, category FROM product;
CREATE VIEW customers AS SELECT customer_id, CAST(signup_on AS timestamptz) AS signup_at
    FROM customer
"""


def write_snapshot(source: Path, folder: Path) -> int:
    """Write the made-up shop as a snapshot, with the row groups that a real one has."""
    folder.mkdir()
    with duckdb.connect(config={"threads": 2, "memory_limit": "2GB"}) as db:
        db.execute("SET TimeZone = 'UTC'")
        for table in TABLES:
            path = duck.quoted(source / f"{table}.parquet")
            db.execute(f"CREATE VIEW {table} AS FROM read_parquet({path})")
        for entity, schema in SCHEMA.items():
            empty = ", ".join(f"CAST(NULL AS {_type(field.type)}) {field.name}" for field in schema)
            rows = f"SELECT {empty} WHERE false"
            if entity in SNAPSHOT:
                rows += f" UNION ALL BY NAME {SNAPSHOT[entity]}"
            columns = ", ".join(f"CAST({f.name} AS {_type(f.type)}) AS {f.name}" for f in schema)
            db.execute(
                f"COPY (SELECT {columns} FROM ({rows})) TO "
                f"{duck.quoted(folder / f'{entity}.parquet')} (FORMAT parquet, COMPRESSION zstd, "
                "ROW_GROUP_SIZE 190000)"
            )
    (folder / "manifest.json").write_text(json.dumps({"consent_mapped": False}))
    return int(pq.read_metadata(folder / "customer.parquet").num_rows)


def _type(kind: pa.DataType) -> str:
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision}, {kind.scale})"
    names = {"int64": "bigint", "int32": "integer", "bool": "boolean", "string": "text"}
    return {**names, "date32[day]": "date", "timestamp[us]": "timestamp", "double": "double"}[
        str(kind)
    ]


def follow(before: Path, after: Path, share: float) -> None:
    """The same snapshot again, in which a share of the customers is called changed."""
    after.mkdir()
    for file in before.glob("*.parquet"):
        if not file.name.startswith("profile_"):
            os.link(file, after / file.name)
    everyone = pq.read_table(before / "customer.parquet", columns=["customer_id"])
    pq.write_table(everyone.slice(0, int(len(everyone) * share)), after / "touched.parquet")
    manifest = {"consent_mapped": False, "previous": {"folder": before.name}}
    (after / "manifest.json").write_text(json.dumps(manifest))


def compute(folder: Path, as_of: date, base: Path | None) -> int:
    return profile.customers(profile.compute(folder, as_of, base=base))


def limit_on_snapshot(folder: Path, query: str) -> int:
    """The 38 features of the limit by its own SQL, from a snapshot as profiles are computed."""
    with profile.open_snapshot(folder) as (db, scratch):
        db.execute("SET TimeZone = 'UTC'")
        db.execute(VIEWS)
        made = scratch / "features.parquet"
        db.execute(f"COPY ({query}) TO {duck.quoted(made)} (FORMAT parquet)")
        return profile.customers(made)


def _measured(work: Callable[..., int], *args: object) -> dict[str, float]:
    start, used = time.perf_counter(), time.process_time()
    rows = work(*args)
    return {
        "core_s": time.process_time() - used,
        "wall_s": time.perf_counter() - start,
        "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "customers": rows,
    }


def measure(name: str, work: Callable[..., int], *args: object) -> float:
    """Do it in a process of its own, print its figures and return its core-seconds."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        figures = process.submit(_measured, work, *args).result()
    rounded = {key: round(value, 2) for key, value in figures.items()}
    print(json.dumps({"name": f"profile_{name}", **rounded}), flush=True)
    return figures["core_s"]


def main() -> None:
    source = Path(sys.argv[1])
    command = [sys.executable, str(LIMIT)]
    query = subprocess.run([*command, "--print-sql"], check=True, capture_output=True, text=True)
    with tempfile.TemporaryDirectory(dir=source) as name:
        before, after = Path(name) / "before", Path(name) / "after"
        measure("written", write_snapshot, source, before)
        answer = subprocess.run(
            [*command, "--data", str(source)], check=True, capture_output=True, text=True
        ).stdout
        print(answer.strip(), flush=True)
        limit = json.loads(answer)["cpu_s"]
        alike = measure("limit_on_snapshot", limit_on_snapshot, before, query.stdout)
        full = measure("full", compute, before, AS_OF, None)
        follow(before, after, 0.01)
        base = before / f"profile_{AS_OF}.parquet"
        changed = measure("one_percent_changed", compute, after, AS_OF, base)
        next_day = measure("next_day", compute, before, AS_OF + timedelta(days=1), base)
    ratios = {
        "limit_on_snapshot_to_limit": alike / limit, "full_to_limit": full / limit,
        "one_percent_changed_to_full": changed / full, "next_day_to_full": next_day / full,
    }  # fmt: skip
    for figure, value in ratios.items():
        print(json.dumps({"name": f"profile_{figure}", "value": round(value, 3), "unit": "ratio"}))


if __name__ == "__main__":
    main()
