"""One mart's table of one generation, filled from the work files of a publish."""

import io
import logging
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
from psycopg import sql

from include import contracts, duck, warehouse
from include.marts import HERE
from include.marts.generations import drop_unattached, must_be, place

log = logging.getLogger(__name__)

BATCH_ROWS = 100_000
STATES = ("building", "attached", "ready")


def fill(
    db: warehouse.Connection, table: str, *, generation: int, as_of: date, work: Path, folder: Path
) -> int:
    """Make one mart's table of this generation from the work files; return its rows.

    ``marts/<table>.sql`` says how, run by DuckDB over the work files, the snapshot's tables and
    ``previous_segment``; without such a file the work file of that name is taken as it is.
    """
    contract, target = contracts.load(f"mart.{table}"), place(table, generation)
    if (
        must_be(db, generation, *STATES) != "building"
    ):  # a cleared task of a publish that is further on
        return count(db, target)
    with db.transaction():
        make(db, contract, target, generation, as_of)
        rows = pour(db, contract, target, work=work, folder=folder, as_of=as_of)
    log.info("filled %s with %d rows", target, rows)
    return rows


def count(db: warehouse.Connection, table: str) -> int:
    """The rows of a table."""
    row = db.execute(sql.SQL("SELECT count(*) FROM {}").format(warehouse.name(table))).fetchone()
    return 0 if row is None else int(row[0])


def make(
    db: warehouse.Connection,
    contract: contracts.Table,
    target: str,
    generation: int,
    as_of: date,
) -> None:
    """An empty table like the mart, stamped by defaults, with the bound that lets it be attached
    without a scan. It never changes once it is filled: autovacuum would only be in the way."""
    drop_unattached(db, target)
    own = warehouse.name(target)
    db.execute(
        sql.SQL(
            """CREATE TABLE {} (LIKE {} INCLUDING DEFAULTS INCLUDING COMMENTS)
               WITH (autovacuum_enabled = false, toast.autovacuum_enabled = false)"""
        ).format(own, warehouse.name(contract.full_name))
    )
    db.execute(
        sql.SQL(
            """ALTER TABLE {} ALTER generation SET DEFAULT {g}, ALTER as_of SET DEFAULT {day},
               ADD CHECK (generation = {g})"""
        ).format(own, g=sql.Literal(generation), day=sql.Literal(as_of))
    )


def pour(
    db: warehouse.Connection,
    contract: contracts.Table,
    target: str,
    *,
    work: Path,
    folder: Path,
    as_of: date,
) -> int:
    """Fill an empty table of this transaction, key it and analyse it; return its rows."""
    rows = _copy(db, contract, target, _query(contract.name, as_of), work, folder, as_of)
    keys = sql.SQL(", ").join(map(sql.Identifier, contract.key))
    db.execute(sql.SQL("ALTER TABLE {} ADD PRIMARY KEY ({})").format(warehouse.name(target), keys))
    db.execute(sql.SQL("ANALYZE {}").format(warehouse.name(target)))
    return rows


def _query(table: str, as_of: date) -> str:
    path = HERE / f"{table}.sql"
    if not path.exists():
        return f'SELECT * FROM "{table}"'
    return path.read_text().replace("{as_of}", f"DATE '{as_of}'")


def _copy(
    db: warehouse.Connection,
    contract: contracts.Table,
    target: str,
    query: str,
    work: Path,
    folder: Path,
    as_of: date,
) -> int:
    with duck.opened(target, beside=work) as (engine, _):
        files = {path.stem: path for path in [*folder.glob("*.parquet"), *work.glob("*.parquet")]}
        files["customer_profile"] = folder / f"profile_{as_of}.parquet"
        for view, path in files.items():
            listed_as = warehouse.quoted(view)
            engine.execute(f"CREATE VIEW {listed_as} AS FROM read_parquet({duck.quoted(path)})")
        if "previous_segment " in query:
            previous = _previous_segments(db, as_of, work / f"{target}.previous.csv")
            engine.execute(f"CREATE VIEW previous_segment AS FROM {previous}")
        batches = engine.sql(query).to_arrow_reader(BATCH_ROWS)
        known = {column.name for column in contract.own_columns}
        columns = [name for name in batches.schema.names if name in known]
        listed = sql.SQL(", ").join(map(sql.Identifier, columns))
        # frozen rows need no vacuum, and nobody reads them before the pointer says so
        into = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv, FREEZE)").format(
            warehouse.name(target), listed
        )
        with db.cursor() as cursor:
            with cursor.copy(into) as sink:
                for batch in batches:
                    sink.write(_csv(batch.select(columns)))
            return cursor.rowcount


def _csv(batch: pa.RecordBatch) -> bytes:
    """The rows as CSV in which every text is quoted, so that null and '' stay distinct."""
    buffer = io.BytesIO()
    pa.csv.write_csv(batch, buffer, pa.csv.WriteOptions(include_header=False))
    return buffer.getvalue()


def _previous_segments(db: warehouse.Connection, as_of: date, file: Path) -> str:
    """A relation of who was in which segment in the last generation with an earlier as_of, and
    since when; its rows go through ``file``."""
    row = db.execute(
        """SELECT generation FROM ops.generation WHERE status = 'ready' AND as_of < %s
           ORDER BY as_of DESC, generation DESC LIMIT 1""",
        [as_of],
    ).fetchone()
    with file.open("wb") as sink:
        if row is not None:
            query = sql.SQL(
                "COPY (SELECT customer_id, segment_key, since FROM {}) TO STDOUT (FORMAT csv)"
            ).format(warehouse.name(place("customer_segment", row[0])))
            with db.cursor() as cursor, cursor.copy(query) as rows:
                for block in rows:
                    sink.write(block)
    kinds = "{customer_id: 'BIGINT', segment_key: 'VARCHAR', since: 'DATE'}"
    said = "header = false, auto_detect = false, delim = ',', quote = '\"'"
    return f"read_csv({duck.quoted(file)}, {said}, columns = {kinds})"
