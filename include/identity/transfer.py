"""Arrow tables out of PostgreSQL and into it, by COPY."""

import io
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
from pyarrow import csv

from include.warehouse import Connection, text

BIGINT = ">i8"  # as int8send() writes one


def read(db: Connection, query: str, types: Mapping[str, pa.DataType]) -> pa.Table:
    """The rows of ``query``, whose columns have the names and types given."""
    with db.cursor() as cursor, cursor.copy(text(f"COPY ({query}) TO STDOUT (FORMAT csv)")) as rows:
        raw = b"".join(rows)
    if not raw:
        return pa.table({name: pa.array([], type=kind) for name, kind in types.items()})
    return csv.read_csv(
        io.BytesIO(raw),
        read_options=csv.ReadOptions(column_names=list(types)),
        parse_options=csv.ParseOptions(newlines_in_values=True),
        convert_options=csv.ConvertOptions(
            column_types=types, strings_can_be_null=True, quoted_strings_can_be_null=False
        ),
    )


def read_packed(db: Connection, names: Sequence[str], packed: str, source: str) -> pa.Table:
    """Whole numbers out of many rows, a thousand at a time: a row by itself costs more than it is.

    Parameters
    ----------
    names : the columns, bigint.
    packed : SQL of bytes that hold a row of them, eight each, the highest first.
    source : SQL from FROM on, with the column ``n`` that spreads the rows.
    """
    query = f"SELECT string_agg({packed}, '') {source} GROUP BY n & 255"
    with db.cursor(binary=True) as cursor:
        rows = cursor.execute(text(query)).fetchall()
    matrix = np.frombuffer(b"".join(row[0] for row in rows), BIGINT).reshape(-1, len(names))
    columns = np.ascontiguousarray(matrix.T).astype(np.int64)
    return pa.table(dict(zip(names, columns, strict=True)))


def write(db: Connection, table: str, rows: pa.Table) -> None:
    """Append ``rows`` to ``table``, by the names of their columns."""
    listed = ", ".join(rows.column_names)
    copy = text(f"COPY {table} ({listed}) FROM STDIN (FORMAT csv)")
    with db.cursor() as cursor, cursor.copy(copy) as into:
        for part in rows.to_batches(max_chunksize=100_000):
            sink = io.BytesIO()
            csv.write_csv(part, sink, csv.WriteOptions(include_header=False))
            into.write(sink.getbuffer())
