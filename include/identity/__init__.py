"""Who is who: one customer_id for all records of a person, kept from run to run.

Rules in order: a person_key shared between systems, the e-mail, the phone, what a person decided,
likeness of names, addresses and dates. What is read of a person is compared and forgotten.
"""

import logging
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa

from include import domains, duck
from include.domains import Identity
from include.identity import changes, evidence, link, review, transfer
from include.identity.cluster import Floats, Ints, Pairs
from include.identity.link import RULES, Links, Partition, Records, partition
from include.identity.mint import Assignment, assign
from include.identity.reach import reach
from include.identity.records import KEYS
from include.warehouse import Connection, lock, text

log = logging.getLogger(__name__)

MAX_RECORDS_PER_KEY = 20  # beyond it an e-mail or number is a reception's, not a person's
TEMPORARY = """
DROP TABLE IF EXISTS identity_reached, identity_known, identity_change, identity_minted;
CREATE TEMP TABLE identity_reached (n bigint) ON COMMIT DROP;
CREATE TEMP TABLE identity_change (source text, source_id text, customer_id bigint, rule text,
    probability float8) ON COMMIT DROP;
CREATE TEMP TABLE identity_minted (source text, source_id text, customer_id bigint) ON COMMIT DROP
"""
KNOW = f"""ANALYZE identity_reached;
    CREATE TEMP TABLE identity_known ON COMMIT DROP AS
    SELECT n, source, source_id, customer_id, rule, probability
    FROM (SELECT {changes.number()} AS n, * FROM core.identity) i JOIN identity_reached USING (n)"""
KNOWN = {
    "n": pa.int64(), "source": pa.string(), "source_id": pa.string(), "customer_id": pa.int64(),
    "rule": pa.string(), "probability": pa.float64(),
}  # fmt: skip
SAID = [  # a key is as frequent as it is among all records, not among those that are reached
    f"CASE WHEN h.{key} IN (FROM frequent) THEN 0 ELSE h.{key} END AS {key}" for key in link.KEYS
] + [f"h.{name}" for name in KEYS if name not in link.KEYS]
PLACED = f"""CREATE TABLE person AS
    SELECT row_number() OVER (ORDER BY source, source_id) - 1 AS place, * FROM (
        SELECT n, {", ".join(SAID)}, coalesce(customer_id, 0) AS customer_id,
            coalesce(k.source, l.source) AS source, coalesce(k.source_id, l.source_id) AS source_id,
            rule, coalesce(probability, 0) AS probability
        FROM (FROM hashed SEMI JOIN reached USING (n)) AS h
        LEFT JOIN known k USING (n) LEFT JOIN landed l USING (n))"""
ANCHORS = """SELECT c.customer_id, k.n FROM core.customer c LEFT JOIN identity_known k
    ON (k.source, k.source_id) = (c.first_source, c.first_source_id)
    WHERE k.n IS NOT NULL OR c.customer_id IN (SELECT customer_id FROM identity_known)"""
FIRST_ID = "SELECT coalesce(max(customer_id), 0) + 1 FROM core.customer"
STORE_HISTORY = """INSERT INTO core.identity_history
    (source, source_id, customer_id, rule, probability, valid_from, valid_to)
    SELECT i.source, i.source_id, i.customer_id, i.rule, i.probability, i.since, %s
    FROM identity_change JOIN core.identity i USING (source, source_id)"""
STORE_IDENTITY = """INSERT INTO core.identity
    (source, source_id, customer_id, rule, probability, since)
    SELECT source, source_id, customer_id, rule, probability, %s FROM identity_change
    ON CONFLICT (source, source_id) DO UPDATE SET customer_id = excluded.customer_id,
    rule = excluded.rule, probability = excluded.probability, since = excluded.since"""
STORE_CUSTOMER = """INSERT INTO core.customer
    (customer_id, first_source, first_source_id, minted_at, run_id)
    SELECT customer_id, source, source_id, now(), %s FROM identity_minted"""
STORE_EVENT = """INSERT INTO core.identity_event
    (at, event, customer_id, other_customer_id, records, reason, run_id)
    VALUES (clock_timestamp(), %s, %s, %s, %s, %s, %s)"""
CUSTOMERS = "SELECT count(*) FROM (SELECT DISTINCT customer_id FROM core.identity) c"


@dataclass(frozen=True)
class Counts:
    """What one resolve() saw and changed."""

    records: int  # in landing
    customers: int  # of these and of records that are no longer there
    new: int
    merged: int
    split: int


@dataclass(frozen=True)
class People:
    """The records that a change may reach, in the order of (source, source_id), and theirs so far.

    customer_id is 0 and rule -1 for a record that is new.
    """

    keys: Records
    customer_id: Ints
    rule: Ints
    probability: Floats
    anchors: dict[int, int | None]


def resolve(
    db: Connection, *, run_id: str, max_records_per_key: int = MAX_RECORDS_PER_KEY
) -> Counts:
    """Bring ``core.identity`` to what ``landing.customer`` says; write only what changed.

    One transaction, under an advisory lock. Only what changed since the last run is read, with
    what it may reach; the result is that of a run from nothing. Records that the source deleted
    keep their customer; so do records that are no longer in landing. The same landing in a fresh
    warehouse gives the same ids.

    Parameters
    ----------
    db : a connection to the warehouse; a transaction that is already open is left to the caller.
    run_id : noted with what is minted, merged or split.
    max_records_per_key : a value that more records share is no key.
    """
    rules = domains.load().identity
    with db.transaction(), duck.opened("identity") as (engine, _):
        lock(db, "core.identity")
        records = evidence.update(db, engine, rules, most=max_records_per_key, run_id=run_id)
        reach(engine, most=max_records_per_key)
        people = _people(db, engine)
        links = _links(engine, rules)
        found = partition(people.keys, max_records_per_key=max_records_per_key, links=links)
        given = assign(
            found,
            people.customer_id,
            people.anchors,
            first_id=_number(db, FIRST_ID),
            apart=links.apart,
        )
        changed = (given.customer_id != people.customer_id) | (found.rule != people.rule)
        changed |= found.probability != people.probability
        _write(db, engine, given, found, np.flatnonzero(changed), run_id=run_id)
        waiting = review.offer(db, rules)
        counts = _counts(given, records, _number(db, CUSTOMERS))
    log.info(
        "resolved %s; %d records changed in core.identity, %d pairs wait for a person",
        *(counts, int(changed.sum()), waiting),
    )
    return counts


def _counts(given: Assignment, records: int, customers: int) -> Counts:
    events = [event.event for event in given.events]
    merged, split = events.count("merged"), events.count("split")
    return Counts(records, customers, new=len(given.minted), merged=merged, split=split)


def _people(db: Connection, engine: duckdb.DuckDBPyConnection) -> People:
    """Those of the table ``reached``; makes ``person`` of the engine, with their ``place``."""
    db.execute(text(TEMPORARY))
    transfer.write(db, "identity_reached", engine.sql("FROM reached").to_arrow_table())
    db.execute(text(KNOW))
    engine.register("known", transfer.read(db, "SELECT * FROM identity_known", KNOWN))
    engine.execute(PLACED)
    engine.unregister("known")
    anchors = {"customer_id": pa.int64(), "n": pa.int64()}
    engine.register("anchor", transfer.read(db, ANCHORS, anchors))
    stand = engine.sql("SELECT a.customer_id, place FROM anchor a LEFT JOIN person USING (n)")
    anchored = dict(stand.fetchall())
    engine.unregister("anchor")
    rules = " ".join(f"WHEN '{rule}' THEN {place}" for place, rule in enumerate(RULES))
    found = engine.sql(f"""SELECT {", ".join(KEYS)}, customer_id, probability,
        CASE rule {rules} ELSE -1 END::bigint AS rule FROM person ORDER BY place""").fetchnumpy()
    return People(
        keys=Records(**{key: found[key] for key in KEYS}),
        customer_id=found["customer_id"],
        rule=found["rule"],
        probability=found["probability"],
        anchors=anchored,
    )


def _links(engine: duckdb.DuckDBPyConnection, rules: Identity) -> Links:
    """What likeness and people say of the table ``person``."""
    source = engine.sql("SELECT hashed(source) AS s FROM person ORDER BY place").fetchnumpy()["s"]
    return Links(
        probable=_pairs(engine, "SELECT l, r, weight FROM linked"),
        confirmed=_pairs(
            engine, "SELECT l, r, 'inf'::double FROM decided WHERE status = 'confirmed'"
        ),
        apart=_pairs(engine, "SELECT l, r, 'inf'::double FROM decided WHERE status = 'split'"),
        source=source,
        same_source=rules.same_source,
        most=rules.most_records,
    )


def _pairs(engine: duckdb.DuckDBPyConnection, query: str) -> Pairs:
    found = engine.sql(f"""SELECT least(a.place, b.place) AS l, greatest(a.place, b.place) AS r,
            weight
        FROM ({query}) AS pair(l, r, weight) JOIN person a ON a.n = pair.l
        JOIN person b ON b.n = pair.r ORDER BY ALL""").fetchnumpy()
    return Pairs(found["l"], found["r"], found["weight"])


def _write(
    db: Connection,
    engine: duckdb.DuckDBPyConnection,
    given: Assignment,
    found: Partition,
    changed: Ints,
    *,
    run_id: str,
) -> None:
    if not len(changed):
        return
    names = pa.array(RULES).take(pa.array(found.rule[changed]))
    change = {"customer_id": given.customer_id[changed], "probability": found.probability[changed]}
    _named(db, engine, "identity_change", changed, change | {"rule": names})
    places = np.fromiter(given.minted.values(), np.int64, len(given.minted))
    minted = np.fromiter(given.minted, np.int64, len(given.minted))
    _named(db, engine, "identity_minted", places, {"customer_id": minted})
    db.execute("ANALYZE identity_change")
    at = db.execute("SELECT clock_timestamp()").fetchone()
    db.execute(STORE_HISTORY, at)
    db.execute(STORE_IDENTITY, at)
    db.execute(STORE_CUSTOMER, [run_id])
    with db.cursor() as cursor:
        cursor.executemany(
            STORE_EVENT,
            [
                (e.event, e.customer_id, e.other_customer_id, e.records, e.reason, run_id)
                for e in given.events
            ],
        )


def _named(
    db: Connection,
    engine: duckdb.DuckDBPyConnection,
    table: str,
    places: Ints,
    columns: dict[str, object],
) -> None:
    """Write rows of records into a table of the warehouse, by source and source_id."""
    engine.register("given", pa.table({"place": places} | columns))
    rows = engine.sql("""SELECT source, source_id, given.* EXCLUDE (place)
        FROM given JOIN (SELECT place, source, source_id FROM person) USING (place)""")
    transfer.write(db, table, rows.to_arrow_table())
    engine.unregister("given")


def _number(db: Connection, query: str) -> int:
    row = db.execute(text(query)).fetchone()
    return int(row[0]) if row else 0
