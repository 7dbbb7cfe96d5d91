"""Who is who: one customer_id for all records of a person, kept from run to run.

Rules in order: a person_key shared between systems, the e-mail, the phone. Values are normalised
and hashed inside the database; names, addresses and numbers never leave it.
"""

import io
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import pyarrow as pa
from pyarrow import csv

from include.identity.link import RULES, Ints, Records, partition
from include.identity.mint import Assignment, assign
from include.warehouse import Connection, lock, text

log = logging.getLogger(__name__)

MAX_RECORDS_PER_KEY = 20  # beyond it an e-mail or number is a reception's, not a person's
KEYS = ("person_key", "namespace", "email", "phone", "last_name")
READ_RECORDS = f"""COPY (
    SELECT {", ".join("r." + key for key in KEYS)},
           coalesce(i.customer_id, 0), coalesce(i.rule, '')
    FROM identity_record r LEFT JOIN core.identity i USING (source, source_id) ORDER BY r.n
) TO STDOUT (FORMAT csv)"""
READ_ANCHORS = """SELECT c.customer_id, r.n FROM core.customer c LEFT JOIN identity_record r
    ON (r.source, r.source_id) = (c.first_source, c.first_source_id)"""
WRITE = """
CREATE TEMP TABLE identity_change (n bigint, customer_id bigint, rule text) ON COMMIT DROP;
CREATE TEMP TABLE identity_minted (n bigint, customer_id bigint) ON COMMIT DROP
"""
STORE_IDENTITY = """INSERT INTO core.identity
    (source, source_id, customer_id, rule, probability)
    SELECT source, source_id, customer_id, rule, 1
    FROM identity_change JOIN identity_record USING (n)
    ON CONFLICT (source, source_id)
    DO UPDATE SET customer_id = excluded.customer_id, rule = excluded.rule, probability = 1"""
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
        db.execute("DROP TABLE IF EXISTS identity_record, identity_change, identity_minted")
        db.execute(text((Path(__file__).parent / "records.sql").read_text()))
        records, known, rule = _read(db)
        anchors = cast(dict[int, int | None], dict(db.execute(READ_ANCHORS).fetchall()))
        found = partition(records, max_records_per_key=max_records_per_key)
        given = assign(found, known, anchors)
        changed = np.flatnonzero((given.customer_id != known) | (found.rule != rule))
        _write(db, given, found.rule, changed, run_id=run_id)
    events = [event.event for event in given.events]
    counts = Counts(
        records=len(records),
        customers=len(np.unique(given.customer_id)),
        new=len(given.minted),
        merged=events.count("merged"),
        split=events.count("split"),
    )
    log.info("resolved %s; %d records changed in core.identity", counts, len(changed))
    return counts


def _read(db: Connection) -> tuple[Records, Ints, Ints]:
    """Hashed keys, customer_id so far (0: none) and rule so far (-1: none), one place a record."""
    with db.cursor() as cursor, cursor.copy(READ_RECORDS) as rows:
        raw = b"".join(rows)
    if not raw:
        none: Ints = np.zeros(0, dtype=np.int64)
        return Records(none, none, none, none, none), none, none
    types = dict.fromkeys((*KEYS, "known"), pa.int64()) | {"rule": pa.string()}
    table = csv.read_csv(
        io.BytesIO(raw),
        read_options=csv.ReadOptions(column_names=list(types)),
        convert_options=csv.ConvertOptions(column_types=types),
    )
    keys = {key: table[key].to_numpy() for key in KEYS}
    places = {rule: place for place, rule in enumerate(RULES)}
    rule = np.array([places.get(name, -1) for name in table["rule"].to_pylist()], dtype=np.int64)
    return Records(**keys), table["known"].to_numpy(), rule


def _write(db: Connection, given: Assignment, rule: Ints, changed: Ints, *, run_id: str) -> None:
    if not len(changed):
        return
    db.execute(WRITE)
    with db.cursor() as cursor:
        with cursor.copy("COPY identity_change FROM STDIN") as rows:
            for n in changed.tolist():
                rows.write_row((n, int(given.customer_id[n]), RULES[rule[n]]))
        with cursor.copy("COPY identity_minted FROM STDIN") as rows:
            for customer_id, n in given.minted.items():
                rows.write_row((n, customer_id))
        cursor.execute(STORE_IDENTITY)
        cursor.execute(STORE_CUSTOMER, [run_id])
        cursor.executemany(
            STORE_EVENT,
            [
                (e.event, e.customer_id, e.other_customer_id, e.records, e.reason, run_id)
                for e in given.events
            ],
        )
