"""MySQL and MariaDB: the server's own SQL builds COPY's text lines, whose bytes pass in blocks.

Everything is written so that it means the same under any sql_mode.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import pymysql
from pymysql.constants import CR, FIELD_TYPE, FLAG

from include import clock, connections, copying, warehouse
from include.errors import ConfigError, QualityError, ResourceError
from include.landing.readers import packets
from include.landing.readers.contract import Clock, Position, Staged, Window, missing_column
from include.sources import Entity, Source

log = logging.getLogger(__name__)

WORDS = {
    FIELD_TYPE.TINY: "tinyint",
    FIELD_TYPE.SHORT: "smallint",
    FIELD_TYPE.INT24: "mediumint",
    FIELD_TYPE.LONG: "int",
    FIELD_TYPE.LONGLONG: "bigint",
    FIELD_TYPE.YEAR: "year",
    FIELD_TYPE.BIT: "bit",
    FIELD_TYPE.FLOAT: "float",
    FIELD_TYPE.DOUBLE: "double",
    FIELD_TYPE.DECIMAL: "decimal",
    FIELD_TYPE.NEWDECIMAL: "decimal",
    FIELD_TYPE.TIMESTAMP: "timestamp",
    FIELD_TYPE.DATETIME: "datetime",
    FIELD_TYPE.DATE: "date",
    FIELD_TYPE.NEWDATE: "date",
    FIELD_TYPE.TIME: "time",
    FIELD_TYPE.JSON: "text",
}
WHOLE = {"tinyint": 8, "smallint": 16, "year": 16, "mediumint": 24, "int": 32, "bigint": 64}
BITS = {"integer": 32, "bigint": 64}
TEXTS = {"text", "binary"}  # only these can hold what COPY's format escapes
STAND_INS = {"5C": "FF", "09": "FE", "0A": "FD", "0D": "FC"}
"""What COPY's format escapes, and bytes that no UTF-8 holds: the server only puts one for one.

Where a text gets longer, MariaDB's REPLACE takes a time that grows with the square of its hits:
five seconds for 100,000 line breaks, against 3 ms.
"""
ESCAPES = ((b"\xff", b"\\\\"), (b"\xfe", b"\\t"), (b"\xfd", b"\\n"), (b"\xfc", b"\\r"))
NO_FIXED_SCALE = 31
BINARY = 63  # the character set of what is no text

NO_RIGHT = 1227
LIST_PAUSES_S = (0.11, 0.13, 0.17, 0.23, 0.31, 0.41, 0.53, 0.67, 0.83, 1.0)
LOST = {CR.CR_SERVER_GONE_ERROR, CR.CR_SERVER_LOST, 1053, 1927}  # also: shutdown, killed
FULL = {1021, 1037, 1038, 1041, 1114}  # disk, memory, sort buffer, table
SLOW = {1205, 1317, 1969, 3024}  # lock wait, interrupted, over time in MariaDB and in MySQL
SECONDS_FOR_THE_WAREHOUSE = 600
"""How long the server waits while the warehouse is busy; its own default is 60."""

OLDEST = {  # before it are only zero dates, which say nothing of when a row changed
    "timestamp": "'1970-01-01 00:00:01'",
    "datetime": "'1000-01-01'",
    "date": "'1000-01-01'",
}
LOOKS_LIKE_A_TIME = "'^[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}'"
OFFSETS = timedelta(days=2)  # two local times of one moment are at most 26 hours apart


def quoted(name: str) -> str:
    """``name`` as an identifier."""
    return "`" + name.replace("`", "``") + "`"


def literal(value: str) -> str:
    """``value`` as bytes."""
    return f"X'{value.encode().hex()}'"


class MysqlReader:
    """A source in MySQL or MariaDB."""

    dialect = "mysql"

    def __init__(self, source: Source) -> None:
        self.source = source
        self.place = connections.address(source.connection).where
        self.db = connections.connect_mysql(source.connection)

    def __enter__(self) -> Self:
        with self._told():
            # before the snapshot: what commits between the two is read again
            self.begun = self._asked_clock()
            ((self.longest,),) = self._rows("SELECT @@max_allowed_packet")
            self._rows(f"SET SESSION net_write_timeout = {SECONDS_FOR_THE_WAREHOUSE}")
            self._rows("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            self._rows("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        return self

    def __exit__(self, *_: object) -> None:
        self.db.close()

    def shape(self, select: str) -> dict[str, str]:
        """Column of the query -> its type."""
        with self._told(), self.db.cursor() as cursor:
            cursor.execute(f"SELECT * FROM ({select}) AS q LIMIT 0")
            return {field.name: _kind(field) for field in cursor._result.fields}

    def clock(self) -> Clock:
        """Before the snapshot: the start of the oldest open transaction, where we may see it."""
        return self.begun

    def _asked_clock(self) -> Clock:
        ((now,),) = self._rows("SELECT UTC_TIMESTAMP(6)")
        held = next(iter(sorted(row for row in self._open() if row[0] < now)), None)
        since, held_by = held or (now, None)
        # a statement takes its time a moment before it is in the list; most are in whole seconds
        moment = (since - timedelta(milliseconds=100)).replace(microsecond=0)
        return Clock(_utc(moment), _utc(now), held_by)

    def _open(self) -> list[tuple[datetime, str]]:
        """The start and holder of each open transaction, as far as we may see them.

        The server does not renew its list while somebody reads it more often than every 0.1 s,
        as tables that are loaded side by side may do: it is a new one when we stand in it.
        """
        # the list is in the zone of the server's machine, whatever the session's is
        listed = """SELECT trx_mysql_thread_id = CONNECTION_ID(), trx_is_read_only,
                   CONVERT_TZ(trx_started, 'SYSTEM', '+00:00'),
                   CONCAT('transaction of thread ', trx_mysql_thread_id,
                          ' (', COALESCE(user, 'without a session'), ')')
            FROM information_schema.innodb_trx
            LEFT JOIN information_schema.processlist ON id = trx_mysql_thread_id"""
        self._rows("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        rows: tuple[tuple[Any, ...], ...] = ()
        try:
            for pause_s in LIST_PAUSES_S:
                rows = self._rows(listed)
                if any(ours for ours, *_ in rows):
                    break
                time.sleep(pause_s)  # no event tells that nobody reads the list
            else:
                log.warning(
                    "%s: another program reads the server's list of transactions so often that it "
                    "is never renewed; look at that monitor; rows are read again for "
                    "lookback_minutes until then",
                    self.source.connection,
                )
        except pymysql.MySQLError as error:
            if error.args[0] != NO_RIGHT:
                raise
        self._rows("COMMIT")
        return [(since, holder) for ours, only_reads, since, holder in rows
                if not ours and not only_reads]  # fmt: skip

    def columns(self, entity: Entity, wanted: dict[str, str]) -> list[Staged]:
        """Typed where the source's type can only be right, text where a value may not fit."""
        given = self.shape(entity.select)
        return [_staged(name, given[name], kind) for name, kind in wanted.items() if name in given]

    def copy_into(
        self,
        target: warehouse.Connection,
        table: str,
        entity: Entity,
        staged: list[Staged],
        window: Window,
    ) -> copying.Copied:
        """Stream the lines that the server builds."""
        strip = self.source.bad_text == "strip"
        with self._told():
            blocks = self._blocks(self.query(entity, staged, window))
            return copying.copy_lines(blocks, target, table=table, strip=strip)

    def query(self, entity: Entity, staged: list[Staged], window: Window) -> str:
        """The rows of ``window``, each as one line."""
        line = ", X'09', ".join(column.select for column in staged)
        where, order, place = [], "", []
        if entity.cursor or window.most_rows is not None:
            given = self.shape(entity.select)
            key = f"IFNULL({_value('source_id', given['source_id'])}, X'')"
        if entity.cursor:
            kind = given[entity.cursor]
            where += self._changed(entity, kind, window)
            cursor = quoted(entity.cursor)
            place = [_value(entity.cursor, kind) if kind == "text" else cursor]
        if window.most_rows is not None:
            where += _beyond(place, key, window.after)
            if place and kind != "text":
                where += self._not_far_beyond(entity, where, window.most_rows)
            order = f" ORDER BY {', '.join([*place, key])} LIMIT {window.most_rows}"
        filtered = f" WHERE {' AND '.join(where)}" if where else ""
        return f"SELECT CONCAT({line}, X'0A') FROM ({entity.select}) AS q{filtered}{order}"

    def _changed(self, entity: Entity, kind: str, window: Window) -> list[str]:
        """The window on the cursor, in the cursor's own kind, so that an index serves it.

        A text may carry any offset, so that its window is wider by ``OFFSETS``.
        """
        assert entity.cursor is not None  # noqa: S101  the caller looked
        cursor, zone = quoted(entity.cursor), self.source.zone(entity, entity.cursor)
        if kind in OLDEST:
            undated = f"({cursor} IS NULL OR {cursor} < {OLDEST[kind]})"
        elif kind == "text":
            undated = f"({cursor} IS NULL OR {cursor} NOT REGEXP {LOOKS_LIKE_A_TIME})"
        else:
            raise ConfigError(
                f"{self.source.name}.yaml: the cursor {entity.cursor!r} is no time but {kind}; "
                f"write FROM_UNIXTIME(...) in the select if it counts seconds"
            )
        if window.undated:
            return [undated]
        bounds = []
        if window.lower is not None:
            bounds.append(f"{cursor} >= {_lower(window.lower, kind, zone)}")
        if window.upper is not None:
            bounds.append(f"{cursor} < {_upper(window.upper, kind, zone)}")
        if window.most_rows is not None:
            return [*bounds, f"NOT {undated}"]
        return [f"({' AND '.join(bounds)} OR {undated})"] if bounds else []

    def _not_far_beyond(self, entity: Entity, where: list[str], most_rows: int) -> list[str]:
        """The cursor's bound of a batch, from its index: without it all rows would be sorted."""
        cursor = quoted(str(entity.cursor))
        found = self._rows(
            f"SELECT CAST({cursor} AS CHAR) FROM ({entity.select}) AS q "
            f"WHERE {' AND '.join(where)} ORDER BY {cursor} LIMIT 1 OFFSET {most_rows - 1}"
        )
        return [f"{cursor} <= '{last}'" for (last,) in found]

    def _rows(self, query: str) -> tuple[tuple[Any, ...], ...]:
        with self.db.cursor() as cursor:
            cursor.execute(query)
            return tuple(cursor.fetchall())

    def _blocks(self, query: str) -> Iterator[bytes]:
        """The only column of a query, in blocks as they come from the server."""
        with self.db.cursor() as cursor:
            cursor.execute(query)
            result, stream = cursor._result, self.db._rfile
            result.unbuffered_active = False  # from here on its packets are ours
            result.connection = None
            for block in packets.values(stream, self._end):
                yield _escaped(block)

    def _end(self, packet: bytes) -> None:
        """What follows the last row: the end, or why there is none."""
        if packet[0] == 0xFF:
            pymysql.err.raise_mysql_exception(packet)
        if packet[0] == 0xFB:
            raise QualityError(
                f"{self.source.connection}: a row's line is longer than max_allowed_packet "
                f"({int(self.longest) >> 20} MB) or holds bytes that are not of its encoding; "
                "raise that setting on the server, or cut the column in the select"
            )

    @contextmanager
    def _told(self) -> Iterator[None]:
        """The server's own words, with what to do next."""
        try:
            yield
        except pymysql.MySQLError as error:
            code, said = error.args[0], " ".join(str(error.args[-1]).split())
            if code in LOST | FULL:
                next_step = "nothing was kept; look at the server, then run again"
            elif code in SLOW:
                next_step = (
                    "nothing was kept of this part; ask for more time (max_statement_time, "
                    f"max_execution_time), or set batch_rows in {self.source.name}.yaml"
                )
            else:
                raise missing_column(self.source, type(error)(said)) from error
            raise ResourceError(
                f"{self.source.connection}: {self.place}: {said}; {next_step}"
            ) from error


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)


def _kind(field: Any) -> str:
    """A column's type in words."""
    if field.type_code not in WORDS:
        return "binary" if field.charsetnr == BINARY else "text"
    word, unsigned = WORDS[field.type_code], bool(field.flags & FLAG.UNSIGNED)
    if word == "decimal":
        digits = field.length - (field.scale > 0) - (not unsigned)
        return f"decimal({digits},{field.scale})"
    if word in {"float", "double"} and field.scale < NO_FIXED_SCALE:
        return f"{word}({field.length},{field.scale})"
    return f"{word} unsigned" if unsigned and word in WHOLE and word != "year" else word


def _staged(name: str, kind: str, wanted: str) -> Staged:
    word, _, detail = kind.partition("(")
    signed_bits = WHOLE.get(kind.removesuffix(" unsigned"), 0) + kind.endswith(" unsigned")
    part = _part(name, kind, wanted)
    if wanted in BITS and signed_bits:
        if signed_bits <= BITS[wanted]:
            return Staged(name, wanted, part, exact=True)
        return Staged(name, "bigint" if signed_bits <= 64 else "numeric", part)
    if wanted.startswith("numeric") and (signed_bits or word in {"decimal", "float", "double"}):
        fits = 0 < signed_bits <= 33
        if word == "decimal":
            digits, scale = map(int, detail.rstrip(")").split(","))
            fits = scale <= 6 and digits - scale <= 12  # of numeric(18,6)
        return Staged(name, wanted if fits else "numeric", part, exact=fits)
    return Staged(name, "text", part, exact=wanted == "text")


def _value(name: str, kind: str, wanted: str = "text") -> str:
    """A column as its text is staged, in bytes, unescaped."""
    column = quoted(name)
    if kind == "text":
        return f"CAST(CONVERT({column} USING utf8mb4) AS BINARY)"
    if kind == "binary" and wanted == "text":  # as PostgreSQL writes its bytea
        return f"CONCAT(X'5C78', LOWER(HEX({column})))"
    if kind == "binary":
        return f"CAST(CONVERT(CONVERT({column} USING latin1) USING utf8mb4) AS BINARY)"
    if kind == "timestamp":  # the session is in UTC
        return f"CONCAT({column}, '+00:00')"
    if kind == "bit":
        return f"CAST({column} AS UNSIGNED)"
    if kind == "float":  # MySQL prints six digits of it, of a double all
        return f"({column} + 0e0)"
    return column


def _part(name: str, kind: str, wanted: str) -> str:
    """A column in COPY's text format, with ``STAND_INS``.

    A text that outgrows max_allowed_packet becomes null, and so the whole line: that null must
    not be taken for one of the source.
    """
    value = _value(name, kind, wanted)
    if kind not in TEXTS:
        return f"IFNULL({value}, X'5C4E')"
    for raw, stand_in in STAND_INS.items():
        value = f"REPLACE({value}, X'{raw}', X'{stand_in}')"
    return f"IF({quoted(name)} IS NULL, X'5C4E', {value})"


def _escaped(block: bytes) -> bytes:
    """Lines with the escapes of COPY's format instead of ``STAND_INS``."""
    for stand_in, escape in ESCAPES:
        block = block.replace(stand_in, escape)
    return block


def _lower(moment: datetime, kind: str, zone: str) -> str:
    local = clock.earliest_local(moment, zone)
    if kind == "timestamp":
        return _constant(moment.astimezone(UTC))
    if kind == "text":
        return f"'{(local - OFFSETS).date()}'"
    return f"'{local.date()}'" if kind == "date" else _constant(local)


def _upper(moment: datetime, kind: str, zone: str) -> str:
    local = clock.latest_local(moment, zone)
    if kind == "timestamp":
        return _constant(moment.astimezone(UTC))
    if kind == "text":
        return f"'{(local + OFFSETS).date() + timedelta(days=1)}'"
    if kind == "date":  # all of the last day
        return f"'{(local - timedelta(microseconds=1)).date() + timedelta(days=1)}'"
    return _constant(local)


def _constant(moment: datetime) -> str:
    return f"'{moment.replace(tzinfo=None).isoformat(' ', 'microseconds')}'"


def _beyond(place: list[str], key: str, after: Position | None) -> list[str]:
    """Beyond a row in the order (cursor, key), as a range on the cursor."""
    if after is None:
        return []
    beyond = f"{key} > {literal(after.key)}"
    if not place or after.cursor is None:
        return [beyond]
    (cursor,) = place
    last = literal(after.cursor)
    if cursor.startswith("`"):
        last = f"'{after.cursor.removesuffix('+00:00')}'"
    return [f"{cursor} >= {last}", f"({cursor} > {last} OR {beyond})"]
