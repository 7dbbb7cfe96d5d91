"""``make demo``: from nothing to segments, scores and recommendations in a running Airflow."""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from rich.console import Console
from rich.table import Table

from include import connections, sources
from include.errors import InputError
from include.local import airflow, postgres, processes, state
from include.local.flow import Flow
from include.local.rest import Client

SOURCES = ("shop", "support")
EXAMPLES = {
    "Who are they?": """
        SELECT name, customers, round(100 * revenue_share) + 0 AS revenue_percent, suggested_action
        FROM bi.segment ORDER BY revenue_share DESC LIMIT 6""",
    "Who is about to leave?": """
        SELECT customer_id, round(score::numeric, 3) AS score, decile, reason_1
        FROM bi.customer_score WHERE model = 'churn' AND eligible
        ORDER BY score DESC, customer_id LIMIT 5""",
    "What to offer them?": """
        SELECT customer_id, rank, product_name, reason
        FROM bi.recommendation WHERE list = 'explore'
        ORDER BY customer_id, rank LIMIT 5""",
}


@dataclass(frozen=True)
class Wanted:
    """Which CRM: generated (customers, days) or loaded from a file (data, its size and time)."""

    kind: str
    customers: int = 0
    days: int = 0
    data: str = ""
    version: str = ""

    @classmethod
    def read(cls, environment: dict[str, str]) -> "Wanted":
        """Read CUSTOMERS, DAYS and DATA.

        Raises
        ------
        InputError
            If one of them cannot be used.
        """
        if name := environment.get("DATA"):
            path = Path(name).expanduser().absolute()
            if path.suffix not in {".parquet", ".csv"}:
                raise InputError(f"DATA={name}: must be a .parquet or .csv file; give such a file")
            if not path.is_file() or not os.access(path, os.R_OK):
                raise InputError(f"DATA={name}: no such file, or not readable; give another path")
            stat = path.stat()
            return cls("file", data=str(path), version=f"{stat.st_size} {stat.st_mtime_ns}")
        return cls(
            "generated",
            customers=_count(environment, "CUSTOMERS", 10_000),
            days=_count(environment, "DAYS", 800),
        )


def _count(environment: dict[str, str], name: str, default: int) -> int:
    given = environment.get(name) or str(default)
    if not given.isdigit() or not int(given):
        raise InputError(f"{name}={given}: must be a whole number above 0; give one or none")
    return int(given)


@dataclass
class Watch:
    """How long each step took."""

    console: Console
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time a step and say so when it is done."""
        began = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - began
        self.console.print(f"[bold]{name}[/] {self.seconds[name]:.1f} s", soft_wrap=True)


def demo(home: Path, console: Console) -> None:
    """Start everything, let the flow run once and show what it made.

    Raises
    ------
    PortraitError
        In words, when a step fails. What was started keeps running, to be looked at.
    """
    wanted = Wanted.read(dict(os.environ))
    others = sources.switched_on()
    if others:
        raise InputError(
            f"demo: source {others[0]} is on, and the demo's CRM stays off beside it; "
            "unset its AIRFLOW_CONN_ variable, or use `make run`"
        )
    watch = Watch(console)
    began = time.monotonic()
    if ended := airflow.stop(home):
        console.print(f"ended an earlier demo from here: {len(ended)} processes of Airflow")
    with watch.step("PostgreSQL"):
        server = postgres.start(home)
    with watch.step("demo CRM and Airflow"):
        client = _crm_and_airflow(home, server, wanted)
    console.print(f"Airflow: {client.url}, user admin; follow it there")
    flow = Flow(client, console)
    _flow(flow, watch)
    watch.seconds["in all"] = time.monotonic() - began
    _examples(server, console)
    _summary(home, client, watch)


def _crm_and_airflow(home: Path, server: postgres.Server, wanted: Wanted) -> Client:
    """Fill the CRM while Airflow starts: most of either is waiting for the other core."""
    path = home / "run" / "demo.json"
    made: dict[str, Any] = state.read_json(path) or {}
    same = made.get("wanted") == asdict(wanted)
    if made and not same and not os.environ.get("AIRFLOW_CONN_WAREHOUSE"):
        _refuse_foreign(server)
        _empty(server, "warehouse")  # what was learnt from another shop
    ready = same and made.get("ready")
    record = made if ready else {"kind": wanted.kind, "wanted": asdict(wanted), "ready": False}
    state.write_json(path, record)
    with ThreadPoolExecutor(1) as pool:
        starting = pool.submit(airflow.start, home)
        if not ready:
            record["rows"] = _make_crm(home, server, wanted)
            record |= {"ready": True, "made_at": datetime.now(UTC).isoformat()}
            state.write_json(path, record)
        return starting.result()


def _refuse_foreign(server: postgres.Server) -> None:
    """A warehouse that holds more than the demo's own sources is not the demo's to empty."""
    with psycopg.connect(server.url("warehouse")) as db:
        rows = db.execute(
            """SELECT DISTINCT split_part(relname, '__', 2) FROM pg_class
               WHERE relnamespace = to_regnamespace('landing') AND relkind = 'r'
               AND relname ~ '__[a-z0-9_]+$'"""
        ).fetchall()
    foreign = sorted({name for (name,) in rows} - set(SOURCES))
    if foreign:
        raise InputError(
            f"demo: the embedded warehouse also holds {', '.join(foreign)}, which another shop "
            "would wipe out; use another PORTRAIT_HOME for the demo, or `make clean` first"
        )


def _empty(server: postgres.Server, database: str) -> None:
    with psycopg.connect(server.url_admin, autocommit=True) as db:
        name = sql.Identifier(database)
        db.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
    postgres.prepare(server)


def _make_crm(home: Path, server: postgres.Server, wanted: Wanted) -> dict[str, int]:
    _empty(server, "shop")
    support = state.folder(home, "demo") / "support.sqlite"
    support.unlink(missing_ok=True)
    with psycopg.connect(server.url("shop")) as shop:
        if wanted.kind == "file":
            from include.local import retail_file

            return retail_file.load(Path(wanted.data), shop, support)
        from include.local import crm

        return crm.generate(
            shop,
            support,
            customers=wanted.customers,
            days=wanted.days,
            last_day=datetime.now(UTC).date() - timedelta(days=1),  # today is not over
            truth=home / "demo" / "truth",
        )


def _flow(flow: Flow, watch: Watch) -> None:
    """Ingest, profile, train, and by assets publish; each once.

    Left alone, each ingest would start a profile and each profile a publish, beside the rest.
    """
    dags = [f"ingest_{source}" for source in SOURCES]
    with watch.step("reading the DAGs"):
        flow.ready([*dags, "profile", "train", "publish"])
    with flow.held("publish"):
        with watch.step("ingest"), flow.held("profile"):
            flow.wait([flow.trigger(dag) for dag in dags])
        with watch.step("profile"):
            flow.wait([flow.trigger("profile")])
    with watch.step("train"):
        train = flow.trigger("train")
        flow.wait([train])
    with watch.step("publish"):
        flow.wait(flow.followers([train], "publish") or [flow.trigger("publish")])


def _examples(server: postgres.Server, console: Console) -> None:
    """Ask BI's three questions as BI would."""
    own = os.environ.get("AIRFLOW_CONN_WAREHOUSE")
    url = connections.address("warehouse").url if own else server.url(role=postgres.reader())
    with psycopg.connect(url) as db:
        for question, query in EXAMPLES.items():
            lines = [line.strip() for line in query.strip().splitlines()]
            console.print(f"\n[bold]{question}[/]\n  " + "\n  ".join(lines))
            show(db, query, console)


def show(db: psycopg.Connection, query: str, console: Console) -> None:
    """Print the result of a query."""
    cursor = db.execute(query)
    table = Table(box=None, padding=(0, 2), header_style="dim")
    for column in cursor.description or []:
        table.add_column(column.name)
    for row in cursor:
        table.add_row(*("" if value is None else str(value) for value in row))
    console.print(table if table.row_count else "  no rows: bi.model_readiness says why")


def _summary(home: Path, client: Client, watch: Watch) -> None:
    names = [*airflow.COMPONENTS, "postgres"]
    used_mb = sum(processes.memory_bytes(home, name) for name in names) / 1e6
    steps = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in watch.seconds.items())
    for line in (
        f"\n{steps}; {used_mb:.0f} MB of memory",
        f"Airflow  {client.url}  user {client.user}  password {client.password}",
        'queries  psql "$(make dsn ROLE=bi_reader)"; `make stop` ends it all',
    ):
        watch.console.print(line, soft_wrap=True, highlight=False)  # never a break in a password
