"""Small CRMs in PostgreSQL, MariaDB and SQLite, to hold what real ones hold.

crm = crms.fixture("postgres", "mysql", "sqlite")  # a test that takes it runs on all three

def test_...(crm, warehouse):
    crm.create("goods", sku="key", title="text", price="money", changed="moment")
    crm.add("goods", ("a", "Apple", "1.25", crms.ago(minutes=5)))
    loaded = crms.load(warehouse, crms.STAMPED)
    assert crms.landed(warehouse, "source_id, price") == [("a", Decimal("1.25"))]
"""

import os
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import psycopg
import pymysql
import pytest

from include import landing
from include.landing import Loaded
from include.local import postgres as embedded_postgres
from include.sources import Source

LOCAL = "postgresql://postgres@127.0.0.1:5432/postgres"
KINDS = {
    "postgres": {"key": "text", "money": "numeric", "moment": "timestamptz", "text": "text"},
    "mysql": {
        "key": "varchar(100)",
        "money": "decimal(65,20)",
        "moment": "datetime(6)",
        "text": "longtext",
    },
    "sqlite": {"key": "text", "money": "text", "moment": "text", "text": "text"},
}
QUOTES = {"postgres": '"', "mysql": "`", "sqlite": '"'}
BILL = {"select": "SELECT id AS source_id, at AS ordered_at, total FROM bills"}
GOODS = {"select": "SELECT sku AS source_id, title AS name, price FROM goods"}
STAMPED = {
    "select": "SELECT sku AS source_id, title AS name, price, changed FROM goods",
    "cursor": "changed",
}
TICKET = {"select": "SELECT id AS source_id, opened AS opened_at, note AS subject FROM calls"}


@dataclass(frozen=True)
class Crm:
    """A database behind AIRFLOW_CONN_CRM, and its application's session, which commits at once."""

    dialect: str
    db: Any

    def run(self, statement: str) -> list[tuple]:
        """Execute a statement and return its rows."""
        cursor = self.db.cursor()
        cursor.execute(statement)
        return list(cursor.fetchall()) if cursor.description else []

    def create(self, table: str, **columns: str) -> None:
        """Make a table; a column's kind is one of KINDS, or a type of this database."""
        kinds = KINDS[self.dialect]
        listed = ", ".join(f"{self.quoted(c)} {kinds.get(k, k)}" for c, k in columns.items())
        self.run(f"CREATE TABLE {self.quoted(table)} ({listed})")

    def add(self, table: str, *rows: tuple) -> None:
        """Insert rows."""
        mark = "?" if self.dialect == "sqlite" else "%s"
        marks = ", ".join([mark] * len(rows[0]))
        name = self.quoted(table).replace("%", "%%" if mark == "%s" else "%")
        self.run("BEGIN")  # one commit for all: each is a write to the disk
        self.db.cursor().executemany(f"INSERT INTO {name} VALUES ({marks})", rows)
        self.run("COMMIT")

    def quoted(self, name: str) -> str:
        """A name as this database's identifier."""
        sign = QUOTES[self.dialect]
        return sign + name.replace(sign, sign * 2) + sign


@dataclass(frozen=True)
class Databases:
    """The conninfo of two databases that the tests of one module use in turn."""

    crm: str
    warehouse: str


def databases() -> Callable[..., Any]:
    """A fixture of a module, ``databases``: dropping one for each test costs a checkpoint."""

    @pytest.fixture(scope="module")
    def opened(postgres_url: str, deployed_template: str) -> Iterator[Databases]:
        with (
            own_database(postgres_url) as crm,
            own_database(postgres_url, f"TEMPLATE {deployed_template}") as landing_place,
        ):
            yield Databases(crm, landing_place)

    return opened


EMPTIED = """DO $$ DECLARE part record; BEGIN
    FOR part IN SELECT oid::regclass AS name, relispartition FROM pg_class
                WHERE relnamespace IN ('landing'::regnamespace, 'ops'::regnamespace)
                AND relkind = 'r' AND relname <> 'deployment' LOOP
        EXECUTE format(CASE WHEN part.relispartition THEN 'DROP TABLE %s' ELSE 'DELETE FROM %s' END,
                       part.name);
    END LOOP;
END $$"""


def warehouse() -> Callable[..., Any]:
    """A fixture that gives a connection to the module's warehouse, empty but for its tables."""

    @pytest.fixture
    def connected(databases: Databases) -> Iterator[psycopg.Connection[Any]]:
        with psycopg.connect(databases.warehouse, options="-c timezone=UTC") as db:
            db.execute(EMPTIED)
            db.commit()
            yield db

    return connected


def fixture(*dialects: str) -> Callable[..., Any]:
    """A fixture that gives an empty CRM of each dialect in turn, switched on as CRM."""

    @pytest.fixture(params=dialects)
    def crm(
        request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> Iterator[Crm]:
        if request.param == "postgres":
            opened = postgres(request.getfixturevalue("databases").crm, monkeypatch)
        elif request.param == "mysql":
            opened = mariadb(
                os.environ.get("MARIADB_URL", "mysql://root@127.0.0.1:3306"), monkeypatch
            )
        else:
            opened = sqlite(tmp_path / "crm.db", monkeypatch)
        with opened as found:
            yield found

    return crm


@contextmanager
def own_database(url: str, how: str = "") -> Iterator[str]:
    """The conninfo of a new database; skips the test where no server answers."""
    name = f"portrait_test_{secrets.token_hex(6)}"
    try:
        admin = psycopg.connect(url, autocommit=True)
    except psycopg.OperationalError:
        pytest.skip(f"no PostgreSQL at {url.rpartition('@')[2]}")
    with admin:
        admin.execute(f"CREATE DATABASE {name} {how}")
        try:
            yield psycopg.conninfo.make_conninfo(url, dbname=name)
        finally:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def url_of(conninfo: str) -> str:
    """A database's address as AIRFLOW_CONN_<ID> takes it."""
    parts = psycopg.conninfo.conninfo_to_dict(conninfo)
    login = f"{parts['user']}:{quote(parts.get('password', ''), safe='')}"
    return f"postgres://{login}@{parts['host']}:{parts['port']}/{parts['dbname']}"


@contextmanager
def postgres(conninfo: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Crm]:
    """The PostgreSQL database at ``conninfo``, emptied."""
    monkeypatch.setenv("AIRFLOW_CONN_CRM", url_of(conninfo))
    with psycopg.connect(conninfo, autocommit=True, options="-c timezone=UTC") as db:
        db.execute("DROP SCHEMA public CASCADE")
        db.execute("CREATE SCHEMA public")
        yield Crm("postgres", db)
        db.execute(f"ALTER DATABASE {db.info.dbname} RESET ALL")


@contextmanager
def another_postgres(
    url: str, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Crm]:
    """A database on a server of another version than the one at ``url``: the embedded, or :5432.

    Skips the test where there is none.
    """
    home = tmp_path_factory.mktemp("another")
    embedded = "PORTRAIT_TEST_POSTGRES" in os.environ
    try:
        other = embedded_postgres.start(home, durable=False).url_admin if embedded else LOCAL
        with (
            own_database(other) as conninfo,
            postgres(conninfo, monkeypatch) as crm,
            psycopg.connect(url) as db,
        ):
            if crm.db.info.server_version // 10000 == db.info.server_version // 10000:
                pytest.skip("no PostgreSQL of another version on this machine")
            yield crm
    finally:
        if embedded:
            embedded_postgres.remove(home)


@contextmanager
def mariadb(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Crm]:
    """A database of its own on a MySQL or MariaDB server; skips the test where none answers."""
    place, name = urlsplit(url), f"portrait_test_{secrets.token_hex(6)}"
    login = {"host": place.hostname, "port": place.port or 3306, "user": place.username or "root"}
    secret = place.password or ""
    try:
        db = pymysql.connect(**login, password=secret, charset="utf8mb4", autocommit=True)
    except pymysql.err.OperationalError:
        pytest.skip("no MariaDB at MARIADB_URL, nor at 127.0.0.1:3306 as root without password")
    address = f"{login['user']}:{secret}@{login['host']}:{login['port']}"
    monkeypatch.setenv("AIRFLOW_CONN_CRM", f"mysql://{address}/{name}")
    with db, db.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        try:
            cursor.execute(f"USE {name}")
            yield Crm("mysql", db)
        finally:
            cursor.execute(f"DROP DATABASE {name}")


@contextmanager
def sqlite(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Crm]:
    """A new SQLite file."""
    monkeypatch.setenv("AIRFLOW_CONN_CRM", f"sqlite:///{path}")
    db = sqlite3.connect(path, isolation_level=None)
    try:
        yield Crm("sqlite", db)
    finally:
        db.close()


def mapping(how: dict, entity: str = "product", **settings: Any) -> Source:
    """The mapping ``crm.yaml`` of one entity."""
    return Source.model_validate({
        "name": "crm",
        "connection": "crm",
        "entities": {entity: how},
        **settings,
    })


def load(
    db: psycopg.Connection[Any],
    how: dict,
    entity: str = "product",
    *,
    run_id: str = "r1",
    **settings: Any,
) -> Loaded:
    """Load one entity of ``crm.yaml``; what a test has read before does not hold it back."""
    db.commit()
    return landing.load(mapping(how, entity, **settings), entity, db, run_id=run_id)


def landed(
    db: psycopg.Connection[Any], columns: str, entity: str = "product"
) -> list[tuple[Any, ...]]:
    """The landed rows, by their first two columns."""
    return db.execute(f"SELECT {columns} FROM landing.{entity} ORDER BY 1, 2").fetchall()


def set_aside(db: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    """Key, check and column of every row in the quarantine."""
    return db.execute(
        'SELECT row_key, "check", "column" FROM ops.quarantine ORDER BY 1, 2, 3'
    ).fetchall()


def ledger(db: psycopg.Connection[Any], column: str, run_id: str = "r1") -> Any:
    """One figure of a load, from ops.load."""
    row = db.execute(f"SELECT {column} FROM ops.load WHERE run_id = %s", [run_id]).fetchone()
    assert row is not None, f"ops.load has no row of run {run_id}"
    return row[0]


def ago(**span: float) -> str:
    """A moment in the past as every database takes it, in UTC: ``ago(minutes=5)``."""
    return f"{datetime.now(UTC) - timedelta(**span):%Y-%m-%d %H:%M:%S.%f}"
