"""Who is who: one customer_id for all records of a person, kept from run to run.

Rules in order: a person_key shared between systems, the e-mail, the phone, what a person decided,
likeness of names, addresses and dates. What is read of a person is compared and forgotten.
"""

import io
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import pyarrow as pa
from pyarrow import csv

from include import domains
from include.identity import evidence, review
from include.identity.cluster import Floats, Ints
from include.identity.link import RULES, Partition, Records, partition, without_keys
from include.identity.mint import Assignment, assign
from include.warehouse import Connection, lock, text

log = logging.getLogger(__name__)

MAX_RECORDS_PER_KEY = 20  # beyond it an e-mail or number is a reception's, not a person's
KEYS = ("person_key", "namespace", "email", "phone", "last_name")
READ_RECORDS = f"""COPY (
    SELECT {", ".join("r." + key for key in KEYS)},
           coalesce(i.customer_id, 0), coalesce(i.rule, ''), coalesce(i.probability, 0)
    FROM identity_record r LEFT JOIN core.identity i USING (source, source_id) ORDER BY r.n
) TO STDOUT (FORMAT csv)"""
READ_ANCHORS = """SELECT c.customer_id, r.n FROM core.customer c LEFT JOIN identity_record r
    ON (r.source, r.source_id) = (c.first_source, c.first_source_id)"""
DROP = """DROP TABLE IF EXISTS
    identity_record, identity_change, identity_minted, identity_moment"""
WRITE = """
CREATE TEMP TABLE identity_change (n bigint, customer_id bigint, rule text,
    probability float8) ON COMMIT DROP;
CREATE TEMP TABLE identity_minted (n bigint, customer_id bigint) ON COMMIT DROP;
CREATE TEMP TABLE identity_moment ON COMMIT DROP AS SELECT clock_timestamp() AS at
"""
STORE_HISTORY = """INSERT INTO core.identity_history
    (source, source_id, customer_id, rule, probability, valid_from, valid_to)
    SELECT i.source, i.source_id, i.customer_id, i.rule, i.probability, i.since, at
    FROM identity_moment, identity_change JOIN identity_record USING (n)
    JOIN core.identity i USING (source, source_id)"""
STORE_IDENTITY = """INSERT INTO core.identity
    (source, source_id, customer_id, rule, probability, since)
    SELECT source, source_id, customer_id, rule, probability, at
    FROM identity_moment, identity_change JOIN identity_record USING (n)
    ON CONFLICT (source, source_id) DO UPDATE SET customer_id = excluded.customer_id,
    rule = excluded.rule, probability = excluded.probability, since = excluded.since"""
STORE_CUSTOMER = """INSERT INTO core.customer
    (customer_id, first_source, first_source_id, minted_at, run_id)
    SELECT customer_id, source, source_id, now(), %s
    FROM identity_minted JOIN identity_record USING (n)"""
STORE_EVENT = """INSERT INTO core.identity_event
    (at, event, customer_id, other_customer_id, records, reason, run_id)
    VALUES (clock_timestamp(), %s, %s, %s, %s, %s, %s)"""


@dataclass(frozen=True)
class Counts:
    """What one resolve() saw and changed."""

    records: int
    customers: int
    new: int
    merged: int
    split: int


def resolve(
    db: Connection, *, run_id: str, max_records_per_key: int = MAX_RECORDS_PER_KEY
) -> Counts:
    """Bring ``core.identity`` to what ``landing.customer`` says; write only what changed.

    One transaction, under an advisory lock. Records that the source deleted keep their customer;
    so do records that are no longer in landing. The same landing in a fresh warehouse gives the
    same ids.

    Parameters
    ----------
    db : a connection to the warehouse; a transaction that is already open is left to the caller.
    run_id : noted with what is minted, merged or split.
    max_records_per_key : a value that more records share is no key.
    """
    with db.transaction():
        lock(db, "core.identity")
        db.execute(DROP)
        db.execute(text((Path(__file__).parent / "records.sql").read_text()))
        rules = domains.load().identity
        records, known, rule, probability = _read(db)
        anchors = cast(dict[int, int | None], dict(db.execute(READ_ANCHORS).fetchall()))
        links = evidence.links(db, rules, run_id=run_id)
        found = partition(records, max_records_per_key=max_records_per_key, links=links)
        given = assign(found, known, anchors)
        changed = (given.customer_id != known) | (found.rule != rule)
        changed |= found.probability != probability
        _write(db, given, found, np.flatnonzero(changed), run_id=run_id)
        waiting = review.offer(db, rules)
    events = [event.event for event in given.events]
    counts = Counts(
        records=len(records),
        customers=len(np.unique(given.customer_id)),
        new=len(given.minted),
        merged=events.count("merged"),
        split=events.count("split"),
    )
    log.info(
        "resolved %s; %d records changed in core.identity, %d pairs wait for a person",
        *(counts, int(changed.sum()), waiting),
    )
    return counts


def _read(db: Connection) -> tuple[Records, Ints, Ints, Floats]:
    """Hashed keys; customer_id (0: none), rule (-1: none) and probability so far."""
    with db.cursor() as cursor, cursor.copy(READ_RECORDS) as rows:
        raw = b"".join(rows)
    if not raw:
        none: Ints = np.zeros(0, dtype=np.int64)
        return without_keys(0), none, none, np.zeros(0)
    types = dict.fromkeys((*KEYS, "known"), pa.int64())
    types |= {"rule": pa.string(), "probability": pa.float64()}
    table = csv.read_csv(
        io.BytesIO(raw),
        read_options=csv.ReadOptions(column_names=list(types)),
        convert_options=csv.ConvertOptions(column_types=types),
    )
    keys = {key: table[key].to_numpy() for key in KEYS}
    places = {rule: place for place, rule in enumerate(RULES)}
    rule = np.array([places.get(name, -1) for name in table["rule"].to_pylist()], dtype=np.int64)
    return Records(**keys), table["known"].to_numpy(), rule, table["probability"].to_numpy()


def _write(
    db: Connection, given: Assignment, found: Partition, changed: Ints, *, run_id: str
) -> None:
    if not len(changed):
        return
    db.execute(WRITE)
    with db.cursor() as cursor:
        with cursor.copy("COPY identity_change FROM STDIN") as rows:
            for n in changed.tolist():
                said = RULES[found.rule[n]], float(found.probability[n])
                rows.write_row((n, int(given.customer_id[n]), *said))
        with cursor.copy("COPY identity_minted FROM STDIN") as rows:
            for customer_id, n in given.minted.items():
                rows.write_row((n, customer_id))
        cursor.execute(STORE_HISTORY)
        cursor.execute(STORE_IDENTITY)
        cursor.execute(STORE_CUSTOMER, [run_id])
        cursor.executemany(
            STORE_EVENT,
            [
                (e.event, e.customer_id, e.other_customer_id, e.records, e.reason, run_id)
                for e in given.events
            ],
        )
