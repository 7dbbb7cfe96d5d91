"""One entity out of PostgreSQL into one Parquet file, a block at a time."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from psycopg import Copy, sql
from pyarrow import csv

from include.errors import CopyError, QualityError
from include.warehouse import Connection

BLOCK_BYTES = 16 << 20  # of CSV; some 190,000 order lines, one row group
UNIQUE = {"order_id", "ticket_id", "feedback_id", "source_id"}  # a dictionary of them is no gain


def write_parquet(db: Connection, query: sql.Composed, schema: pa.Schema, path: Path) -> int:
    """Write the rows of ``query`` to ``path``; return their number.

    The query gives the columns of ``schema`` by name, but for days and hours that follow from a
    time in it (``ordered_on`` and ``ordered_hour`` from ``ordered_at``).

    Raises
    ------
    CopyError
        If the file holds another number of rows than the server counted.
    QualityError
        If a value does not fit the schema.
    """
    names = [name for name in schema.names if _time_behind(name, schema) is None]
    copy = sql.SQL("COPY (SELECT {} FROM ({}) AS q) TO STDOUT (FORMAT csv)").format(
        sql.SQL(", ").join(map(sql.Identifier, names)), query
    )
    read = pa.schema([schema.field(name) for name in names])
    options = {
        "compression": "zstd",
        "store_decimal_as_integer": True,
        "use_dictionary": [name for name in schema.names if name not in UNIQUE],
    }
    with db.cursor() as cursor, pq.ParquetWriter(path, schema, **options) as writer:
        with cursor.copy(copy) as rows:
            for block in _blocks(rows):
                writer.write_table(_table(block, read, schema, path.stem), row_group_size=1 << 20)
        sent = cursor.rowcount
    _sync(path)
    written = int(pq.read_metadata(path).num_rows)
    if written != sent:
        raise CopyError(f"{path.name}: {sent} rows read, {written} written; run again")
    return written


def _time_behind(name: str, schema: pa.Schema) -> str | None:
    """The column that a day or hour follows from; None for any other column."""
    stem, _, kind = name.rpartition("_")
    return f"{stem}_at" if kind in {"on", "hour"} and f"{stem}_at" in schema.names else None


def _blocks(rows: Copy) -> Iterator[bytearray]:
    """Whole rows, joined: the server sends one message a row (protocol, COPY operations)."""
    block = bytearray()
    for row in rows:
        block += row
        if len(block) >= BLOCK_BYTES:
            yield block
            block = bytearray()
    if block:
        yield block


def _table(block: bytearray, read: pa.Schema, schema: pa.Schema, entity: str) -> pa.Table:
    try:
        table = csv.read_csv(
            pa.BufferReader(pa.py_buffer(block)),
            read_options=csv.ReadOptions(column_names=read.names),
            parse_options=csv.ParseOptions(newlines_in_values=True),
            convert_options=csv.ConvertOptions(
                column_types=read,
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
                true_values=["t"],
                false_values=["f"],
            ),
        )
    except pa.ArrowInvalid as error:  # its message holds the value, so it is not passed on
        place = re.match(r"In CSV column #(\d+)", str(error))
        column = read.names[int(place[1])] if place else "a column"
        raise QualityError(
            f"landing.{entity}: a value of {column} has no place in a snapshot (NaN, infinity?); "
            "correct it in the source, ingest, then run again"
        ) from None
    return pa.table([_column(table, name, schema) for name in schema.names], schema=schema)


def _column(table: pa.Table, name: str, schema: pa.Schema) -> pa.ChunkedArray:
    if (time := _time_behind(name, schema)) is None:
        return table[name]
    value = pc.hour(table[time]) if name.endswith("_hour") else table[time]
    return value.cast(schema.field(name).type)  # a time cast to a day loses its hour


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
