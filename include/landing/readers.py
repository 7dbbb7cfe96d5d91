"""One reader a dialect: what a mapping's query gives, and its rows as bytes for COPY.

Where a server does not speak COPY, its own SQL builds the line, so that no value passes through
Python and no decimal through a float.
"""

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import psycopg

from include import connections, warehouse
from include.errors import ConfigError
from include.sources import Entity, Source

LOOKBACK = timedelta(minutes=10)
"""Read again at each run: what was stamped before the last watermark but committed after it."""


@dataclass(frozen=True)
class Window:
    """The changes to read: from ``lower`` (None: the beginning) to before ``upper``."""

    lower: datetime | None
    upper: datetime


@dataclass(frozen=True)
class Staged:
    """A column of the staging table: its type there; text is converted in the warehouse."""

    name: str
    type: str
    select: str  # its expression in the source, over the alias


class Reader(Protocol):
    """What landing asks of a source; one object an open connection."""

    def aliases(self, select: str) -> list[str]:
        """The column names of a query, without running it to the end."""

    def clock(self) -> datetime:
        """The moment before which every change is committed, by the source's own clock."""

    def columns(self, entity: Entity, wanted: dict[str, str]) -> list[Staged]:
        """How each wanted column (canonical name -> warehouse type) is staged."""

    def copy_into(
        self,
        target: warehouse.Connection,
        table: str,
        entity: Entity,
        staged: list[Staged],
        window: Window,
    ) -> int:
        """Copy the rows of ``window`` into ``table``; return their number."""


def open_reader(source: Source) -> Any:
    """The reader of a source's database, connected, read-only; a context manager."""
    place = connections.address(source.connection)
    kinds = {"postgres": PostgresReader, "sqlite": SqliteReader, "mysql": MysqlReader}
    return kinds[place.dialect](source)


def missing_column(source: Source, error: Exception) -> ConfigError:
    """A database's own words on a query it cannot run, as one line with the next step."""
    said = " ".join(str(error).split())
    return ConfigError(f"{source.name}.yaml: {said}; mend the select, or ask for the right to read")


class PostgresReader:
    """PostgreSQL: COPY binary straight through, columns cast to the warehouse's types."""

    dialect = "postgres"

    def __init__(self, source: Source) -> None:
        self.source = source
        self.zone = source.time_zone
        self.db = connections.connect(source.connection)

    def __enter__(self) -> "PostgresReader":
        self.db.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        return self

    def __exit__(self, *_: object) -> None:
        self.db.close()

    def _described(self, select: str) -> dict[str, str]:
        try:
            cursor = self.db.execute(warehouse.text(f"SELECT * FROM ({select}) AS q LIMIT 0"))
        except (psycopg.errors.ProgrammingError, psycopg.errors.InsufficientPrivilege) as error:
            raise missing_column(self.source, error) from error
        described = cursor.description or []
        known = psycopg.adapters.types
        return {
            column.name: kind.name if (kind := known.get(column.type_code)) else "text"
            for column in described
        }

    def aliases(self, select: str) -> list[str]:
        """The column names of a query."""
        return list(self._described(select))

    def clock(self) -> datetime:
        """The start of the oldest open transaction, else now: nothing older can still commit."""
        row = self.db.execute(
            """SELECT least(clock_timestamp(), min(xact_start),
                           (SELECT min(prepared) FROM pg_prepared_xacts))
               FROM pg_stat_activity
               WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
               AND datname = current_database()"""
        ).fetchone()
        assert row is not None  # noqa: S101  an aggregate gives one row
        return row[0]  # type: ignore[no-any-return]

    def columns(self, entity: Entity, wanted: dict[str, str]) -> list[Staged]:
        """Typed where the source's type can only be right, text where a value may not fit."""
        given = self._described(entity.select)
        return [self._staged(name, given[name], kind) for name, kind in wanted.items()]

    def _staged(self, name: str, given: str, wanted: str) -> Staged:
        quoted = '"' + name.replace('"', '""') + '"'
        whole = {"int2", "int4", "int8"}
        if wanted == "timestamptz" and given == "timestamptz":
            return Staged(name, "timestamptz", quoted)
        if wanted == "timestamptz" and given in {"timestamp", "date"}:
            zone = self.zone.replace("'", "''")
            return Staged(name, "timestamptz", f"{quoted}::timestamp AT TIME ZONE '{zone}'")
        if wanted.startswith("numeric") and given in whole | {"numeric", "float4", "float8"}:
            return Staged(name, "numeric", f"{quoted}::numeric")
        if wanted in {"integer", "bigint"} and given in whole:
            return Staged(name, "bigint", f"{quoted}::bigint")
        if wanted == "boolean" and given == "bool":
            return Staged(name, "boolean", quoted)
        if wanted == "date" and given in {"date", "timestamp"}:
            return Staged(name, "date", f"{quoted}::date")
        return Staged(name, "text", f"{quoted}::text")

    def copy_into(
        self,
        target: warehouse.Connection,
        table: str,
        entity: Entity,
        staged: list[Staged],
        window: Window,
    ) -> int:
        """COPY binary from server to server."""
        listed = ", ".join(column.select for column in staged)
        query = f"SELECT {listed} FROM ({entity.select}) AS q"
        if entity.cursor:
            given = self._described(entity.select)[entity.cursor]
            cursor = '"' + entity.cursor.replace('"', '""') + '"'
            query += f" WHERE ({self._window(cursor, given, window)}) OR {cursor} IS NULL"
        try:
            return warehouse.copy_through(self.db, target, select=query, table=table)
        except psycopg.errors.SyntaxErrorOrAccessRuleViolation as error:
            raise missing_column(self.source, error) from error

    def _window(self, cursor: str, given: str, window: Window) -> str:
        parts = [f"{cursor} < {self._moment(window.upper, given)}"]
        if window.lower is not None:
            parts.append(f"{cursor} >= {self._moment(window.lower - LOOKBACK, given)}")
        return " AND ".join(parts)

    def _moment(self, moment: datetime, given: str) -> str:
        """A literal of the cursor's own kind: a moment, or local time without an offset."""
        literal = f"timestamptz '{moment.astimezone(UTC).isoformat()}'"
        zone = self.zone.replace("'", "''")
        return literal if given == "timestamptz" else f"({literal} AT TIME ZONE '{zone}')"


class SqliteReader:
    """SQLite: its own SQL escapes and joins the columns into COPY's text lines."""

    dialect = "sqlite"

    def __init__(self, source: Source) -> None:
        self.source = source
        self.zone = ZoneInfo(source.time_zone)
        self.db = connections.connect_sqlite(source.connection)
        self.db.text_factory = bytes

    def __enter__(self) -> "SqliteReader":
        self.db.execute("BEGIN")
        return self

    def __exit__(self, *_: object) -> None:
        self.db.close()

    def aliases(self, select: str) -> list[str]:
        """The column names of a query."""
        try:
            cursor = self.db.execute(f"SELECT * FROM ({select}) AS q LIMIT 0")
        except sqlite3.DatabaseError as error:
            raise missing_column(self.source, error) from error
        return [column[0] for column in cursor.description]

    def clock(self) -> datetime:
        """Now: SQLite has one writer, so what is not committed yet is within the lookback."""
        return datetime.now(UTC)

    def columns(self, entity: Entity, wanted: dict[str, str]) -> list[Staged]:
        """All text: SQLite's columns have no types to rely on."""
        given = set(self.aliases(entity.select))
        return [Staged(name, "text", self._line_part(name)) for name in wanted if name in given]

    @staticmethod
    def _line_part(name: str) -> str:
        quoted = 'CAST("' + name.replace('"', '""') + '" AS TEXT)'
        for raw, escaped in ((92, "\\\\"), (9, "\\t"), (10, "\\n"), (13, "\\r")):
            quoted = f"replace({quoted}, char({raw}), '{escaped}')"
        return f"coalesce({quoted}, '\\N')"

    def copy_into(
        self,
        target: warehouse.Connection,
        table: str,
        entity: Entity,
        staged: list[Staged],
        window: Window,
    ) -> int:
        """Stream the lines that SQLite builds."""
        line = " || char(9) || ".join(column.select for column in staged)
        query = f"SELECT {line} FROM ({entity.select}) AS q"
        bounds: list[str] = []
        if entity.cursor:
            changed = f'datetime("{entity.cursor}")'
            where, bounds = _bounded(changed, "datetime(?)", window, self._local)
            query += where
        return warehouse.copy_lines(self._lines(query, bounds), target, table=table)

    def _local(self, moment: datetime) -> str:
        return moment.astimezone(self.zone).strftime("%Y-%m-%d %H:%M:%S")

    def _lines(self, query: str, bounds: list[str]) -> Iterator[bytes]:
        for (line,) in self.db.execute(query, bounds):
            yield line


class MysqlReader:
    """MySQL and MariaDB: the server's own SQL builds COPY's text lines, read as bytes."""

    dialect = "mysql"

    def __init__(self, source: Source) -> None:
        self.source = source
        self.zone = ZoneInfo(source.time_zone)
        self.db = connections.connect_mysql(source.connection)

    def __enter__(self) -> "MysqlReader":
        with self.db.cursor() as cursor:
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        return self

    def __exit__(self, *_: object) -> None:
        self.db.close()

    def aliases(self, select: str) -> list[str]:
        """The column names of a query."""
        import pymysql

        with self.db.cursor() as cursor:
            try:
                cursor.execute(f"SELECT * FROM ({select}) AS q LIMIT 0")
            except (pymysql.err.ProgrammingError, pymysql.err.OperationalError) as error:
                raise missing_column(self.source, error) from error
            cursor.fetchall()
            return [column[0] for column in cursor.description]

    def clock(self) -> datetime:
        """The start of the oldest open InnoDB transaction where we may see it, else now."""
        with self.db.cursor() as cursor:
            cursor.execute("SELECT UTC_TIMESTAMP(6)")
            ((now,),) = cursor.fetchall()
        return now.replace(tzinfo=UTC)  # type: ignore[no-any-return]

    def columns(self, entity: Entity, wanted: dict[str, str]) -> list[Staged]:
        """All text: the warehouse converts and sets aside what does not fit."""
        given = set(self.aliases(entity.select))
        return [Staged(name, "text", self._line_part(name)) for name in wanted if name in given]

    @staticmethod
    def _line_part(name: str) -> str:
        """Written with char() throughout, so that it means the same under any sql_mode."""
        backslash = "char(92 using utf8mb4)"
        part = f"CAST(`{name}` AS CHAR)"
        part = f"replace({part}, {backslash}, concat({backslash}, {backslash}))"
        for code, letter in ((9, "t"), (10, "n"), (13, "r")):
            part = f"replace({part}, char({code} using utf8mb4), concat({backslash}, '{letter}'))"
        return f"ifnull({part}, concat({backslash}, 'N'))"

    def copy_into(
        self,
        target: warehouse.Connection,
        table: str,
        entity: Entity,
        staged: list[Staged],
        window: Window,
    ) -> int:
        """Stream the lines that the server builds."""
        line = ", char(9), ".join(column.select for column in staged)
        query = f"SELECT CAST(concat({line}) AS BINARY) FROM ({entity.select}) AS q"
        bounds: list[str] = []
        if entity.cursor:
            where, bounds = _bounded(f"`{entity.cursor}`", "%s", window, self._local)
            query = query.replace("%", "%%") + where
        return warehouse.copy_lines(self._lines(query, bounds), target, table=table)

    def _local(self, moment: datetime) -> str:
        return moment.astimezone(self.zone).strftime("%Y-%m-%d %H:%M:%S.%f")

    def _lines(self, query: str, bounds: list[str]) -> Iterator[bytes]:
        with self.db.cursor() as cursor:
            cursor.execute(query, bounds or None)
            for (line,) in cursor:
                yield line


def _bounded(
    changed: str, placeholder: str, window: Window, local: Callable[[datetime], str]
) -> tuple[str, list[str]]:
    """A WHERE clause for the window, and its values; rows without a changed-at always pass."""
    where, bounds = (
        f" WHERE {changed} IS NULL OR ({changed} <= {placeholder}",
        [local(window.upper)],
    )
    if window.lower is not None:
        where += f" AND {changed} >= {placeholder}"
        bounds.append(local(window.lower - LOOKBACK))
    return where + ")", bounds
