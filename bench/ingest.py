"""What loading costs, beside the limit of the same machine in the same run; one JSON line a figure.

python bench/ingest.py [lines] [rounds]   (default 5,000,000 and 3)

The limit is `psql COPY binary | psql COPY binary` of the same rows. Needs ../shared/bench, which
makes the shop and measures the limit; rates are ours/limit (1 is the limit), `times` are how many
times as long ours took. Speed of MariaDB and SQLite only where a MariaDB answers (MARIADB_URL).
"""

import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from include import copying, warehouse
from include.connections import connect

if TYPE_CHECKING:  # a loader that only copies needs no more than the above
    from include.landing.job import Visit
    from include.sources import Source

ROOT = Path(__file__).parents[1]
YARDSTICKS = ROOT.parent / "shared" / "bench"
RAW = (
    "SELECT line_id, order_id, customer_id, product_id, ordered_at, quantity, unit_price, "
    "updated_at FROM order_lines"
)
MAPPED = {
    "postgres": """SELECT line_id::text AS source_id, order_id::text AS order_source_id,
        customer_id::text AS customer_source_id, product_id::text AS product_source_id,
        ordered_at, quantity, unit_price, updated_at FROM order_lines""",
    "mysql": """SELECT line_id AS source_id, order_id AS order_source_id,
        customer_id AS customer_source_id, product_id AS product_source_id,
        ordered_at, quantity, unit_price, updated_at FROM order_lines""",
}
LIKE_SOURCE = """line_id bigint, order_id bigint, customer_id int, product_id int,
    ordered_at timestamptz, quantity int, unit_price numeric(12,2), updated_at timestamptz"""


def say(name: str, value: float, unit: str, **more: Any) -> None:
    """One figure."""
    load = round(os.getloadavg()[0], 1)
    print(
        json.dumps({"name": f"ingest.{name}", "value": value, "unit": unit} | more | {"load": load})
    )
    sys.stdout.flush()


def mapping(dialect: str = "postgres") -> "Source":
    """The order lines of the yardsticks' shop."""
    from include.sources import Source

    select = MAPPED["postgres" if dialect == "postgres" else "mysql"]
    calls = {"select": "SELECT id::text AS source_id, at AS opened_at, note AS body FROM call"}
    return Source.model_validate({
        "name": "bench",
        "connection": "bench",
        "lookback_minutes": 0,
        "entities": {
            "order_line": {"select": select, "cursor": "updated_at"},
            "ticket": calls,
        },
    })


def through() -> int:
    """Rows of one server into a table of the same types on another, and nothing else."""
    with connect("bench") as source, connect("warehouse") as target:
        target.execute("DROP TABLE IF EXISTS public.bench_staged")
        target.execute(warehouse.text(f"CREATE TABLE public.bench_staged ({LIKE_SOURCE})"))
        return copying.copy_through(source, target, select=RAW, table="public.bench_staged").rows


def staging(work: "Visit") -> int:
    """Rows of the source into the staging table that loads use."""
    from include.landing.job import create_staging
    from include.landing.load import staged_columns
    from include.landing.readers import Window

    staged = staged_columns(work)
    create_staging(work, staged)
    return work.reader.copy_into(
        work.db, "pg_temp.portrait_staging", work.entity, staged, Window()
    ).rows


def loader(what: str, dialect: str) -> None:
    """One process, as a task would be without Airflow: what it did, and its peak memory."""
    idle_mib = 0
    if what == "task":
        import airflow.sdk.execution_time.task_runner  # noqa: F401  what a task has loaded

        idle_mib = peak_rss_mib()
    if what == "through":
        print(json.dumps({"rows": through()}))
        return
    from include import landing
    from include.landing.load import job

    with connect("warehouse") as db:
        db.autocommit = True
        warehouse.deploy(db)
        if what in {"first", "task"}:
            db.execute("DROP TABLE IF EXISTS landing.order_line__bench")
            db.execute("DELETE FROM ops.watermark WHERE source = 'bench'")
        started = time.perf_counter()
        if what == "staging":
            with job(mapping(dialect), "order_line", db, run_id="bench") as (work, _):
                rows = staging(work)
        else:
            entity = "ticket" if what == "huge" else "order_line"
            run = f"bench {time.time()}"
            rows = landing.load(mapping(dialect), entity, db, run_id=run).read
        seconds = time.perf_counter() - started
    print(json.dumps({"rows": rows, "seconds": seconds, "peak_rss_mib": peak_rss_mib() - idle_mib}))


def peak_rss_mib() -> int:
    """Of this program; getrusage would count what its parent had before the fork."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) // 1024 for line in status.splitlines() if "VmHWM" in line)


def child(what: str, dialect: str = "postgres") -> dict[str, Any]:
    """The loader in a process of its own."""
    argv = [sys.executable, __file__, "loader", what, dialect]
    done = subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def limit_of(query: str, source: str, target: str) -> float:
    """Seconds of `psql | psql` for the rows of ``query``."""
    with psycopg.connect(target, autocommit=True) as db:
        db.execute("DROP TABLE IF EXISTS bench_limit")
        db.execute(warehouse.text(f"CREATE TABLE bench_limit ({LIKE_SOURCE})"))
    script = (
        'psql -qX "$0" -c "COPY ($2) TO STDOUT (FORMAT binary)"'
        ' | psql -qX "$1" -c "COPY bench_limit FROM STDIN (FORMAT binary)"'
    )
    started = time.perf_counter()
    subprocess.run(["bash", "-o", "pipefail", "-c", script, source, target, query], check=True)
    return time.perf_counter() - started


def against_copy_limit(source: str, target: str, rounds: int) -> None:
    """The targets that ../shared/bench/copy_limit.py pairs by itself."""

    def paired(*more: str) -> dict[str, Any]:
        argv = [sys.executable, str(YARDSTICKS / "copy_limit.py"), "--source-dsn", source,
                "--target-dsn", target, "--query", RAW, "--runs", str(rounds), *more]  # fmt: skip
        out = subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout
        report: dict[str, Any] = json.loads(out.splitlines()[-1])
        return report

    ours = {}
    for what, table in (
        ("through", "public.bench_staged"),
        ("first", "landing.order_line__bench"),
    ):
        command = f"{sys.executable} {__file__} loader {what} postgres"
        report = paired("--loader", command, "--loader-table", table)
        ours[what] = report["loader"]
        rate = round(1 / report["loader"]["wall_ratio"], 2)
        say(what, rate, "of the limit's rows/s", limit=report["rows_per_s"],
            rows=report["rows"], client_core_s=report["loader"]["client_cpu_s"])  # fmt: skip
    dlt = paired("--peer", "dlt")["dlt"]
    faster = dlt["wall_ratio"] / ours["first"]["wall_ratio"]
    say("first_against_dlt", round(faster, 1), "times as fast", rows=dlt["rows"])


def against_changes(source: str, target: str, rounds: int) -> None:
    """One row of a hundred changed; then nothing changed."""
    child("load")
    ratios, extra, still = [], [], []
    for number in range(rounds):
        with psycopg.connect(source) as db:
            (since,) = db.execute("SELECT clock_timestamp()").fetchone()  # type: ignore[misc]
            db.execute(
                """UPDATE order_lines SET quantity = quantity + 1, updated_at = clock_timestamp()
                   WHERE line_id %% 100 = %s""",
                [number],
            )
        changed = f"{RAW} WHERE updated_at >= timestamptz '{since.isoformat()}'"
        limit = limit_of(changed, source, target)
        seconds = child("load")["seconds"]
        ratios.append(seconds / limit)
        extra.append(seconds - 3 * limit)
        child("load")
        still.append(child("load")["seconds"])
    say("one_percent_changed", round(statistics.median(ratios), 2), "times the limit")
    over = round(statistics.median(extra), 2)
    say("one_percent_changed_beyond_3_limits", over, "seconds (at most 1 is the target)")
    say("nothing_changed", round(statistics.median(still), 2), "seconds")


def against_others(source: str, target: str, rounds: int, lines: int, folder: Path) -> None:
    """MariaDB and SQLite into staging, beside the limit for the same rows in PostgreSQL."""
    some = min(lines, 1_000_000)
    query = f"{RAW} ORDER BY line_id LIMIT {some}"
    with psycopg.connect(source) as db, db.cursor() as cursor:
        db.execute("SET timezone = 'UTC'")
        rows = cursor.execute(
            warehouse.text(
                query.replace("ordered_at,", "ordered_at::timestamp::text,").replace(
                    "updated_at ", "updated_at::timestamp::text "
                )
            )
        ).fetchall()
    path = folder / "shop.sqlite"
    with sqlite3.connect(path) as lite:
        lite.execute(
            """CREATE TABLE order_lines (line_id integer, order_id integer, customer_id integer,
               product_id integer, ordered_at text, quantity integer, unit_price text,
               updated_at text)"""
        )
        lite.executemany(
            "INSERT INTO order_lines VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [(*row[:6], str(row[6]), row[7]) for row in rows],
        )
    kinds = {"sqlite": f"sqlite:///{path}"}
    if maria := in_mariadb(rows):
        kinds["mysql"] = maria
    for dialect, url in kinds.items():
        os.environ["AIRFLOW_CONN_BENCH"] = url
        rates, peaks = [], []
        for _ in range(rounds):
            limit = limit_of(query, source, target)
            found = child("staging", dialect)
            rates.append(limit / found["seconds"])
            peaks.append(found["peak_rss_mib"])
        name = {"mysql": "mariadb", "sqlite": "sqlite"}[dialect]
        rate = round(statistics.median(rates), 2)
        say(f"{name}_to_staging", rate, "of the limit's rows/s", rows=some)
        say(f"{name}_peak_rss", max(peaks), "MiB")


def in_mariadb(rows: list[tuple[Any, ...]]) -> str | None:
    """The same rows in a database of its own on MARIADB_URL; None where none answers."""
    import pymysql

    url = urlsplit(os.environ.get("MARIADB_URL", "mysql://root@127.0.0.1:3306"))
    login: dict[str, Any] = {"host": url.hostname, "port": url.port or 3306, "user": url.username}
    try:
        db = pymysql.connect(**login, password=url.password or "")
    except pymysql.err.OperationalError:
        print("no MariaDB at MARIADB_URL: its figure is left out", file=sys.stderr)
        return None
    with db.cursor() as cursor:
        cursor.execute("DROP DATABASE IF EXISTS portrait_bench")
        cursor.execute("CREATE DATABASE portrait_bench")
        cursor.execute(
            """CREATE TABLE portrait_bench.order_lines (line_id bigint, order_id bigint,
               customer_id int, product_id int, ordered_at datetime(6), quantity int,
               unit_price decimal(12,2), updated_at datetime(6))"""
        )
        for start in range(0, len(rows), 5000):
            cursor.executemany(
                "INSERT INTO portrait_bench.order_lines VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
                rows[start : start + 5000],
            )
    db.commit()
    db.close()
    secret = f":{url.password}" if url.password else ""
    return f"mysql://{url.username}{secret}@{url.hostname}:{url.port or 3306}/portrait_bench"


def drop_mariadb() -> None:
    """Remove the database that ``in_mariadb`` made."""
    import pymysql

    url = urlsplit(os.environ.get("MARIADB_URL", "mysql://root@127.0.0.1:3306"))
    login: dict[str, Any] = {"host": url.hostname, "port": url.port or 3306, "user": url.username}
    try:
        with pymysql.connect(**login, password=url.password or "") as db, db.cursor() as cursor:
            cursor.execute("DROP DATABASE IF EXISTS portrait_bench")
    except pymysql.err.OperationalError:
        return


def huge_rows(source: str) -> None:
    """Peak memory over rows of a megabyte each."""
    with psycopg.connect(source) as db:
        db.execute("CREATE TABLE call (id int, at timestamptz, note text)")
        db.execute(
            """INSERT INTO call SELECT n, now(), repeat(md5(n::text), 32768)
               FROM generate_series(1, 200) AS n"""
        )
    say("peak_rss_of_rows_of_1_mb", child("huge")["peak_rss_mib"], "MiB", rows=200)


def measure(lines: int, rounds: int) -> None:
    """All figures, on servers of this run's own."""
    from include.local import cluster, postgres

    with tempfile.TemporaryDirectory(prefix="portrait_bench_") as name:
        folder = Path(name)
        try:
            server = postgres.start(folder)
            os.environ["PATH"] += os.pathsep + str(cluster.programs(folder))
            urls = {}
            for database in ("bench_source", "bench_warehouse"):
                with psycopg.connect(server.url_admin, autocommit=True) as admin:
                    admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
                urls[database] = server.url_admin.rpartition("/")[0] + f"/{database}"
            source, target = urls["bench_source"], urls["bench_warehouse"]
            os.environ["AIRFLOW_CONN_BENCH"] = source.replace("postgresql://", "postgres://")
            os.environ["AIRFLOW_CONN_WAREHOUSE"] = target.replace("postgresql://", "postgres://")
            made = [sys.executable, str(YARDSTICKS / "make_orders.py"), "--customers",
                    str(max(lines // 50, 100)), "--products", "5000", "--lines", str(lines),
                    "--seed", "7", "--out", str(folder / "shop"), "--dsn", source]  # fmt: skip
            subprocess.run(made, check=True, stdout=subprocess.DEVNULL)
            with psycopg.connect(source, autocommit=True) as db:
                db.execute("CREATE INDEX ON order_lines (updated_at)")
                db.execute("VACUUM ANALYZE order_lines")
            against_copy_limit(source, target, rounds)
            say("peak_rss", child("first")["peak_rss_mib"], "MiB", rows=lines)
            say("task_rss_above_idle", child("task")["peak_rss_mib"], "MiB", rows=lines)
            huge_rows(source)
            against_changes(source, target, rounds)
            against_others(source, target, rounds, lines, folder)
        finally:
            drop_mariadb()
            postgres.remove(folder)


def main() -> None:
    """The loader, or all figures."""
    if sys.argv[1:2] == ["loader"]:
        return loader(sys.argv[2], sys.argv[3])
    if not YARDSTICKS.exists():
        print("no ../shared/bench beside this checkout: nothing measured", file=sys.stderr)
        return None
    lines = int(sys.argv[1]) if len(sys.argv) > 1 else 5_000_000
    return measure(lines, int(sys.argv[2]) if len(sys.argv) > 2 else 3)


if __name__ == "__main__":
    main()
