"""SQLite: its own SQL joins the columns into lines, so that numbers are printed by SQLite."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Self

from include import clock, connections, copying, warehouse
from include.errors import ConfigError, ResourceError
from include.landing.readers.contract import Clock, Position, Staged, Window, missing_column
from include.landing.readers.lines import Marks, blocks
from include.sources import Entity, Source

MOMENT = "%Y-%m-%d %H:%M:%f"  # SQLite's clock has milliseconds
ALMOST_A_TICK = timedelta(microseconds=999)
ALMOST_A_DAY = timedelta(days=1, microseconds=-1)
DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def column_of(name: str) -> str:
    """A column of the query; alone, SQLite would take an unknown name for a text."""
    return f"q.{warehouse.quoted(name)}"


class SqliteReader:
    """A source in one SQLite file."""

    dialect = "sqlite"

    def __init__(self, source: Source) -> None:
        self.source = source
        self.place = connections.address(source.connection).where
        self.db = connections.connect_sqlite(source.connection)
        self.db.text_factory = bytes

    def __enter__(self) -> Self:
        self.begun = datetime.now(UTC)  # before the snapshot: what commits between is read again
        with self._told():
            self.db.execute("BEGIN")
            self.db.execute("SELECT count(*) FROM sqlite_master").fetchall()  # takes the snapshot
        return self

    def __exit__(self, *_: object) -> None:
        self.db.close()

    def shape(self, select: str) -> dict[str, str]:
        """Column of the query -> "any": in SQLite each value has a type of its own."""
        with self._told():
            cursor = self.db.execute(f"SELECT * FROM ({_strict(select)}) AS q LIMIT 0")
        names = [column[0] for column in cursor.description]
        for name in names:
            twice = name.rpartition(":")[0]  # SQLite's own name for a second column of a name
            if twice and name.rpartition(":")[2].isdigit() and twice in names:
                raise missing_column(self.source, ValueError(f"the select gives {twice!r} twice"))
        return dict.fromkeys(names, "any")

    def clock(self) -> Clock:
        """When the snapshot began: SQLite has one writer, and no list of transactions.

        In whole seconds, as CURRENT_TIMESTAMP is.
        """
        return Clock(self.begun.replace(microsecond=0), self.begun)

    def columns(self, entity: Entity, wanted: dict[str, str]) -> list[Staged]:
        """All text, as SQLite prints it: a REAL with 15 digits, right to the cent to 10^12."""
        given = self.shape(entity.select)
        return [
            Staged(name, "text", column_of(name), exact=kind == "text")
            for name, kind in wanted.items()
            if name in given
        ]

    def copy_into(
        self,
        target: warehouse.Connection,
        table: str,
        entity: Entity,
        staged: list[Staged],
        window: Window,
    ) -> copying.Copied:
        """Stream the lines that SQLite joins."""
        marks, strip = Marks.drawn(), self.source.bad_text == "strip"
        query = self.query(entity, staged, window, marks)
        with self._told():
            lines = (line for (line,) in self.db.execute(query))
            escaped = (marks.escaped(block) for block in blocks(lines))
            return copying.copy_lines(escaped, target, table=table, strip=strip)

    def query(self, entity: Entity, staged: list[Staged], window: Window, marks: Marks) -> str:
        """The rows of ``window``, each as one text of columns and marks."""
        line = f" || {warehouse.literal(marks.column)} || ".join(
            f"coalesce({column.select}, {warehouse.literal(marks.null)})" for column in staged
        )
        where, order = [], ""
        if entity.cursor:
            where += self._changed(entity.cursor, self.source.zone(entity, entity.cursor), window)
        if window.most_rows is not None or window.after is not None:
            self._must_sort_as_utf8()
            key = f"coalesce(CAST({column_of('source_id')} AS TEXT), '')"
            place = f"CAST({column_of(entity.cursor)} AS TEXT), {key}" if entity.cursor else key
            where += _beyond(place, window.after)
            order = f" ORDER BY {place} LIMIT {window.most_rows or -1}"
        filtered = f" WHERE {' AND '.join(where)}" if where else ""
        line += f" || {warehouse.literal(marks.end)}"
        return f"SELECT {line} FROM ({entity.select}) AS q{filtered}{order}"

    def _changed(self, cursor: str, zone: str, window: Window) -> list[str]:
        """The window on the cursor, by what it means: texts with an offset are in UTC."""
        column = column_of(cursor)
        moment = f"CASE WHEN {column} LIKE '____-__-__%' THEN strftime('{MOMENT}', {column}) END"
        offset = f"({column} LIKE '%Z' OR {column} GLOB '*[+-][0-9][0-9]:[0-9][0-9]')"
        if window.undated:
            return [f"{moment} IS NULL"]
        bounds = []
        for sign, bound in ((">=", window.lower), ("<", window.upper)):
            if bound is not None:
                pick = clock.earliest_local if sign == ">=" else clock.latest_local
                bound += timedelta(0) if sign == ">=" else ALMOST_A_TICK
                local, utc = pick(bound, zone), bound.astimezone(UTC)
                day = (local if sign == ">=" else local + ALMOST_A_DAY).date()
                bounds.append(
                    f"{moment} {sign} CASE WHEN length({column}) = 10 THEN '{day} 00:00:00.000' "
                    f"WHEN {offset} THEN '{_printed(utc)}' ELSE '{_printed(local)}' END"
                )
        if window.most_rows is not None:
            return [*bounds, f"{moment} IS NOT NULL"]
        return [f"({' AND '.join(bounds)} OR {moment} IS NULL)"] if bounds else []

    def _must_sort_as_utf8(self) -> None:
        ((encoding,),) = self.db.execute("PRAGMA encoding")
        if encoding != b"UTF-8":
            raise ConfigError(
                f"{self.source.name}.yaml: batch_rows: {self.place} is in {encoding.decode()}, "
                "which sorts keys differently from the warehouse; leave batch_rows out"
            )

    @contextmanager
    def _told(self) -> Iterator[None]:
        """SQLite's own words, with what to do next."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
            if code == sqlite3.SQLITE_ERROR:
                raise missing_column(self.source, error) from error
            next_step = "check that the file is there and may be read"
            if code in BUSY:
                next_step = "a program is writing to it: run again when that has ended"
            if code in DAMAGED:
                next_step = "the file is damaged or no SQLite database: put a whole copy there"
            raise ResourceError(
                f"{self.source.connection}: {self.place}: {error}; {next_step}"
            ) from error


def _strict(select: str) -> str:
    """The query with `name` for "name": what is in double quotes and no column is a text."""
    import sqlglot
    from sqlglot.tokens import TokenType

    for token in reversed(sqlglot.tokenize(select, read="sqlite")):
        if token.token_type == TokenType.IDENTIFIER and select[token.start] == '"':
            name = token.text.replace("`", "``")
            select = f"{select[: token.start]}`{name}`{select[token.end + 1 :]}"
    return select


def _printed(moment: datetime) -> str:
    return moment.isoformat(" ", "milliseconds").removesuffix("+00:00")


def _beyond(place: str, after: Position | None) -> list[str]:
    if after is None:
        return []
    values = [after.key] if after.cursor is None else [after.cursor, after.key]
    return [f"({place}) > ({', '.join(map(warehouse.literal, values))})"]
