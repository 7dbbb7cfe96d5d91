"""What changed in landing since the last run, and what was kept of all other records: hashes.

A record is known by ``n``, a hash of its source and source_id: a join by text over all records
costs PostgreSQL more than all the rest. Only rows that changed are read and cleaned, and those
that a changed one has to be compared with.
"""

import duckdb
import numpy as np
import pyarrow as pa

from include.identity import records, transfer
from include.identity.fields import Fields
from include.warehouse import Connection, quoted, text

CHANGED = """SELECT l.n, k.n AS known, landed, source, source_id, {listed} FROM {rows}
    FULL JOIN (SELECT record AS n, landed AS before FROM ops.identity_compared) k USING (n)
    WHERE before IS DISTINCT FROM landed"""
WANTED = """SELECT n, n AS known, landed, source, source_id, {listed} FROM {rows}
    JOIN identity_wanted USING (n)"""
KEPT = """FROM (SELECT record AS n, hashes FROM ops.identity_compared
    WHERE length(hashes) = {length}) c"""
NUMBERS = """DROP TABLE IF EXISTS identity_wanted;
    CREATE TEMP TABLE identity_wanted (n bigint) ON COMMIT DROP"""
OF_OLD_FORM = "DELETE FROM ops.identity_compared WHERE record IS NULL"
UNRESOLVED = """DELETE FROM ops.identity_compared WHERE (SELECT count(*) FROM core.identity)
    < (SELECT count(*) FROM ops.identity_compared)"""
FORGET = "DELETE FROM ops.identity_compared USING identity_wanted WHERE record = n"


def number(source: str = "source", source_id: str = "source_id") -> str:
    """SQL of PostgreSQL: ``n`` of a record."""
    return f"hash_record_extended(ROW({source}, {source_id}), 0)"


def forget(db: Connection) -> None:
    """Keep nothing: all rows count as changed."""
    db.execute("DELETE FROM ops.identity_compared")


def read(db: Connection, engine: duckdb.DuckDBPyConnection, wanted: Fields, *, seed: int) -> None:
    """Make the engine's tables of what there is.

    ``changed`` (n): rows that are new, another, or gone since they were kept with this ``seed``.
    ``landed`` (n, landed, source, source_id) and ``cleaned``: of those that are there. ``kept``:
    what was kept of all. ``hashed`` and ``settled``: of all that are there now. ``fresh`` (n):
    those to be compared. ``stale`` (n): those whose evidence is out of date.
    """
    db.execute(OF_OLD_FORM)
    db.execute(UNRESOLVED)
    engine.register("raw", _rows(db, CHANGED, wanted, seed))
    records.setup(engine)
    engine.execute("""CREATE TABLE changed AS SELECT coalesce(n, known) AS n FROM raw;
        CREATE TABLE landed AS SELECT n, landed, source, source_id FROM raw
        WHERE source IS NOT NULL""")
    there = "(FROM raw WHERE source IS NOT NULL)"
    records.clean(engine, wanted, there, beside=("person_key",))
    engine.unregister("raw")
    records.digest(engine, wanted, records.KEYS)
    engine.register("kept", _kept(db, wanted))
    names = ", ".join(
        name if name in records.KEYS else f"nullif({name}, 0)" for name in _names(wanted)
    )
    engine.execute(f"INSERT INTO hashed SELECT n, {names} FROM kept ANTI JOIN changed USING (n)")
    records.settle(engine, wanted)
    engine.execute("""CREATE TABLE fresh AS SELECT n FROM settled s
        LEFT JOIN kept k USING (n) WHERE k.content IS DISTINCT FROM s.content;
        CREATE TABLE stale AS FROM fresh UNION FROM changed ANTI JOIN landed USING (n)""")


def read_neighbours(
    db: Connection, engine: duckdb.DuckDBPyConnection, wanted: Fields, *, seed: int
) -> None:
    """Clean those that share a block with a record of ``fresh``, too; make ``record`` of all."""
    engine.execute("CREATE TABLE unread AS SELECT n FROM settled ANTI JOIN cleaned USING (n)")
    if engine.execute("SELECT count(*) FROM unread").fetchall() != [(0,)]:
        engine.execute("CREATE TABLE compared AS FROM settled SEMI JOIN fresh USING (n)")
        near = " UNION ".join(
            f"SELECT n FROM settled SEMI JOIN compared USING ({name})"
            for name in ("n", *(f"block_{place}" for place in range(len(wanted.blocks))))
        )
        _number(db, engine, f"FROM ({near}) SEMI JOIN unread USING (n)")
        engine.register("raw", _rows(db, WANTED, wanted, seed))
        engine.execute("""INSERT INTO landed SELECT n, landed, source, source_id FROM raw;
            ALTER TABLE cleaned RENAME TO changed_cleaned""")
        records.clean(engine, wanted, "raw", beside=("person_key",))
        engine.execute("INSERT INTO cleaned FROM changed_cleaned; DROP TABLE changed_cleaned")
        engine.unregister("raw")
    records.combine(engine, wanted)


def store(db: Connection, engine: duckdb.DuckDBPyConnection, wanted: Fields) -> None:
    """Keep the hashes of what changed or was compared anew."""
    _number(db, engine, "FROM changed UNION FROM fresh")
    db.execute(FORGET)
    names = ", ".join(f"coalesce({name}, 0) AS {name}" for name in _names(wanted))
    rows = engine.sql(f"""SELECT source, source_id, content, n AS record, landed, {names}
        FROM landed JOIN (FROM changed UNION FROM fresh) USING (n) JOIN hashed USING (n)
        JOIN (SELECT n, content FROM settled) USING (n)""")
    for part in rows.to_arrow_reader(100_000):
        table = pa.Table.from_batches([part])
        held = ("record", "content", *_names(wanted))
        matrix = np.stack([table[name].to_numpy() for name in held], axis=1)
        digits, width = matrix.astype(transfer.BIGINT).tobytes().hex(), 16 * matrix.shape[1]
        packed = [f"\\x{digits[at : at + width]}" for at in range(0, len(digits), width)]
        head = table.select(["source", "source_id", "content", "record", "landed"])
        transfer.write(
            db, "ops.identity_compared", head.append_column("hashes", pa.array(packed, pa.string()))
        )


def _number(db: Connection, engine: duckdb.DuckDBPyConnection, numbers: str) -> None:
    """Make the temporary table identity_wanted of the warehouse."""
    db.execute(text(NUMBERS))
    transfer.write(db, "identity_wanted", engine.sql(numbers).to_arrow_table())
    db.execute("ANALYZE identity_wanted")


def _rows(db: Connection, query: str, wanted: Fields, seed: int) -> pa.Table:
    columns = ("person_key", *wanted.columns)
    listed = ", ".join(map(quoted, columns))
    rows = f"""(SELECT {number()} AS n, hash_record_extended(ROW({listed}), {seed}) AS landed, *
        FROM landing.customer) l"""
    types = dict.fromkeys(("n", "known", "landed"), pa.int64())
    types |= dict.fromkeys(("source", "source_id", *columns), pa.string())
    return transfer.read(db, query.format(listed=listed, rows=rows), types)


def _kept(db: Connection, wanted: Fields) -> pa.Table:
    """n, content and the columns of ``hashed`` as they were kept; 0 for null."""
    names = ["n", "content", *_names(wanted)]
    return transfer.read_packed(db, names, "hashes", KEPT.format(length=8 * len(names)))


def _names(wanted: Fields) -> list[str]:
    return records.hashes(wanted, records.KEYS)
