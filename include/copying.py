"""Rows from one server to another: COPY on both sides, the counts of both compared."""

import contextlib
import logging
import select
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import psycopg
from psycopg import sql
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn, PGresult

from include import wire
from include.errors import CopyError, QualityError
from include.warehouse import Connection, name, text

log = logging.getLogger(__name__)

TELL_EVERY_S = 5.0
BLOCK_BYTES = 1 << 16
CANCEL_S = 5.0
MOST_UNREADABLE = 1000


class SourceError(psycopg.OperationalError):
    """The source's server could not go on; the target's errors stay what they are."""


@dataclass(frozen=True)
class Copied:
    """What one copy moved; ``unreadable`` lines held bytes that are no text, and were left out."""

    rows: int
    bytes_in: int
    unreadable: tuple[bytes, ...] = ()
    stripped: int = 0  # rows that were freed of such bytes

    def __add__(self, other: "Copied") -> "Copied":
        return Copied(
            self.rows + other.rows,
            self.bytes_in + other.bytes_in,
            self.unreadable + other.unreadable,
            self.stripped + other.stripped,
        )


class Progress:
    """Counts what passes, and logs it every few seconds."""

    def __init__(self, table: str) -> None:
        self.table, self.rows, self.bytes_in = table, 0, 0
        self.started = self.told = time.monotonic()

    def add(self, rows: int, size: int) -> None:
        """Count one block; the clock is asked at each."""
        self.rows += rows
        self.bytes_in += size
        now = time.monotonic()
        if now - self.told > TELL_EVERY_S:
            self.told = now
            log.info(
                "%s: %d rows, %.0f MB so far, %.0f rows/s",
                *(self.table, self.rows, self.bytes_in / 1e6, self.rows / (now - self.started)),
            )


def copy_through(source: Connection, target: Connection, *, select: str, table: str) -> Copied:
    """Stream the rows of ``select`` from one server into ``table`` on another, unparsed.

    COPY takes the end of a broken stream for the end of the data, so the counts that both
    servers report are compared before the target commits.

    Parameters
    ----------
    source, target : open connections; ``target`` may already be in a transaction.
    select : one query, giving the columns of ``table`` in their order and types.
    table : "schema.name" of an existing table; rows are appended.

    Returns
    -------
    Rows and bytes copied.

    Raises
    ------
    SourceError
        If the source's server could not go on.
    CopyError
        If the counts differ. Like any error of either server, it leaves ``table`` as it was.
    """
    reads = sql.SQL("COPY ({}) TO STDOUT (FORMAT binary)").format(text(select))
    writes = sql.SQL("COPY {} FROM STDIN (FORMAT binary)").format(name(table))
    progress = Progress(table)
    with target.transaction(), target.cursor() as writer:
        with writer.copy(writes) as sink:
            read = _read(source, reads, sink, progress)
        _compare(table, read, writer.rowcount, "a trigger on the table")
    return Copied(read, progress.bytes_in)


def _read(source: Connection, reads: sql.Composed, sink: psycopg.Copy, progress: Progress) -> int:
    """Pass on what COPY sends, in blocks; return the rows that the server counts."""
    connection = source.pgconn
    try:
        for block, rows in _sent(connection, reads.as_bytes(source)):
            sink.write(block)
            progress.add(rows, len(block))
        with _of_the_source():
            result = connection.get_result()
            _raise_unless(ExecStatus.COMMAND_OK, result)
            while connection.get_result() is not None:
                pass
    except BaseException:
        with contextlib.suppress(psycopg.OperationalError):  # a silent network: it ends by itself
            source.cancel_safe(timeout=CANCEL_S)
        connection.finish()  # in the midst of a copy it is of no more use
        raise
    return (result and result.command_tuples) or 0


def _sent(connection: PGconn, query: bytes) -> Iterator[tuple[bytes, int]]:
    """The rows as they come, in blocks, with their number; the wait can be interrupted."""
    with _of_the_source():
        connection.send_query(query)
        while connection.flush():
            select.select([], [connection.socket], [])
        if wire.in_clear(connection):
            yield from wire.rows(connection)
        else:
            _raise_unless(ExecStatus.COPY_OUT, connection.get_result())
            yield from _decrypted(connection)


def _decrypted(connection: PGconn) -> Iterator[tuple[bytes, int]]:
    """The same through libpq, which knows the key."""
    rows: list[memoryview] = []
    size = 0
    readable = select.poll()
    readable.register(connection.socket, select.POLLIN)
    while True:
        length, row = connection.get_copy_data(1)
        if length < 0:
            break
        if length == 0:  # nothing whole has come yet
            readable.poll()
            connection.consume_input()
            continue
        rows.append(row)
        size += length
        if size >= BLOCK_BYTES:
            yield b"".join(rows), len(rows)
            rows.clear()
            size = 0
    yield b"".join(rows), len(rows)


@contextlib.contextmanager
def _of_the_source() -> Iterator[None]:
    """Tell the errors of one server from those of the other."""
    try:
        yield
    except psycopg.errors.ProgramLimitExceeded:
        raise  # about a row, not about the server
    except psycopg.OperationalError as error:
        raise SourceError(*error.args) from error


def _raise_unless(wanted: ExecStatus, result: PGresult | None) -> None:
    if result is None:
        raise psycopg.OperationalError("the connection ended in the midst of a copy")
    if result.status != wanted:
        error = psycopg.errors.error_from_result(result)
        # of libpq itself, which gives no code: the connection is gone
        raise error if error.sqlstate else psycopg.OperationalError(*error.args)


def _compare(table: str, read: int, written: int, look_for: str) -> None:
    if read != written:
        raise CopyError(
            f"{table}: {read} rows read, {written} written, none kept; "
            f"look for {look_for}, then run again"
        )


def copy_lines(
    blocks: Iterable[bytes], target: Connection, *, table: str, strip: bool = False
) -> Copied:
    """Write lines in COPY's text format, one row each, into ``table``.

    Parameters
    ----------
    blocks : one or more whole lines each, every line with its line feed.
    strip : free lines of NUL and of bytes that are not UTF-8, which PostgreSQL cannot store,
        instead of leaving them out.

    Raises
    ------
    CopyError
        If PostgreSQL counts another number of rows than were given; nothing is kept then.
    QualityError
        If more than ``MOST_UNREADABLE`` lines cannot be read.
    """
    writes = sql.SQL("COPY {} FROM STDIN").format(name(table))
    progress, unreadable, stripped, given = Progress(table), [], 0, 0
    with target.transaction(), target.cursor() as writer:
        with writer.copy(writes) as sink:
            for block in blocks:
                progress.add(block.count(b"\n"), len(block))
                if not _is_text(block):
                    good, bad = _parted(block)
                    block = b"".join([*good, *(map(_stripped, bad) if strip else ())])
                    stripped += len(bad) if strip else 0
                    unreadable += [] if strip else bad
                    if len(unreadable) > MOST_UNREADABLE:
                        raise QualityError(
                            f"{table}: more than {MOST_UNREADABLE} rows hold bytes that are not "
                            "UTF-8, none kept; mend the source's encoding, or say bad_text: strip"
                        )
                sink.write(block)
        given = progress.rows - len(unreadable)
        _compare(table, given, writer.rowcount, "an unescaped line break in the mapping's columns")
    return Copied(given, progress.bytes_in, tuple(unreadable), stripped)


def _is_text(block: bytes) -> bool:
    if b"\0" in block:
        return False
    try:
        block.isascii() or block.decode()
    except UnicodeDecodeError:
        return False
    return True


def _parted(block: bytes) -> tuple[list[bytes], list[bytes]]:
    lines = [line + b"\n" for line in block.split(b"\n")[:-1]]
    good = [line for line in lines if _is_text(line)]
    return good, [line for line in lines if not _is_text(line)]


def _stripped(line: bytes) -> bytes:
    return line.replace(b"\0", b"").decode(errors="ignore").encode()
