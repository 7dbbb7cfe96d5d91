"""SQL Server: T-SQL joins the columns into lines, which come as the server's UTF-16.

It has not been run against a server so far: tests parse its SQL and follow its rules.
"""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from include import clock, connections, copying, warehouse
from include.errors import ConfigError, ResourceError
from include.landing.readers.contract import Clock, Position, Staged, Window, missing_column
from include.landing.readers.lines import Marks, blocks
from include.sources import Entity, Source

log = logging.getLogger(__name__)

WHOLE = {"tinyint": 9, "smallint": 16, "int": 32, "bigint": 64}
BITS = {"integer": 32, "bigint": 64}
DECIMALS = {"smallmoney": "smallmoney(10,4)", "money": "money(19,4)"}
NUMERIC = re.compile(r"(?:decimal|numeric|smallmoney|money)\((\d+),(\d+)\)")
BINARIES = {"binary", "varbinary", "image", "timestamp", "rowversion"}
LOCAL = {"datetime2", "datetime", "smalldatetime", "date"}
COARSE = {"datetime", "smalldatetime"}  # they round: their windows are wider by a minute
LOST = {20003, 20004, 20006, 20009, 20047}  # DB-Lib: timeout, read, write, connect, dead
SLOW = {1222, 3960}  # lock wait; a row changed since the snapshot began

CLOCK = """SELECT CONVERT(nvarchar(33), SYSUTCDATETIME(), 121), open_for.seconds, open_for.holder
FROM (SELECT 1 AS one) AS one LEFT JOIN (
    SELECT TOP (1) DATEDIFF(second, a.transaction_begin_time, SYSDATETIME()) + 1 AS seconds,
        CONCAT('transaction of session ', s.session_id, ' (', e.login_name, ', ', e.program_name,
               ')') AS holder
    FROM sys.dm_tran_active_transactions AS a
    JOIN sys.dm_tran_session_transactions AS s ON s.transaction_id = a.transaction_id
    JOIN sys.dm_exec_sessions AS e ON e.session_id = s.session_id
    WHERE e.database_id = DB_ID() AND a.transaction_type IN (1, 4) AND e.program_name <> {us}
    ORDER BY a.transaction_begin_time) AS open_for ON 1 = 1"""
NOW = "SELECT CONVERT(nvarchar(33), SYSUTCDATETIME(), 121), NULL, NULL"
MAY_SEE = "SELECT HAS_PERMS_BY_NAME(NULL, NULL, 'VIEW SERVER STATE')"
SNAPSHOT = "SELECT snapshot_isolation_state FROM sys.databases WHERE database_id = DB_ID()"


def quoted(name: str) -> str:
    """A column of the query."""
    return "q.[" + name.replace("]", "]]") + "]"


def literal(value: str) -> str:
    """``value`` as text."""
    return "N'" + value.replace("'", "''") + "'"


class SqlserverReader:
    """A source in SQL Server."""

    dialect = "tsql"

    def __init__(self, source: Source) -> None:
        self.source = source
        self.place = connections.address(source.connection).where
        self.db = connections.connect_sqlserver(source.connection)

    def __enter__(self) -> Self:
        with self._told():
            self.begun = self._asked_clock()  # before the snapshot
            if self._rows(SNAPSHOT) == [(1,)]:
                self._run("SET TRANSACTION ISOLATION LEVEL SNAPSHOT")
            else:
                log.warning(
                    "%s: a row that moves while a table is read may be missed until the next "
                    "reconciliation; ask for ALTER DATABASE ... SET ALLOW_SNAPSHOT_ISOLATION ON",
                    self.source.connection,
                )
            self._run("BEGIN TRANSACTION")
        return self

    def __exit__(self, *_: object) -> None:
        self.db.close()

    def shape(self, select: str) -> dict[str, str]:
        """Column of the query -> its type, as the server describes it without running it."""
        query = f"SELECT * FROM ({select}) AS q"
        with self._told():
            found = self._rows(
                "SELECT name, system_type_name, error_message FROM "
                f"sys.dm_exec_describe_first_result_set({literal(query)}, NULL, 0) "
                "ORDER BY column_ordinal"
            )
        for _, _, error in found:
            if error is not None:
                raise missing_column(self.source, ConfigError(error))
        return {name: kind for name, kind, _ in found}

    def clock(self) -> Clock:
        """Before the snapshot: the start of the oldest open transaction, where we may see it."""
        return self.begun

    def _asked_clock(self) -> Clock:
        may_see = self._rows(MAY_SEE) == [(1,)]
        query = CLOCK.format(us=literal(connections.APPLICATION)) if may_see else NOW
        ((said, seconds, holder),) = self._rows(query)
        now = datetime.fromisoformat(said[:26]).replace(tzinfo=UTC)
        return Clock(now - timedelta(seconds=seconds or 0), now, holder)

    def columns(self, entity: Entity, wanted: dict[str, str]) -> list[Staged]:
        """Typed where the source's type can only be right, text where a value may not fit."""
        given = self.shape(entity.select)
        return [
            staged_column(name, given[name], kind) for name, kind in wanted.items() if name in given
        ]

    def copy_into(
        self,
        target: warehouse.Connection,
        table: str,
        entity: Entity,
        staged: list[Staged],
        window: Window,
    ) -> copying.Copied:
        """Stream the lines that the server joins."""
        marks, strip = Marks.drawn(), self.source.bad_text == "strip"
        kinds = self.shape(entity.select)
        sql = query(self.source, entity, kinds, staged, window, marks)
        with self._told():
            lines = (marks.escaped(as_utf8(block)) for block in blocks(self._lines(sql)))
            return copying.copy_lines(lines, target, table=table, strip=strip)

    def _lines(self, sql: str) -> Iterator[bytes]:
        with self.db.cursor() as cursor:
            cursor.execute(sql)
            for (line,) in cursor:
                yield line

    def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self.db.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())

    def _run(self, sql: str) -> None:
        with self.db.cursor() as cursor:
            cursor.execute(sql)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """The server's own words, with what to do next."""
        import pymssql  # type: ignore[import-not-found,unused-ignore]

        try:
            yield
        except pymssql.Error as error:
            code, said = connections.said_by_sqlserver(error)
            if code not in LOST | SLOW:
                raise missing_column(self.source, ConfigError(said)) from error
            raise ResourceError(
                f"{self.source.connection}: {self.place}: {said}; nothing was kept; run again "
                f"when the server answers, or set batch_rows in {self.source.name}.yaml"
            ) from error


def as_utf8(block: bytes) -> bytes:
    """The server's UTF-16; half of a pair becomes bytes that are not UTF-8, and is found so."""
    return block.decode("utf-16-le", "surrogatepass").encode("utf-8", "surrogatepass")


def staged_column(name: str, kind: str, wanted: str) -> Staged:
    """How a column of this kind is staged."""
    text, bits = value(name, kind), WHOLE.get(kind, 0)
    if wanted in BITS and bits:
        fits = bits <= BITS[wanted]
        return Staged(name, wanted if fits else "bigint", text, exact=fits)
    bounds = NUMERIC.fullmatch(DECIMALS.get(kind, kind))
    if wanted.startswith("numeric") and (bits or bounds or kind in {"real", "float"}):
        fits = 0 < bits <= 32
        if bounds:
            digits, scale = int(bounds[1]), int(bounds[2])
            fits = scale <= 6 and digits - scale <= 12  # of numeric(18,6)
        return Staged(name, wanted if fits else "numeric", text, exact=fits)
    return Staged(name, "text", text, exact=wanted == "text")


def value(name: str, kind: str) -> str:
    """A column as Unicode text, in a form that does not hang on the session's language."""
    column, word = quoted(name), kind.partition("(")[0]
    if word in BINARIES:  # as PostgreSQL writes its bytea
        return f"N'\\x' + LOWER(CONVERT(nvarchar(max), CONVERT(varbinary(max), {column}), 2))"
    if word == "datetimeoffset":  # in UTC, so that its text sorts as it does
        return f"CONVERT(nvarchar(40), SWITCHOFFSET({column}, '+00:00'), 121)"
    if word in LOCAL | {"time"}:
        return f"CONVERT(nvarchar(40), {column}, 121)"
    if word in {"real", "float"}:
        return f"CONVERT(nvarchar(40), {column}, 3)"  # all 17 digits
    if word in DECIMALS:
        return f"CONVERT(nvarchar(40), CONVERT(decimal(19,4), {column}))"
    return f"CONVERT(nvarchar(max), {column})"


def query(
    source: Source,
    entity: Entity,
    kinds: dict[str, str],
    staged: list[Staged],
    window: Window,
    marks: Marks,
) -> str:
    """The rows of ``window``, each as one text of columns and marks, in bytes.

    The first part makes all of it nvarchar(max), which is never cut; the collation keeps columns
    of different ones from clashing.
    """
    line = f" + {literal(marks.column)} + ".join(
        f"COALESCE({column.select}, {literal(marks.null)}) COLLATE Latin1_General_100_BIN2"
        for column in staged
    )
    where, order, top = [], "", ""
    if entity.cursor:
        where += _changed(source, entity, kinds[entity.cursor], window)
    if window.most_rows is not None:
        key = _sorted_as_utf8(f"COALESCE({value('source_id', kinds['source_id'])}, N'')")
        where += _beyond(entity.cursor, kinds, key, window.after)
        order = f" ORDER BY {f'{quoted(entity.cursor)}, ' if entity.cursor else ''}{key}"
        top = f"TOP ({window.most_rows}) "
    filtered = f" WHERE {' AND '.join(where)}" if where else ""
    whole = f"CONVERT(nvarchar(max), N'') + {line} + {literal(marks.end)}"
    return (
        f"SELECT {top}CONVERT(varbinary(max), {whole}) FROM ({entity.select}) AS q{filtered}{order}"
    )


def _changed(source: Source, entity: Entity, kind: str, window: Window) -> list[str]:
    """The window on the cursor, in the cursor's own kind, so that an index serves it."""
    cursor, word = quoted(str(entity.cursor)), kind.partition("(")[0]
    if word not in LOCAL | {"datetimeoffset"}:
        raise ConfigError(
            f"{source.name}.yaml: the cursor {entity.cursor!r} is no time but {kind}; "
            "write CONVERT(datetime2, ...) in the select"
        )
    if window.undated:
        return [f"{cursor} IS NULL"]
    bounds, zone = [], source.zone(entity, str(entity.cursor))
    if window.lower is not None:
        lower = clock.earliest_local(window.lower, zone)
        if word in COARSE:
            lower = lower.replace(second=0, microsecond=0)
        bounds.append(f"{cursor} >= {_constant(lower, window.lower, kind)}")
    if window.upper is not None:
        upper = clock.latest_local(window.upper, zone)
        if word in COARSE:
            upper = (upper + timedelta(minutes=1)).replace(second=0, microsecond=0)
        inside = "<=" if word == "date" else "<"  # all of the last day
        bounds.append(f"{cursor} {inside} {_constant(upper, window.upper, kind)}")
    if window.most_rows is not None:
        return [*bounds, f"{cursor} IS NOT NULL"]
    return [f"({' AND '.join(bounds)} OR {cursor} IS NULL)"] if bounds else []


def _constant(local: datetime, moment: datetime, kind: str) -> str:
    word = kind.partition("(")[0]
    if word == "datetimeoffset":
        said = moment.astimezone(UTC).isoformat(timespec="microseconds")
    elif word == "date":
        said = local.date().isoformat()
    else:
        said = local.isoformat(timespec="seconds" if word in COARSE else "microseconds")
    return f"CAST({literal(said)} AS {kind if word in COARSE | {'date'} else word})"


def _sorted_as_utf8(text: str) -> str:
    """In the byte order of UTF-8, as the warehouse sorts keys; SQL Server 2019 knows it."""
    return f"CAST({text} COLLATE Latin1_General_100_BIN2_UTF8 AS varchar(max))"


def _beyond(
    cursor: str | None, kinds: dict[str, str], key: str, after: Position | None
) -> list[str]:
    """Beyond a row in the order (cursor, key), as a range on the cursor."""
    if after is None:
        return []
    beyond = f"{key} > {_sorted_as_utf8(literal(after.key))}"
    if cursor is None or after.cursor is None:
        return [beyond]
    said, kind = after.cursor, kinds[cursor]
    if not kind.startswith("datetimeoffset"):
        said = said.replace(" ", "T")  # means the same in every language
    last = f"CAST({literal(said)} AS {kind})"
    return [f"{quoted(cursor)} >= {last}", f"({quoted(cursor)} > {last} OR {beyond})"]
