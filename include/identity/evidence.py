"""Records of landing compared by likeness: what is new is weighed, what was weighed is kept.

Names and addresses pass through memory only; what is written is weights, probabilities and the
hashes by which the next run sees what has changed.
"""

import hashlib
import io
import json
import logging
from collections.abc import Mapping
from pathlib import Path

import duckdb
import pyarrow as pa
from pyarrow import csv

from include import duck
from include.domains import Identity
from include.identity import fields, probable, records
from include.identity.cluster import Pairs
from include.identity.fields import Fields
from include.identity.link import Links
from include.warehouse import Connection, quoted, text

log = logging.getLogger(__name__)

GROWTH = 2  # times the records that the weights were learnt from: then they are learnt anew
MADE_OF = ("fields.yaml", "kinds.yaml", "nicknames.yaml", "records.py")
KEPT = """SELECT settings, records FROM ops.identity_model WHERE model = %s
    ORDER BY trained_at DESC LIMIT 1"""
KEEP = """INSERT INTO ops.identity_model (model, trained_at, records, settings, run_id)
    VALUES (%s, clock_timestamp(), %s, %s, %s)"""
COMPARED = """SELECT n, content FROM ops.identity_compared JOIN identity_record
    USING (source, source_id)"""
FORGET_ALL = "DELETE FROM core.identity_evidence; DELETE FROM ops.identity_compared"
FORGET_GONE = """DELETE FROM ops.identity_compared c WHERE NOT EXISTS (
    SELECT FROM identity_record r WHERE (r.source, r.source_id) = (c.source, c.source_id))"""
FORGET_FRESH = """
DELETE FROM core.identity_evidence e USING identity_fresh JOIN identity_record r USING (n)
    WHERE (e.source, e.source_id) = (r.source, r.source_id);
DELETE FROM core.identity_evidence e USING identity_fresh JOIN identity_record r USING (n)
    WHERE (e.other_source, e.other_source_id) = (r.source, r.source_id);
"""
TEMPORARY = """
DROP TABLE IF EXISTS identity_fresh, identity_scored;
CREATE TEMP TABLE identity_fresh (n bigint, content bigint) ON COMMIT DROP;
CREATE TEMP TABLE identity_scored (l bigint, r bigint, weight float8, probability float8,
    weights jsonb) ON COMMIT DROP
"""
STORE_COMPARED = """INSERT INTO ops.identity_compared (source, source_id, content)
    SELECT source, source_id, content FROM identity_fresh JOIN identity_record USING (n)
    ON CONFLICT (source, source_id) DO UPDATE SET content = excluded.content"""
STORE_EVIDENCE = """INSERT INTO core.identity_evidence (source, source_id, other_source,
        other_source_id, weight, probability, weights, found_at, run_id)
    SELECT a.source, a.source_id, b.source, b.source_id, weight, probability, weights,
        clock_timestamp(), %s
    FROM identity_scored s
    JOIN identity_record a ON a.n = s.l JOIN identity_record b ON b.n = s.r"""
OF_PAIRS = """JOIN identity_record a USING (source, source_id)
    JOIN identity_record b ON (b.source, b.source_id) = (e.other_source, e.other_source_id)"""


def links(db: Connection, rules: Identity, *, run_id: str) -> Links:
    """What likeness and people say of the records in the temporary table ``identity_record``.

    Brings core.identity_evidence up to date first. While there are too few records to learn
    from, likeness says nothing.
    """
    wanted = fields.load()
    with duck.opened("identity") as (engine, _):
        engine.register("landed", _landed(db, wanted))
        records.prepare(engine, wanted, "landed")
        engine.unregister("landed")
        if (model := _model(db, engine, wanted, run_id=run_id)) is not None:
            _weigh(db, engine, wanted, model, least=rules.review, run_id=run_id)
    evidence = f"SELECT a.n, b.n, e.weight FROM core.identity_evidence e {OF_PAIRS}"
    said = f"SELECT a.n, b.n, 'Infinity'::float8 FROM ops.identity_review e {OF_PAIRS}"
    source = _arrow(db, "SELECT hashtextextended(source, 0) FROM identity_record ORDER BY n", "s")
    return Links(
        probable=_pairs(db, f"{evidence} WHERE e.probability >= {rules.link}"),
        confirmed=_pairs(db, f"{said} WHERE e.status = 'confirmed'"),
        apart=_pairs(db, f"{said} WHERE e.status = 'split'"),
        source=source["s"].to_numpy(),
        same_source=rules.same_source,
        most=rules.most_records,
    )


def _landed(db: Connection, wanted: Fields) -> pa.Table:
    """n and the columns that the fields are made of, all as text."""
    listed = ", ".join(f"c.{quoted(column)}" for column in wanted.columns)
    query = f"""SELECT n, {listed} FROM landing.customer c
        JOIN identity_record USING (source, source_id) ORDER BY n"""
    types = {"n": pa.int64()} | dict.fromkeys(wanted.columns, pa.string())
    return _arrow(db, query, *types, types=types)


def _arrow(
    db: Connection, query: str, *names: str, types: Mapping[str, pa.DataType] | None = None
) -> pa.Table:
    """The rows of ``query``; all columns are bigint unless ``types`` says more."""
    with db.cursor() as cursor, cursor.copy(text(f"COPY ({query}) TO STDOUT (FORMAT csv)")) as rows:
        raw = b"".join(rows)
    wanted = types or dict.fromkeys(names, pa.int64())
    if not raw:
        return pa.table({name: pa.array([], type=kind) for name, kind in wanted.items()})
    return csv.read_csv(
        io.BytesIO(raw),
        read_options=csv.ReadOptions(column_names=list(names)),
        parse_options=csv.ParseOptions(newlines_in_values=True),
        convert_options=csv.ConvertOptions(
            column_types=wanted, strings_can_be_null=True, quoted_strings_can_be_null=False
        ),
    )


def _pairs(db: Connection, query: str) -> Pairs:
    types = {"l": pa.int64(), "r": pa.int64(), "weight": pa.float64()}
    found = _arrow(db, query, *types, types=types)
    return Pairs(*(found[name].to_numpy() for name in types))


def _model(
    db: Connection, engine: duckdb.DuckDBPyConnection, wanted: Fields, *, run_id: str
) -> probable.Model | None:
    """The weights in use; learnt anew when what is compared is another, or much more."""
    digest = hashlib.sha256(f"{duckdb.__version__}".encode())
    for name in MADE_OF:
        digest.update((Path(__file__).parent / name).read_bytes())
    model, count = digest.hexdigest()[:16], engine.execute("SELECT count(*) FROM record").fetchall()
    records_now = int(count[0][0])
    kept = db.execute(KEPT, [model]).fetchone()
    if kept is not None and records_now < GROWTH * kept[1]:
        return dict(kept[0])
    learnt = probable.train(engine, wanted)
    if learnt is None:
        return None if kept is None else dict(kept[0])
    db.execute(text(FORGET_ALL))
    db.execute(KEEP, [model, records_now, json.dumps(learnt), run_id])
    log.info("identity: weights learnt from %d records", records_now)
    return learnt


def _weigh(
    db: Connection,
    engine: duckdb.DuckDBPyConnection,
    wanted: Fields,
    model: probable.Model,
    *,
    least: float,
    run_id: str,
) -> None:
    """Compare what is new, and write it into core.identity_evidence in place of what was there."""
    db.execute(FORGET_GONE)
    engine.register("compared", _arrow(db, COMPARED, "n", "content"))
    engine.execute("""CREATE TABLE fresh AS SELECT r.n, r.content FROM record r
        LEFT JOIN compared c USING (n) WHERE c.content IS DISTINCT FROM r.content""")
    engine.unregister("compared")
    scored = probable.score(engine, wanted, model, least=least)
    db.execute(text(TEMPORARY))
    _copy(db, "identity_fresh", engine.sql("FROM fresh").to_arrow_table())
    weights = list(wanted.fields)
    packed = [json.dumps(row) for row in scored.select(weights).to_pylist()]
    head = scored.select(["l", "r", "weight", "probability"])
    _copy(db, "identity_scored", head.append_column("weights", pa.array(packed, pa.string())))
    db.execute(text(FORGET_FRESH))
    db.execute(STORE_COMPARED)
    db.execute(text(STORE_EVIDENCE), [run_id])


def _copy(db: Connection, table: str, rows: pa.Table) -> None:
    sink = io.BytesIO()
    csv.write_csv(rows, sink, csv.WriteOptions(include_header=False))
    with db.cursor() as cursor, cursor.copy(text(f"COPY {table} FROM STDIN (FORMAT csv)")) as into:
        into.write(sink.getvalue())
