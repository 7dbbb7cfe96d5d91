"""What a snapshot costs, PostgreSQL to Parquet, beside the profile that is computed from it.

python bench/snapshot.py [lines]  (default 1,000,000; a customer has 40 on average)

The first snapshot, one with nothing new, one after 1 % of the customers bought again, and one of
the moment before that. Core-seconds are those of this process and of the warehouse's.
"""

import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import psutil
import psycopg

from include import profile, snapshot, warehouse
from include.local import postgres

AS_OF = date(2026, 11, 1)
FILL = {
    "product": """INSERT INTO landing.product (source, source_id, landed_at, run_id, name, category,
            brand, price)
        SELECT 'shop', 'p' || n, timestamptz '2026-11-01', 'bench', 'thing ' || n,
               'kind ' || n %% 20, 'brand ' || n %% 50, 1 + n %% 97
        FROM generate_series(0, 4999) AS n""",
    "customer": """INSERT INTO landing.customer (source, source_id, landed_at, run_id, city,
            country)
        SELECT 'shop', 'c' || n, timestamptz '2026-11-01', 'bench', 'Oslo', 'NO'
        FROM generate_series(1, %(customers)s) AS n""",
    "identity": """INSERT INTO core.identity (source, source_id, customer_id, rule,
            probability, since)
        SELECT 'shop', 'c' || n, n, 'alone', 1, timestamptz '2026-11-01'
        FROM generate_series(1, %(customers)s) AS n""",
    "customer_order": """INSERT INTO landing.customer_order (source, source_id, landed_at, run_id,
            customer_source_id, ordered_at, status, channel)
        SELECT 'shop', 'o' || n, timestamptz '2026-11-01', 'bench',
               'c' || 1 + (hashint8(n) & 2147483647) %% %(customers)s,
               timestamptz '2026-10-31' - make_interval(secs => 864e5 * n / %(orders)s), 'paid',
               (ARRAY['web', 'store', 'app'])[1 + n %% 3]
        FROM generate_series(1, %(orders)s) AS n""",
    "order_line": """INSERT INTO landing.order_line (source, source_id, landed_at, run_id,
            order_source_id, product_source_id, line_no, ordered_at, quantity, unit_price)
        SELECT 'shop', 'l' || n, timestamptz '2026-11-01', 'bench', 'o' || 1 + n %% %(orders)s,
               'p' || (hashint8(n) & 2147483647) %% 5000, 1 + n / %(orders)s,
               timestamptz '2026-10-31'
               - make_interval(secs => 864e5 * (1 + n %% %(orders)s) / %(orders)s),
               1 + n %% 4, 1 + n %% 97
        FROM generate_series(1, %(lines)s) AS n""",
}
BUY_AGAIN = """
INSERT INTO landing.customer_order (source, source_id, landed_at, run_id, customer_source_id,
    ordered_at, status, channel)
SELECT 'shop', 'again' || n, now(), 'bench', 'c' || n * 100, '2026-10-31', 'paid', 'web'
FROM generate_series(1, %(customers)s / 100) AS n;
INSERT INTO landing.order_line (source, source_id, landed_at, run_id, order_source_id,
    product_source_id, line_no, ordered_at, quantity, unit_price)
SELECT 'shop', 'again' || n, now(), 'bench', 'again' || n, 'p' || n %% 5000, 1, '2026-10-31', 1, 9
FROM generate_series(1, %(customers)s / 100) AS n
"""


def say(name: str, value: float, unit: str, **more: Any) -> None:
    """One figure."""
    print(json.dumps({"name": name, "value": round(value, 2), "unit": unit, **more}), flush=True)


def peak_rss_mib() -> float:
    """The most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def fill(db: psycopg.Connection, lines: int) -> dict[str, int]:
    """A shop with one source, as its first load leaves it; return how much of what."""
    sizes = {"lines": lines, "orders": int(lines / 2.5), "customers": lines // 40}
    for entity in snapshot.SCHEMA:
        table = f"landing.{entity}"
        db.execute(f"CREATE TABLE {table}_shop PARTITION OF {table} FOR VALUES IN ('shop')")
    for query in FILL.values():
        db.execute(query, sizes)
    db.commit()
    db.autocommit = True
    db.execute("VACUUM ANALYZE")
    return sizes


def measured(name: str, db: psycopg.Connection, call: Callable[[], Path], **more: Any) -> Path:
    """Call, and say what it took here and in the server's process."""
    server = psutil.Process(db.info.backend_pid)
    start, used, served = time.perf_counter(), time.process_time(), sum(server.cpu_times()[:2])
    result = call()
    here, there = time.process_time() - used, sum(server.cpu_times()[:2]) - served
    say(f"{name}_wall_s", time.perf_counter() - start, "seconds", **more)
    say(f"{name}_core_s", here + there, "core-seconds", here=round(here, 2), **more)
    return result


def main() -> None:
    lines = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        server = postgres.start(root / "server", durable=False)
        try:
            with psycopg.connect(server.url_admin) as db:
                warehouse.deploy(db)
                measure(db, root / "snapshots", lines)
        finally:
            postgres.remove(root / "server")


def measure(db: psycopg.Connection, root: Path, lines: int) -> None:
    """The figures of one shop."""
    sizes = fill(db, lines)

    def take(run_id: str, **how: Any) -> Path:
        return measured(
            f"snapshot_{run_id}",
            db,
            lambda: snapshot.take(db, root, run_id=run_id, **how),
            lines=lines,
        )

    first = take("first")
    size = sum(path.stat().st_size for path in first.iterdir())
    say("snapshot_bytes", size / lines, "bytes a line", lines=lines)
    say("snapshot_peak_rss", peak_rss_mib(), "MiB", lines=lines)
    take("unchanged")
    measured("profile", db, lambda: profile.compute(first, AS_OF), lines=lines)
    known_at = db.execute("SELECT now()").fetchone()[0]
    with db.transaction(), psycopg.ClientCursor(db) as cursor:
        cursor.execute(BUY_AGAIN, sizes)
    changed = take("changed")
    say("touched", snapshot.manifest(changed)["previous"]["touched"], "customers", lines=lines)
    assert take("past", known_at=known_at) == first
    say("with_profile_peak_rss", peak_rss_mib(), "MiB", lines=lines)


if __name__ == "__main__":
    main()
