"""What a reader copies, in a real PostgreSQL; and a MariaDB to read from."""

import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

import psycopg
import pymysql
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from psycopg import sql

from include import copying
from include.landing.readers import Position, Window, open_reader
from include.sources import Source

# the fixtures hold connections only, and each example clears its table
REAL = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
AWKWARD = [
    "\t",
    "\n",
    "\r",
    "\\",
    "\\.",
    "\\N",
    "'",
    '"',
    "%",
    "%s",
    "`",
    "\x1c",
    "\x7f",
    "客",
    "𝄞",
]
TEXTS = st.lists(
    st.none()
    | st.lists(st.sampled_from(AWKWARD) | st.characters(exclude_categories=["Cs"])).map(
        lambda parts: "".join(parts).replace("\0", "")
    ),
    min_size=1,
)


def moment(said: str) -> datetime:
    """ "2026-01-31 10:00Z" as a moment."""
    return datetime.fromisoformat(said)


def crm(select: str, cursor: str | None = None, **settings: object) -> Source:
    """A source with one entity."""
    entity = {"select": select, "cursor": cursor}
    return Source.model_validate({
        "name": "crm",
        "connection": "crm",
        "entities": {"ticket": entity},
        **settings,
    })


@dataclass(frozen=True)
class Read:
    """What lies in staging: its types, and its rows in the order of their text."""

    types: list[str]
    rows: list[tuple]
    copied: copying.Copied

    @property
    def first(self) -> list:
        """The first column, in the order it came."""
        return [row[0] for row in self.rows]


@pytest.fixture
def staging(empty_database: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(empty_database, options="-c timezone=UTC") as db:
        yield db


@pytest.fixture
def read(staging: psycopg.Connection) -> Callable[..., Read]:
    """Copy the window of a source into a temporary table, and look at it."""

    def run(source: Source, wanted: dict[str, str], window: Window | None = None) -> Read:
        entity = source.entities["ticket"]
        with open_reader(source) as reader:
            staged = reader.columns(entity, wanted)
            listed = sql.SQL(", ").join(
                sql.SQL("{} {}").format(sql.Identifier(column.name), sql.SQL(column.type))
                for column in staged
            )
            staging.execute("DROP TABLE IF EXISTS pg_temp.staged")
            staging.execute(sql.SQL("CREATE TEMP TABLE staged ({})").format(listed))
            copied = reader.copy_into(staging, "pg_temp.staged", entity, staged, window or Window())
        rows = staging.execute("SELECT * FROM pg_temp.staged").fetchall()
        return Read([column.type for column in staged], rows, copied)

    return run


def in_batches(
    read: Callable[..., Read], source: Source, wanted: dict[str, str], most_rows: int
) -> list[list[str]]:
    """The keys of each batch, until one has fewer rows."""
    batches, after = [], None
    while True:
        found = read(source, wanted, Window(after=after, most_rows=most_rows))
        batches.append(found.first)
        if len(found.rows) < most_rows:
            return batches
        key, cursor = max(found.rows, key=lambda row: (row[1], row[0].encode()))
        after = Position(cursor, key)


@pytest.fixture(scope="session")
def mariadb_url() -> Iterator[str]:
    """A database of its own on MARIADB_URL, else on 127.0.0.1 as root without password."""
    url = os.environ.get("MARIADB_URL", "mysql://root@127.0.0.1:3306").rstrip("/")
    try:
        db = connected(url)
    except pymysql.err.OperationalError:
        pytest.skip("no MariaDB at MARIADB_URL, nor at 127.0.0.1:3306 as root without password")
    name = f"portrait_test_{secrets.token_hex(6)}"
    with db, db.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        yield f"{url}/{name}"
        cursor.execute(f"DROP DATABASE {name}")


def connected(url: str) -> pymysql.Connection:
    """A session of the server's own account, in UTC, that commits each statement."""
    parts = urlsplit(url)
    return pymysql.connect(
        host=parts.hostname,
        port=parts.port or 3306,
        user=parts.username or "root",
        password=parts.password or "",
        database=parts.path[1:] or None,
        charset="utf8mb4",
        autocommit=True,
        init_command="SET time_zone = '+00:00'",
    )


@pytest.fixture
def mariadb(mariadb_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator:
    """A cursor in the CRM, whose only table is the test's own ``t``."""
    monkeypatch.setenv("AIRFLOW_CONN_CRM", mariadb_url)
    with connected(mariadb_url) as db, db.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS t")
        yield cursor
