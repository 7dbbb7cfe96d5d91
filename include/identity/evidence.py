"""Records of landing compared by likeness: what is new is weighed, what was weighed is kept.

Names and addresses pass through memory only; what is written is weights, probabilities and the
hashes by which the next run sees what has changed.
"""

import hashlib
import json
import logging
from pathlib import Path

import duckdb
import pyarrow as pa

from include.domains import Identity
from include.identity import changes, fields, probable, transfer
from include.identity.fields import Fields
from include.warehouse import Connection, literal, text

log = logging.getLogger(__name__)

GROWTH = 2  # times the records that the weights were learnt from: then they are learnt anew
MADE_OF = ("fields.yaml", "kinds.yaml", "nicknames.yaml", "calling.yaml", "phone.py", "records.py")
KEPT = """SELECT settings, records FROM ops.identity_model WHERE model = %s
    ORDER BY trained_at DESC LIMIT 1"""
KEEP = """INSERT INTO ops.identity_model (model, trained_at, records, settings, run_id)
    VALUES (%s, clock_timestamp(), %s, %s, %s)"""
RECORDS = "SELECT count(*) FROM landing.customer"
ENDS = f"{changes.number()} AS l, {changes.number('other_source', 'other_source_id')} AS r"
WEIGHT_PARTS = 10_000  # a weight has four places after the point
LINKED = f"""FROM (SELECT {ENDS}, round(weight * {WEIGHT_PARTS})::bigint AS weight,
    {changes.number()} AS n FROM core.identity_evidence WHERE probability >= {{link}}) e"""
DECIDED = f"SELECT {ENDS}, status FROM ops.identity_review WHERE status <> 'open'"
STALE = """DROP TABLE IF EXISTS identity_stale;
    CREATE TEMP TABLE identity_stale (n bigint) ON COMMIT DROP"""
FORGET_STALE = f"""DELETE FROM core.identity_evidence
    WHERE {changes.number()} IN (SELECT n FROM identity_stale)
    OR {changes.number("other_source", "other_source_id")} IN (SELECT n FROM identity_stale)"""


def update(
    db: Connection, engine: duckdb.DuckDBPyConnection, rules: Identity, *, most: int, run_id: str
) -> int:
    """Bring core.identity_evidence up to date; while there is too little to learn from, leave it.

    Beside those of ``changes.read`` the engine has then the tables ``linked_before`` and ``linked``
    (l, r, weight), pairs that likeness joins, and ``decided`` (l, r, status), by people.

    Parameters
    ----------
    most : records that may share a key; with another one all records count as changed.

    Returns
    -------
    Records in landing.
    """
    wanted = fields.load()
    name = _digest()
    kept = db.execute(KEPT, [name]).fetchone()
    [count] = db.execute(RECORDS).fetchone() or [0]
    learn = kept is None or count >= GROWTH * kept[1]
    if learn:
        changes.forget(db)
    seed = _seed(name, rules, most)
    changes.read(db, engine, wanted, seed=seed)
    changes.read_neighbours(db, engine, wanted, seed=seed)
    _read_pairs(db, engine, rules)
    model = None if kept is None else dict(kept[0])
    if learn and (learnt := probable.train(engine, wanted)) is not None:
        db.execute(KEEP, [name, count, json.dumps(learnt), run_id])
        log.info("identity: weights learnt from %d records", count)
        model = learnt
    if model is None:
        engine.execute("CREATE TABLE linked AS FROM linked_before")
    else:
        _weigh(db, engine, wanted, model, rules, run_id=run_id)
    engine.execute("DROP TABLE record; DROP TABLE cleaned; DROP TABLE settled")  # memory
    return int(count)


def _read_pairs(db: Connection, engine: duckdb.DuckDBPyConnection, rules: Identity) -> None:
    linked = transfer.read_packed(
        db, ("l", "r", "weight"), "int8send(l) || int8send(r) || int8send(weight)",
        LINKED.format(link=rules.link),
    )  # fmt: skip
    engine.register("given", linked)
    engine.execute(f"""CREATE TABLE linked_before AS
        SELECT l, r, weight / {WEIGHT_PARTS}::double AS weight FROM given""")
    types = {"l": pa.int64(), "r": pa.int64(), "status": pa.string()}
    engine.register("decided", transfer.read(db, DECIDED, types))
    engine.unregister("given")


def _digest() -> str:
    """What decides how records are compared."""
    made_of = hashlib.sha256(f"{duckdb.__version__}".encode())
    for name in MADE_OF:
        made_of.update((Path(__file__).parent / name).read_bytes())
    return made_of.hexdigest()[:16]


def _seed(model: str, rules: Identity, most: int) -> int:
    """Another one where anything is decided otherwise than before."""
    made_of = hashlib.sha256(f"{model} {rules.model_dump_json()} {most}".encode())
    made_of.update((Path(__file__).parent / "changes.py").read_bytes())  # the form of the hashes
    return int.from_bytes(made_of.digest()[:7])


def _weigh(
    db: Connection,
    engine: duckdb.DuckDBPyConnection,
    wanted: Fields,
    model: probable.Model,
    rules: Identity,
    *,
    run_id: str,
) -> None:
    """Compare what is new, and write it into core.identity_evidence in place of what was there."""
    scored = probable.score(engine, wanted, model, least=rules.review)
    engine.register("scored", scored)
    engine.execute(f"""CREATE TABLE linked AS FROM linked_before
        WHERE l NOT IN (SELECT n FROM stale) AND r NOT IN (SELECT n FROM stale)
        UNION ALL SELECT l, r, weight FROM scored WHERE probability >= {rules.link}""")
    db.execute(text(STALE))
    transfer.write(db, "identity_stale", engine.sql("FROM stale").to_arrow_table())
    db.execute(text(FORGET_STALE))
    changes.store(db, engine, wanted)
    key, weights = "{s: source, i: source_id}", ", ".join(f"{f}: {f}" for f in wanted.fields)
    [found_at] = db.execute("SELECT clock_timestamp()::text").fetchone() or [""]
    rows = engine.sql(f"""SELECT a.s AS source, a.i AS source_id, b.s AS other_source,
            b.i AS other_source_id, weight, probability, weights,
            {literal(found_at)} AS found_at, {literal(run_id)} AS run_id
        FROM (SELECT least(x, y) AS a, greatest(x, y) AS b, weight, probability,
                to_json({{{weights}}})::text AS weights
            FROM scored
            JOIN (SELECT n AS l, {key} AS x FROM landed) USING (l)
            JOIN (SELECT n AS r, {key} AS y FROM landed) USING (r)
        )""")
    transfer.write(db, "core.identity_evidence", rows.to_arrow_table())
    engine.unregister("scored")
