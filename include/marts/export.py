"""An audience as a file, CSV or Parquet; it is written down before its first row is read."""

import logging
import tempfile
from dataclasses import dataclass
from datetime import date
from typing import IO, Literal, get_args

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from psycopg import sql

from include import warehouse
from include.errors import CopyError, InputError
from include.marts.generations import pin

log = logging.getLogger(__name__)

Form = Literal["csv", "parquet"]
Group = Literal["treatment", "control", "all"]
FORMS: tuple[Form, ...] = get_args(Form)
GROUPS: tuple[Group, ...] = get_args(Group)

COLUMNS = {
    "customer_id": pa.int64(),
    "split_group": pa.string(),
    "since": pa.date32(),
    "records": pa.string(),
}
"""``records`` are the keys of the customer in the sources: ``shop:c-17; support:9``."""

QUERY = """COPY (
    SELECT customer_id, m.split_group, m.since,
           string_agg(k.source || ':' || k.source_id, '; '
                      ORDER BY k.source COLLATE "C", k.source_id COLLATE "C") AS records
    FROM bi.audience_member AS m LEFT JOIN bi.customer_key AS k USING (customer_id)
    WHERE m.audience = {audience} AND {group} IN (m.split_group, 'all')
    GROUP BY customer_id, m.split_group, m.since ORDER BY customer_id
) TO STDOUT (FORMAT csv, HEADER)"""


@dataclass(frozen=True)
class Exported:
    """What a file holds."""

    rows: int
    generation: int
    as_of: date
    problem: str | None  # why the audience's rule could not be run that day


def write(
    db: warehouse.Connection, audience: str, sink: IO[bytes], *, form: Form, group: Group, by: str
) -> Exported:
    """Write the customers of one group of an audience, as BI reads it now.

    Parameters
    ----------
    db : not in a transaction.
    sink : an open file; it is complete once this returns.
    by : who asked, for ``ops.audience_export``.

    Raises
    ------
    InputError
        If no such audience has been published.
    CopyError
        If the generation went away meanwhile: what was written is not all.
    """
    with db.transaction():
        asked = _asked(db, audience, group)
        db.execute(
            """INSERT INTO ops.audience_export
                   (audience, generation, split_group, rows, format, exported_by)
               VALUES (%s, %s, %s, %s, %s, %s)""",
            [audience, asked.generation, group, asked.rows, form, by],
        )
    with db.transaction():
        pin(db, asked.generation)
        written = (_csv if form == "csv" else _parquet)(db, audience, group, sink)
    if written != asked.rows:
        raise CopyError(
            f"audience {audience}: {written} of {asked.rows} customers found in generation "
            f"{asked.generation}, which was retired meanwhile; ask again"
        )
    log.info("exported %d customers of audience %s", written, audience)
    return asked


def _asked(db: warehouse.Connection, audience: str, group: Group) -> Exported:
    there = db.execute("SELECT to_regclass('bi.audience') IS NOT NULL").fetchone() == (True,)
    column = {"all": "members"}.get(group, group)
    query = f"SELECT audience, {column}, generation, as_of, problem FROM bi.audience ORDER BY 1"
    known = {
        name: Exported(*rest)
        for name, *rest in (db.execute(warehouse.text(query)).fetchall() if there else [])
    }
    if audience not in known:
        names = ", ".join(known)
        raise InputError(
            f"audience {audience!r}: not published; "
            + (f"there are {names}" if names else "publish first, `make run` does it")
        )
    return known[audience]


def _csv(db: warehouse.Connection, audience: str, group: Group, sink: IO[bytes]) -> int:
    query = sql.SQL(QUERY).format(audience=sql.Literal(audience), group=sql.Literal(group))
    with db.cursor() as cursor:
        with cursor.copy(query) as blocks:
            for block in blocks:
                sink.write(block)
        return cursor.rowcount


def _parquet(db: warehouse.Connection, audience: str, group: Group, sink: IO[bytes]) -> int:
    convert = pa.csv.ConvertOptions(column_types=COLUMNS, strings_can_be_null=True)
    parse = pa.csv.ParseOptions(newlines_in_values=True)
    with tempfile.TemporaryFile() as file, pq.ParquetWriter(sink, pa.schema(COLUMNS)) as writer:
        rows = _csv(db, audience, group, file)
        file.seek(0)
        with pa.csv.open_csv(file, parse_options=parse, convert_options=convert) as batches:
            for batch in batches:
                writer.write_batch(batch)
    return rows
