"""What readers notice of a publish: 1 M customers, 10 M recommendations, one JSON line a figure.

python bench/publish.py [--customers 1000000] [--publishes 3] [--hold-s 10] [--dir FOLDER]

In a server of its own, whose log says who waited for a lock longer than 50 ms. The readers and the
holder of a long transaction are those of ../shared/bench/publish_probe.py, which runs twice: while
generations are published, and while the same rows are copied into tables that nobody reads; the
ratio of the readers' p99 counts. Disk: 6 KB a customer.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import psycopg
from psycopg import sql

from include import contracts, duck, warehouse
from include.local import postgres
from include.marts import IN_DATABASE, MARTS, audiences, checks, fill, generations, retire
from include.snapshot.schema import SCHEMA

AS_OF = date(2026, 11, 1)
BEFORE = AS_OF - timedelta(days=1)
PROBE = Path(__file__).parents[2] / "shared" / "bench" / "publish_probe.py"
WAITED = ("still waiting for", "acquired", "deadlock")
PRODUCTS, SEGMENTS = 20_000, 6
READ = """SELECT p.customer_id, s.segment_name, r.product_name FROM bi.customer_profile AS p
    JOIN bi.customer_segment AS s USING (customer_id)
    JOIN bi.recommendation AS r USING (customer_id)
    WHERE p.customer_id = 4711 AND r.rank = 1"""
# one statement, all tables of one generation: the sums of what belongs together differ by nothing
CHECK = """SELECT
    (SELECT max(generation) FROM bi.segment) - (SELECT generation FROM bi.freshness),
    (SELECT max(generation) FROM bi.rfm_grid) - (SELECT generation FROM bi.freshness),
    (SELECT sum(customers) FROM bi.segment) - (SELECT sum(customers) FROM bi.segment_migration
        WHERE to_key <> '(gone)'),
    (SELECT generation FROM bi.customer_profile WHERE customer_id = 4711)
        - (SELECT generation FROM bi.recommendation WHERE customer_id = 4711 AND list = 'explore'
           AND rank = 1)"""
# what a dashboard asks of each view that has no rows by customer, or all of them at once
AGGREGATES = {
    "customer_profile": "SELECT country, count(*), sum(revenue) FROM bi.customer_profile"
    " GROUP BY 1",
    "dim_customer": "SELECT segment_name, country, count(*), sum(revenue_365d)"
    " FROM bi.dim_customer GROUP BY 1, 2",
    "customer_segment": "SELECT rfm_segment, count(*) FROM bi.customer_segment GROUP BY 1",
    "customer_score": "SELECT model, decile, count(*), avg(score) FROM bi.customer_score"
    " GROUP BY 1, 2",
    "customer_value": "SELECT sum(expected_revenue_365d), sum(historic_revenue)"
    " FROM bi.customer_value",
    "recommended_product": "SELECT product_name, customers FROM bi.recommended_product"
    " WHERE list = 'explore' ORDER BY customers DESC LIMIT 10",
    "product_similarity": "SELECT method, count(*) FROM bi.product_similarity GROUP BY 1",
    "product_audience": "SELECT count(DISTINCT customer_id) FROM bi.product_audience",
    "bundle": "SELECT round(lift), count(*) FROM bi.bundle GROUP BY 1",
    "event": "SELECT event, happened_on, count(*) FROM bi.event GROUP BY 1, 2",
    "audience": "SELECT label, members, treatment, control FROM bi.audience",
    "audience_member": "SELECT audience, split_group, count(*) FROM bi.audience_member"
    " GROUP BY 1, 2",
    "kpi": "SELECT * FROM bi.kpi WHERE as_of = (SELECT max(as_of) FROM bi.kpi)",
    "segment_history": "SELECT as_of, name, customers FROM bi.segment_history",
    "customer_profile_history": "SELECT from_as_of, count(*) FROM bi.customer_profile_history"
    " GROUP BY 1",
}


def say(name: str, **figures: Any) -> None:
    print(json.dumps({"name": f"publish_{name}", **figures}), flush=True)


# ---------------------------------------------------------------- what is published, made up


def write_files(folder: Path, customers: int) -> None:
    """A snapshot, a profile and the work files of one publish, all values random and repeatable."""
    folder.mkdir(parents=True)
    with duckdb.connect(config={"threads": 2, "memory_limit": "2GB"}) as db:
        db.execute("SELECT setseed(0.5)")
        for entity, schema in SCHEMA.items():
            empty = ", ".join(f"NULL::{_type(field.type)} AS {field.name}" for field in schema)
            rows = {"product": _products(), "order_line": _lines(customers)}.get(entity, "")
            query = f"SELECT {empty} WHERE false {rows and 'UNION ALL BY NAME ' + rows}"
            _write(db, query, folder / f"{entity}.parquet")
        tables = {
            "customer_profile": (
                customers,
                {"customer_id": "i", "order_count": "i % 9", "consent_personalisation": "true"},
            ),
            "customer_segment": (
                customers,
                {
                    "customer_id": "i",
                    "segment_key": f"'s' || i % {SEGMENTS}",
                    "segment_name": f"'segment ' || i % {SEGMENTS}",
                    "rfm_segment": "'loyal'",
                    "rfm_code": "(1 + i % 5)::text || (1 + i // 5 % 5) || '3'",
                },
            ),
            "segment": (
                SEGMENTS,
                {
                    "segment_key": "'s' || i",
                    "customers": f"{customers} // {SEGMENTS} + (i < {customers} % {SEGMENTS})::int",
                },
            ),
            "customer_score": (
                2 * customers,
                {
                    "customer_id": "i // 2",
                    "model": "CASE i % 2 WHEN 0 THEN 'churn' ELSE 'purchase' END",
                    "decile": "1 + i // 2 % 10",
                },
            ),
            "customer_value": (customers, {"customer_id": "i"}),
            "recommendation": (
                10 * customers,
                {
                    "customer_id": "i // 10",
                    "list": "CASE WHEN i % 10 < 5 THEN 'explore' ELSE 'repeat' END",
                    "rank": "1 + i % 5",
                    "product_id": f"'shop:' || (i * 7919) % {PRODUCTS}",
                    "reason_code": "'bought'",
                    "because_product_id": f"'shop:' || (i * 31) % {PRODUCTS}",
                },
            ),
            "product_similarity": (
                10 * PRODUCTS,
                {
                    "product_id": "'shop:' || i // 10",
                    "rank": "1 + i % 10",
                    "similar_product_id": f"'shop:' || (i * 7) % {PRODUCTS}",
                },
            ),
            "product_audience": (
                50 * PRODUCTS,
                {
                    "product_id": "'shop:' || i // 50",
                    "rank": "1 + i % 50",
                    "customer_id": f"(i * 7) % {customers}",
                },
            ),
            "bundle": (
                10 * PRODUCTS,
                {
                    "product_id": "'shop:' || i // 10",
                    "rank": "1 + i % 10",
                    "with_product_id": f"'shop:' || (i * 7) % {PRODUCTS}",
                },
            ),
            "profile_coverage": (1, {}),
            "lift": (0, {}),
            "segment_feature": (0, {}),
            "segment_map": (0, {}),
            "rule_segment": (0, {}),
            "rule_segment_member": (0, {}),
        }
        for table, (rows, given) in tables.items():
            query = f"SELECT {_columns(table, given)} FROM range({rows}) AS r (i)"
            file = f"profile_{AS_OF}" if table == "customer_profile" else table
            _write(db, query, folder / f"{file}.parquet")
        today, before = (folder / f"profile_{day}.parquet" for day in (AS_OF, BEFORE))
        moved = "CASE customer_id % 20 WHEN 0 THEN 'elsewhere' ELSE city END"
        query = f"SELECT * REPLACE ({moved} AS city) FROM read_parquet({duck.quoted(today)})"
        _write(db, query, before)


def _columns(table: str, given: dict[str, str]) -> str:
    """Every column of the contract: as given, else some value of its type."""
    some = {
        "bigint": "(random() * 1000)::bigint",
        "integer": "(random() * 1000)::int",
        "double precision": "random() * 1000",
        "boolean": "random() < 0.5",
        "date": f"DATE '{AS_OF}' - (random() * 900)::int",
        "timestamptz": f"TIMESTAMP '{AS_OF}' - to_days((random() * 900)::int)",
        "timestamp": f"TIMESTAMP '{AS_OF}' - to_days((random() * 900)::int)",
    }
    return ", ".join(
        f"{given.get(c.name) or some.get(c.type) or _decimal_or_text(c)} AS {c.name}"
        for c in contracts.load(f"mart.{table}").own_columns
    )


def _decimal_or_text(column: contracts.Column) -> str:
    if column.type.startswith("numeric"):
        return "(random() * 1000)::decimal(18, 6)"
    return f"'{column.name} ' || (random() * 20)::int"


def _products() -> str:
    return f"""SELECT 'shop:' || i AS product_id, 'shop' AS source, 'Product number ' || i AS name,
        true AS in_stock, true AS is_product FROM range({PRODUCTS}) AS r (i)"""


def _lines(customers: int) -> str:
    return f"""SELECT 'shop:' || i AS order_id, i % {customers} AS customer_id,
        'shop:' || (i * 31) % {PRODUCTS} AS product_id, true AS is_product,
        DATE '{AS_OF}' - (1 + i % 700)::int AS ordered_on, 1 AS quantity, 9.5 AS amount
        FROM range({2 * customers}) AS r (i)"""


def _type(kind: Any) -> str:
    said = str(kind)
    names = {"int64": "bigint", "int32": "integer", "bool": "boolean", "string": "text"}
    names |= {"date32[day]": "date", "timestamp[us]": "timestamp", "double": "double"}
    return names.get(said) or said.replace("decimal128", "decimal")


def _write(db: duckdb.DuckDBPyConnection, query: str, file: Path) -> None:
    db.execute(f"COPY ({query}) TO {duck.quoted(file)} (FORMAT parquet, COMPRESSION zstd)")


# ---------------------------------------------------------------- one publish, one plain copy


def publish(url: str, folder: Path, day: date = AS_OF) -> dict[str, float]:
    """One publish as the DAG does it; the seconds of its steps."""
    seconds, began = {}, time.perf_counter()

    def lap(step: str) -> None:
        nonlocal began
        seconds[step], began = round(time.perf_counter() - began, 3), time.perf_counter()

    with psycopg.connect(url, autocommit=True) as db:
        run_id = f"publish/{time.time()}"
        generation = generations.begin(
            db, as_of=day, run_id=run_id, data_to=None, stale_reason=None, sources=[]
        )
        for table in MARTS:
            fill.fill(db, table, generation=generation, as_of=day, work=folder, folder=folder)
            lap(f"fill {table}")
        checks.check(db, generation=generation, as_of=day, run_id=run_id)
        lap("check")
        generations.attach(db, generation=generation, tables=MARTS)
        lap("attach")
        audiences.fill(db, generation=generation, as_of=day)
        lap("audiences")
        generations.attach(db, generation=generation, tables=IN_DATABASE)
        pointer_s = generations.switch(db, generation=generation, as_of=day, run_id=run_id)
        lap("histories and switch")
        retire.retire(db)
        lap("retire")
    return {**seconds, "pointer": round(pointer_s, 4)}


def copy_plainly(url: str, folder: Path) -> None:
    """The same rows into tables that nobody reads, keyed and analysed as a publish does."""
    with psycopg.connect(url, autocommit=True) as db:
        number = int(time.time() * 1000)
        db.execute("CREATE SCHEMA IF NOT EXISTS plain")
        for table in MARTS:
            contract = contracts.load(f"mart.{table}")
            target = f"plain.{table}_{number}"
            with db.transaction():
                fill.make(db, contract, target, 0, AS_OF)
                fill.pour(db, contract, target, work=folder, folder=folder, as_of=AS_OF)
        for table in MARTS:
            db.execute(sql.SQL("DROP TABLE {}").format(warehouse.name(f"plain.{table}_{number}")))


# ---------------------------------------------------------------- figures


class Pinned(threading.Thread):
    """A report that pins the newest generation and reads it by several statements."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url, self.over, self.reports, self.inconsistent = url, threading.Event(), 0, 0

    def run(self) -> None:
        statements = [
            "SELECT max(generation), sum(customers) FROM bi.segment",
            """SELECT max(generation), sum(customers) FROM bi.segment_migration
               WHERE to_key <> '(gone)'""",
            "SELECT max(generation), count(*) FROM bi.dim_customer",
        ]
        with psycopg.connect(self.url, autocommit=True) as db:
            while not self.over.wait(0.1):
                db.execute(
                    """SELECT set_config('portrait.generation', generation::text, false)
                       FROM bi.freshness"""
                )
                said = {db.execute(statement).fetchone() for statement in statements}
                db.execute("RESET portrait.generation")
                self.reports += 1
                self.inconsistent += len(said) != 1


def probe(url: str, reader: str, what: str, args: argparse.Namespace) -> dict[str, Any]:
    """Run the probe, and a report that pins, beside what is named; return what the probe found."""
    report = Pinned(reader)
    report.start()
    command = f"{sys.executable} {__file__} --dir {args.dir} --do {what} --url '{url}'"
    answer = subprocess.run(
        [
            sys.executable, str(PROBE), "--dsn", reader, "--read-sql", READ, "--check-sql", CHECK,
            "--publish", command, "--publishes", str(args.publishes), "--hold-s", str(args.hold_s),
        ],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    report.over.set()
    report.join()
    found: dict[str, Any] = json.loads(answer)
    say(f"probe_{what}", **found)
    say("pinned_reports", beside=what, value=report.reports, inconsistent=report.inconsistent)
    return found


def single_rows(reader: str) -> None:
    """The slowest of five warm reads of one customer, and of the aggregate, for each view."""
    with psycopg.connect(reader, autocommit=True) as db:
        keyed = db.execute(
            """SELECT table_name::text FROM information_schema.columns
               WHERE table_schema = 'bi' AND column_name = 'customer_id' ORDER BY 1"""
        ).fetchall()
        for (view,) in keyed:
            query = f"SELECT * FROM bi.{warehouse.quoted(view)} WHERE customer_id = 4711"
            say("one_customer", view=view, value=_slowest_ms(db, query), unit="ms")
        for view, query in AGGREGATES.items():
            say("aggregate", view=view, value=_slowest_ms(db, query), unit="ms")


def _slowest_ms(db: psycopg.Connection[Any], query: str) -> float:
    times = []
    for _ in range(6):
        began = time.perf_counter()
        db.execute(query.encode()).fetchall()
        times.append(1000 * (time.perf_counter() - began))
    return round(max(times[1:]), 1)  # the first fills the cache


@contextmanager
def server(folder: Path) -> Iterator[tuple[str, str, Path]]:
    """The embedded server with a warehouse in it: owner's URL, reader's URL, log."""
    home = folder / "home"
    running = postgres.start(home)
    try:
        with psycopg.connect(running.url_admin, autocommit=True) as db:
            for setting in ("log_lock_waits = on", "deadlock_timeout = '50ms'"):
                db.execute(f"ALTER SYSTEM SET {setting}".encode())
            db.execute("SELECT pg_reload_conf()")
        with psycopg.connect(running.url()) as db:
            warehouse.deploy(db)
        yield running.url(), running.url(role=postgres.reader()), home / "log" / "postgres.log"
    finally:
        postgres.remove(home)


def rolled_back(url: str) -> None:
    """Seconds of a rollback."""
    with psycopg.connect(url, autocommit=True) as db:
        began = time.perf_counter()
        generations.rollback(db, run_id="rollback/bench")
        say("rollback", value=round(time.perf_counter() - began, 4), unit="s")


def bloat(url: str) -> None:
    """What is left of ten publishes: generations, tables, and rows that are dead."""
    with psycopg.connect(url) as db:
        row = db.execute(
            """SELECT (SELECT count(*) FROM ops.generation WHERE status = 'ready'),
                      (SELECT count(DISTINCT substring(relname FROM '__g([0-9]+)$')) FROM pg_class
                       WHERE relnamespace = 'mart'::regnamespace AND relkind = 'r'
                       AND relname ~ '__g[0-9]+$'),
                      (SELECT round(sum(pg_total_relation_size(oid)) / 2^20) FROM pg_class
                       WHERE relnamespace = 'mart'::regnamespace AND relkind IN ('r', 't')),
                      (SELECT sum(n_dead_tup) FROM pg_stat_user_tables WHERE schemaname = 'mart')"""
        ).fetchone()
    names = ("ready_generations", "generations_with_tables", "mart_mib", "dead_rows")
    say("left", **{name: float(value) for name, value in zip(names, row or (), strict=True)})


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--publishes", type=int, default=3)
    parser.add_argument("--hold-s", type=float, default=10.0)
    parser.add_argument("--dir", type=Path)
    parser.add_argument("--do", choices=["publish", "copy"])
    parser.add_argument("--url")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    if args.do == "publish":
        seconds = publish(args.url, args.dir / "files")
        (args.dir / "steps.jsonl").open("a").write(json.dumps(seconds) + "\n")
        return
    if args.do == "copy":
        copy_plainly(args.url, args.dir / "files")
        return
    args.dir = Path(tempfile.mkdtemp(prefix="portrait_publish_", dir=args.dir))
    try:
        measure(args)
    finally:
        shutil.rmtree(args.dir)


def measure(args: argparse.Namespace) -> None:
    write_files(args.dir / "files", args.customers)
    with server(args.dir) as (url, reader, log):
        say("first", seconds=publish(url, args.dir / "files", BEFORE))
        said_before = log.stat().st_size
        published = probe(url, reader, "publish", args)
        waits = [
            line
            for line in log.read_bytes()[said_before:].decode(errors="replace").splitlines()
            if any(word in line for word in WAITED)
        ]
        say("lock_waits", value=len(waits), unit="lines", first=waits[:1])
        for line in (args.dir / "steps.jsonl").read_text().splitlines():
            say("steps", seconds=json.loads(line))
        copied = probe(url, reader, "copy", args)
        ratio = published["reads"]["p99_ms"] / copied["reads"]["p99_ms"]
        say("p99_to_copy", value=round(ratio, 2), unit="ratio")
        single_rows(reader)
        bloat(url)
        rolled_back(url)
    os.sync()


if __name__ == "__main__":
    main()
