"""Work files of a publish: Parquet with the columns and types of a mart's contract."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from include import contracts

ARROW: dict[str, pa.DataType] = {
    "bigint": pa.int64(),
    "integer": pa.int32(),
    "text": pa.string(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "double precision": pa.float64(),
    "numeric(18,6)": pa.decimal128(18, 6),
}


def write(frame: pd.DataFrame, table: str, out: Path) -> Path:
    """Write ``<out>/<name>.parquet`` for the contract ``mart.<name>``; it appears complete.

    The contract's columns that ``frame`` lacks are left out: the marts fill them. Rows keep their
    order.
    """
    name = table.partition(".")[2]
    columns = [column for column in contracts.load(table).own_columns if column.name in frame]
    arrays = [_array(frame[column.name], ARROW[column.type]) for column in columns]
    out.mkdir(parents=True, exist_ok=True)
    made, target = out / f".{name}.parquet.part", out / f"{name}.parquet"
    pq.write_table(pa.table(arrays, names=[column.name for column in columns]), made)
    made.replace(target)
    return target


def _array(values: pd.Series, kind: pa.DataType) -> pa.Array:
    if pa.types.is_decimal(kind):  # floats hold more digits than the column: round, do not refuse
        return pa.array(values.astype("float64").round(kind.scale), from_pandas=True).cast(
            kind, safe=False
        )
    return pa.array(values, from_pandas=True).cast(kind)
