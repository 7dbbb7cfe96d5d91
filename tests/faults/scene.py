"""What a fault happens to: a CRM with goods, a warehouse, and loads in processes of their own."""

import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import psycopg
import yaml

from include import sources
from tests.faults import loader, oracle
from tests.faults.servers import LOOPBACK

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60
ROWS = 5000
WIRE_BYTES = 240_000  # of ROWS rows, at least, whichever server sends them
CHANGED = 3000
DAY = datetime(2024, 1, 1, tzinfo=UTC)
UNSTAMPED = datetime(1999, 1, 1, tzinfo=UTC)
STAMP = "UPDATE goods SET modified = {} WHERE modified < '2000-01-01'"
NOW = {"postgres": "now()", "mysql": "now(6)"}
SELECT = "SELECT sku AS source_id, title AS name, price, kind AS category, modified FROM goods"
TRUTH = SELECT.replace("modified FROM", "modified AS changed_at FROM")
TABLE = {
    "postgres": """CREATE TABLE goods (sku text PRIMARY KEY, title text, price numeric(14,4),
                       kind text, modified timestamptz NOT NULL)""",
    "mysql": """CREATE TABLE goods (sku varchar(40) COLLATE utf8mb4_bin PRIMARY KEY,
                    title text, price decimal(14,4), kind varchar(40),
                    modified datetime(6) NOT NULL, INDEX (modified)) CHARSET utf8mb4""",
}
ADD = "INSERT INTO goods VALUES (%s, %s, %s, %s, %s)"
CHANGE = {
    "postgres": """INSERT INTO goods VALUES (%s, %s, %s, %s, %s) ON CONFLICT (sku) DO UPDATE
                   SET (title, price, kind, modified)
                       = (excluded.title, excluded.price, excluded.kind, excluded.modified)""",
    "mysql": "REPLACE INTO goods VALUES (%s, %s, %s, %s, %s)",
}

Goods = tuple[str, str | None, str, str | None, datetime]


def chance(seed: int) -> random.Random:
    """Choices that are the same for the same seed."""
    return random.Random(seed)  # noqa: S311  nothing secret


def goods(
    seed: int,
    first: int = 0,
    rows: int = ROWS,
    *,
    since: datetime = DAY,
    seconds: int = 86_400,
    filler: int = 0,
) -> list[Goods]:
    """Rows with every sign that a copy could trip over; for half the seeds some break a rule."""
    pick = chance(seed)
    texts = [
        "Tea",
        "Tab\there",
        "Line\nbreak",
        "Back\\slash \\N \\.",
        "",
        "Käse 茶 🫖",
        'it\'s "so"',
    ]
    made: list[Goods] = []
    for number in range(first, first + rows):
        title: str | None = f"{pick.choice(texts)} {pick.randrange(10**9)}{'x' * filler}"
        if seed // 2 % 2 and pick.random() < 0.005:
            title = None  # required: set aside
        price = f"{pick.randrange(10**9)}.{pick.randrange(10**4):04d}"
        kind = pick.choice([None, "", "drink", "food"])
        moment = since + timedelta(seconds=pick.randrange(seconds))  # many rows share one
        made.append((f"k{number:06d}", title, price, kind, moment))
    return made


def news(seed: int, first: int, rows: int, *, filler: int = 0) -> list[Goods]:
    """Rows whose time of change is that of the transaction that writes them."""
    return goods(seed, first, rows, since=UNSTAMPED, seconds=1, filler=filler)


def until(true: Callable[[], Any], what: str, *, patience_s: float = PATIENCE_S) -> None:
    """Wait for something that a server shows but announces to nobody."""
    deadline = time.monotonic() + patience_s
    while not true():
        assert time.monotonic() < deadline, f"{what}: not within {patience_s} s"
        time.sleep(0.01)


@dataclass
class Ended:
    """How a load's process ended."""

    status: int
    said: str

    @property
    def line(self) -> str:
        """The last line of its log, which is what Airflow shows of a failed task."""
        return self.said.rstrip().rpartition("\n")[2]


class Load:
    """A load under way in a process of its own."""

    def __init__(self, arguments: list[str], env: dict[str, str], log: Path) -> None:
        self.log = log
        self.process, self.told = loader.start(arguments, env, log)

    def reach(self, word: str) -> None:
        """Wait until it has said this word; fail when it ends before."""
        try:
            said = self.told.recv() if self.told.poll(PATIENCE_S) else "nothing"
        except EOFError:
            said = f"its last: {self.log.read_text()[-2000:]}"
        assert said == word

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.join()
        self.told.close()

    def wait(self, patience_s: float = PATIENCE_S) -> Ended:
        """Let it go, and wait for its end."""
        with suppress(BrokenPipeError):  # it has ended by itself
            self.told.send("end")
        self.process.join(patience_s)
        if self.process.exitcode is None:
            self.kill()
            raise AssertionError(f"a load still ran after {patience_s} s")
        self.told.close()
        return Ended(self.process.exitcode, self.log.read_text())


@dataclass
class Scene:
    """A CRM, a warehouse and the mapping ``crm.yaml`` between them."""

    folder: Path
    open_crm: Callable[[], Any]  # a session of ours in the source, in autocommit
    dialect: str
    crm_url: str
    warehouse_url: str
    crm: Any = field(init=False)
    loads: list[Load] = field(default_factory=list)
    mapping: dict[str, Any] = field(
        default_factory=lambda: {
            "connection": "crm",
            "lookback_minutes": 0,
            "entities": {"product": {"select": SELECT, "cursor": "modified"}},
        }
    )

    def __post_init__(self) -> None:
        self.crm = self.open_crm()
        self.execute(TABLE[self.dialect])

    def execute(self, query: str, values: Any = None) -> None:
        """Run one statement in the source."""
        with self.crm.cursor() as cursor:
            cursor.execute(query, values)

    def add(self, rows: list[Goods]) -> None:
        """Put rows into the CRM."""
        if self.dialect == "postgres":
            with self.crm.cursor() as cursor, cursor.copy("COPY goods FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
        else:
            self._write(ADD, rows)

    def change(self, rows: list[Goods]) -> None:
        """Put rows into the CRM, over those that have their keys."""
        self._write(CHANGE[self.dialect], rows)

    def _write(self, query: str, rows: list[Goods]) -> None:
        with self.crm.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.executemany(query, rows)
            cursor.execute(STAMP.format(NOW[self.dialect]))
            cursor.execute("COMMIT")

    @property
    def env(self) -> dict[str, str]:
        """The environment of a load's process."""
        return os.environ | {
            "AIRFLOW_CONN_CRM": self.crm_url,
            "AIRFLOW_CONN_WAREHOUSE": self.warehouse_url,
            "PYTHONPATH": str(ROOT),
        }

    def source(self) -> sources.Source:
        """The mapping, as it is now."""
        (self.folder / "crm.yaml").write_text(yaml.safe_dump(self.mapping))
        return sources.load("crm", self.folder)

    @property
    def ports(self) -> dict[str, int]:
        """Where the source (crm) and the warehouse listen."""
        urls = {"crm": self.crm_url, "warehouse": self.warehouse_url}
        return {name: urlsplit(url).port or 0 for name, url in urls.items()}

    def start(self, run_id: str, entity: str = "product", *days: str, **ports: int) -> Load:
        """Start a load, or with two days a backfill, in a process; at its "loading" when back.

        ports : crm=, warehouse=, the port of the proxy in front of it.
        """
        self.source()
        env = self.env
        for name, port in ports.items():
            variable = f"AIRFLOW_CONN_{name.upper()}"
            env[variable] = env[variable].replace(f":{self.ports[name]}/", f":{port}/")
        log = self.folder / f"load-{len(self.loads)}.log"
        load = Load([str(self.folder), "crm", entity, run_id, *days], env, log)
        self.loads.append(load)
        load.reach("loading")
        return load

    def load(self, run_id: str, entity: str = "product", *days: str) -> Ended:
        """Load to the end; fails unless it succeeds."""
        ended = self.start(run_id, entity, *days).wait()
        assert ended.status == 0, ended.said[-2000:]
        return ended

    def end(self) -> None:
        """End every load that still runs, and our session in the source."""
        for load in self.loads:
            if load.process.is_alive():
                load.kill()
        self.crm.close()

    def open_warehouse(self) -> psycopg.Connection:
        """A session of ours in the warehouse, in autocommit."""
        return psycopg.connect(
            self.warehouse_url,
            autocommit=True,
            application_name="test",
            options="-c timezone=UTC -c client_encoding=UTF8",
        )

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """The rows of a query on the warehouse."""
        with self.open_warehouse() as db:
            return db.execute(query).fetchall()

    def assert_same(self) -> None:
        """The oracle: fails unless the warehouse has what the CRM has."""
        with self.open_warehouse() as db:
            oracle.assert_same(oracle.read(self.crm, TRUTH), db, source="crm", entity="product")

    def state(self) -> list[tuple[Any, ...]]:
        """All that a load writes, down to the version of every row."""
        tables = ("landing.product", "landing.product_history", "ops.quarantine")
        tables += ("ops.watermark", "ops.load")
        return [self.versions(table) for table in tables]

    def versions(self, table: str) -> tuple[Any, ...]:
        """Number and hash of a table's rows and of the transactions that wrote them."""
        digest = "md5(string_agg(t::text || t.xmin::text, ' ' ORDER BY t::text))"
        return self.ask(f"SELECT count(*), {digest} FROM {table} AS t")[0]

    @contextmanager
    def locked(self, *locks: str) -> Iterator[None]:
        """Hold table locks in the warehouse: a load comes so far, and waits there."""
        with psycopg.connect(self.warehouse_url, application_name="test") as holder:
            for lock in locks:
                holder.execute(f"LOCK TABLE {lock} MODE")
            yield

    def until_waiting(self, loads: int = 1) -> None:
        """Wait until so many loads stand at a lock."""
        waiting = """SELECT count(*) FROM pg_stat_activity WHERE application_name = 'portrait'
                     AND datname = current_database() AND wait_event_type = 'Lock'"""
        with self.open_warehouse() as db:
            until(
                lambda: db.execute(waiting).fetchone() == (loads,), f"{loads} loads at their locks"
            )

    def until_gone(self) -> None:
        """Wait until the warehouse has noticed that the loads are dead."""
        living = """SELECT count(*) FROM pg_stat_activity WHERE application_name = 'portrait'
                    AND datname = current_database()"""
        with self.open_warehouse() as db:
            until(lambda: db.execute(living).fetchone() == (0,), "the killed load's session ends")


def prepare(scene: Scene, form: str, seed: int, *, filler: int = 0) -> None:
    """A CRM that has not been loaded (first), or one that has changed since (next)."""
    scene.add(goods(seed, filler=filler))
    if form == "next":
        scene.load("before")
        scene.change(news(seed + 100, ROWS - 1500, CHANGED, filler=filler))


def assert_completed_by_the_next(scene: Scene, before: list[tuple[Any, ...]], form: str) -> None:
    """Nothing of the failed load is there; the same run, repeated, does all of it, once."""
    scene.until_gone()
    assert scene.state() == before
    scene.load("run")
    scene.assert_same()
    ((read,),) = scene.ask("SELECT rows_in FROM ops.load WHERE run_id = 'run'")
    assert read == (ROWS if form == "first" else CHANGED)


def postgres_url(conninfo: str, *, port: int | None = None, **options: object) -> str:
    """An address as AIRFLOW_CONN_<ID> takes it, of a server or of the proxy in front of it."""
    parts = psycopg.conninfo.conninfo_to_dict(conninfo)
    login = ":".join(quote(str(parts[key])) for key in ("user", "password") if parts.get(key))
    query = f"?{urlencode(options)}" if options else ""
    return f"postgres://{login}@{LOOPBACK}:{port or parts['port']}/{parts['dbname']}{query}"
