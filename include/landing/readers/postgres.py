"""PostgreSQL: COPY binary straight through, or its text lines where bytes cannot be trusted."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

import psycopg

from include import clock, connections, copying, warehouse
from include.errors import ConfigError, PortraitError, ResourceError
from include.landing.readers.contract import Clock, Position, Staged, Window, missing_column
from include.sources import Entity, Source

WHOLE = {"int2": 16, "int4": 32, "int8": 64}
BITS = {"integer": 32, "bigint": 64}
NUMERIC = re.compile(r"numeric\((\d+),(-?\d+)\)")


def key_range(key: str) -> str:
    """SQL: which of the ``RANGES`` a key belongs to."""
    return f"('x' || left(md5({key}), 2))::bit(8)::int"


class PostgresReader:
    """A source in PostgreSQL."""

    dialect = "postgres"

    def __init__(self, source: Source) -> None:
        self.source = source
        self.place = connections.address(source.connection).where
        self.db = connections.connect(source.connection)

    def __enter__(self) -> Self:
        with self.told():
            self.begun = self._asked()  # before the snapshot: what commits between is read again
            self.db.rollback()
            self.db.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        return self

    def __exit__(self, *_: object) -> None:
        self.db.close()

    def shape(self, select: str) -> dict[str, str]:
        """Column of the query -> its type, as PostgreSQL writes it."""
        with self.told(), self.db.transaction():  # a savepoint: the connection stays of use
            cursor = self.db.execute(warehouse.text(f"SELECT * FROM ({select}) AS q LIMIT 0"))
        return {column.name: column.type_display for column in cursor.description or []}

    def clock(self) -> Clock:
        """The start of the oldest open transaction, else now: nothing older can still commit."""
        return self.begun

    def _asked(self) -> Clock:
        """First the time, then who is at work: what begins between the two is later than both."""
        ((now,),) = self.db.execute("SELECT clock_timestamp()").fetchall()
        row = self.db.execute(
            """SELECT xact_start, format('transaction of pid %%s (%%s, %%s)', pid,
                      coalesce(nullif(application_name, ''), usename), state)
               FROM pg_stat_activity
               WHERE backend_type = 'client backend' AND datname = current_database()
               AND xact_start < %(now)s AND application_name <> %(ours)s
               UNION ALL
               SELECT prepared, format('prepared transaction %%L of %%s', gid, owner)
               FROM pg_prepared_xacts WHERE database = current_database() AND prepared < %(now)s
               ORDER BY 1 LIMIT 1""",
            {"now": now, "ours": connections.APPLICATION},
        ).fetchone()
        since, holder = row or (now, None)
        return Clock(since, now, holder)

    def columns(self, entity: Entity, wanted: dict[str, str]) -> list[Staged]:
        """Typed where the source's type can only be right, text where a value may not fit."""
        given = self.shape(entity.select)
        return [
            self._staged(entity, name, given[name], kind)
            for name, kind in wanted.items()
            if name in given
        ]

    def _staged(self, entity: Entity, name: str, given: str, wanted: str) -> Staged:
        column, kind = warehouse.quoted(name), given.partition("(")[0]
        if wanted == "timestamptz" and kind in {"timestamptz", "timestamp", "date"}:
            return Staged(name, wanted, self._moment(entity, name, kind), exact=True)
        if wanted.startswith("numeric") and kind in {*WHOLE, "numeric", "float4", "float8"}:
            fits = kind in {"int2", "int4"}
            if bounds := NUMERIC.fullmatch(given):
                digits, scale = int(bounds[1]), int(bounds[2])
                fits = 0 <= scale <= 6 and digits - scale <= 12  # of numeric(18,6)
            short = "::text" if kind.startswith("float") else ""  # as short as tells it apart
            staged = wanted if fits else "numeric"
            return Staged(name, staged, f"{column}{short}::numeric", exact=fits)
        if wanted in BITS and kind in WHOLE:
            fits = WHOLE[kind] <= BITS[wanted]
            staged = wanted if fits else "bigint"
            return Staged(name, staged, f"{column}::{staged}", exact=fits)
        if wanted == "boolean" and kind == "bool":
            return Staged(name, wanted, column, exact=True)
        if wanted == "date" and kind in {"date", "timestamp"}:
            return Staged(name, wanted, f"{column}::date", exact=True)
        return Staged(name, "text", f"{column}::text", exact=wanted == "text")

    def _moment(self, entity: Entity, name: str, kind: str) -> str:
        if kind == "timestamptz":
            return warehouse.quoted(name)
        zone = warehouse.literal(self.source.zone(entity, name))
        return f"({warehouse.quoted(name)}::timestamp AT TIME ZONE {zone})"

    def query(self, entity: Entity, staged: list[Staged], window: Window) -> str:
        """The rows of ``window``, in the types of ``staged``."""
        listed = ", ".join(
            f"{column.select} AS {warehouse.quoted(column.name)}" for column in staged
        )
        key = "coalesce(source_id::text, '') COLLATE \"C\""
        where, order = [], ""
        if entity.cursor:
            kind = self.shape(entity.select)[entity.cursor].partition("(")[0]
            if kind not in {"timestamptz", "timestamp", "date"}:
                raise ConfigError(
                    f"{self.source.name}.yaml: the cursor {entity.cursor} is of type {kind}, no "
                    "time; cast it in the select, or leave the cursor out: all rows are compared"
                )
            where += self._changed(entity, kind, window)
        if window.ranges is not None:
            where.append(
                f"{key_range('source_id::text')} IN ({', '.join(map(str, window.ranges))})"
            )
        if window.most_rows is not None or window.after is not None:
            moment = self._moment(entity, entity.cursor, kind) if entity.cursor else None
            where += _beyond(moment, key, window.after)
            order = f" ORDER BY {f'{moment}, ' if moment else ''}{key} LIMIT {window.most_rows}"
        filtered = f" WHERE {' AND '.join(where)}" if where else ""
        return f"SELECT {listed} FROM ({entity.select}) AS q{filtered}{order}"

    def _changed(self, entity: Entity, kind: str, window: Window) -> list[str]:
        """The window on the cursor, in the cursor's own kind, so that an index serves it."""
        assert entity.cursor is not None  # noqa: S101  the caller looked
        cursor = warehouse.quoted(entity.cursor)
        if window.undated:
            return [f"{cursor} IS NULL"]
        bounds = []
        for sign, bound in ((">=", window.lower), ("<", window.upper)):
            if bound is not None and kind == "timestamptz":
                bounds.append(f"{cursor} {sign} timestamptz {warehouse.literal(bound.isoformat())}")
            elif bound is not None:
                pick = clock.earliest_local if sign == ">=" else clock.latest_local
                local = pick(bound, self.source.zone(entity, entity.cursor))
                inside = "<=" if kind == "date" and sign == "<" else sign  # all of the last day
                said = warehouse.literal(local.isoformat())
                bounds.append(
                    f"{cursor} {inside} {'date' if kind == 'date' else 'timestamp'} {said}"
                )
        if window.most_rows is not None:
            return [*bounds, f"{cursor} IS NOT NULL"]
        never = f"{cursor} IS NULL OR {cursor} = '-infinity'"
        return [f"({' AND '.join(bounds)} OR {never})"] if bounds else []

    def copy_into(
        self,
        target: warehouse.Connection,
        table: str,
        entity: Entity,
        staged: list[Staged],
        window: Window,
    ) -> copying.Copied:
        """COPY binary from server to server; lines where the source promises no encoding."""
        query = self.query(entity, staged, window)
        if self.sure:
            return self.through(target, query, table)
        lines, strip = self._lines(query), self.source.bad_text == "strip"
        return copying.copy_lines(lines, target, table=table, strip=strip)

    @property
    def sure(self) -> bool:
        """The server promises that its text is text; SQL_ASCII is no encoding."""
        return self.db.info.parameter_status("server_encoding") != "SQL_ASCII"

    def through(self, target: warehouse.Connection, query: str, table: str) -> copying.Copied:
        """COPY binary from server to server."""
        try:
            return copying.copy_through(self.db, target, select=query, table=table)
        except (psycopg.ProgrammingError, copying.SourceError) as error:
            raise self._said(error) from error

    def _lines(self, query: str) -> Iterator[bytes]:
        """The rows as lines of bytes, which the server is asked not to look at."""
        copy = f"COPY ({query}) TO STDOUT".encode()
        with self.told():
            self.db.execute("SET LOCAL client_encoding = 'SQL_ASCII'")
            with self.db.cursor() as cursor, cursor.copy(copy) as lines:
                for line in lines:
                    yield bytes(line)
            self.db.execute("SET LOCAL client_encoding = 'UTF8'")

    @contextmanager
    def told(self) -> Iterator[None]:
        """The server's own words, with what to do next."""
        try:
            yield
        except psycopg.errors.ProgramLimitExceeded:
            raise  # about a row
        except (psycopg.ProgrammingError, psycopg.OperationalError) as error:
            raise self._said(error) from error

    def _said(self, error: psycopg.Error) -> PortraitError:
        if isinstance(error, psycopg.ProgrammingError):
            return missing_column(self.source, error)
        words = " ".join(str(error).split())
        return ResourceError(
            f"{self.source.connection}: {self.place}: {words}; nothing was kept of this part; look "
            "at the server, or ask for more time, or set batch_rows in "
            f"{self.source.name}.yaml; then run again"
        )


def _beyond(moment: str | None, key: str, after: Position | None) -> list[str]:
    if after is None:
        return []
    if moment is None:
        return [f"{key} > {warehouse.literal(after.key)}"]
    cursor = warehouse.literal(after.cursor or "-infinity")
    return [f"({moment}, {key}) > (timestamptz {cursor}, {warehouse.literal(after.key)})"]
