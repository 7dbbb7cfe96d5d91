"""Compare a source with what has landed, key range by key range, and mend what differs.

A load trusts the cursor; a reconciliation trusts nothing. Where both sides are PostgreSQL and
hold the same types, each works out count and hash of its ranges, and only ranges that differ
are read again; else all rows are.
"""

import dataclasses
import logging
import time

from include import warehouse
from include.landing import apply
from include.landing.job import CHECKED, STAGING, Visit, create_staging
from include.landing.load import job, staged_columns
from include.landing.readers import RANGES, Staged, Window
from include.landing.readers.postgres import PostgresReader, key_range
from include.landing.rules import MOST_NUMERIC, conversions
from include.landing.state import Loaded, record
from include.sources import Source

log = logging.getLogger(__name__)

Digest = dict[int, tuple[int, str]]  # key range -> rows, sum of their hashes


def reconcile(source: Source, entity_name: str, db: warehouse.Connection, *, run_id: str) -> Loaded:
    """Make ``landing.<entity>`` what the source says now, and say how much was wrong.

    A row that the source no longer has is marked deleted, unless the mapping says that deletes
    do not count (``deletes: none``). Before a first load there is nothing to compare.

    Raises
    ------
    QualityError
        If so many rows are gone or bad that it looks like an accident; nothing is changed then.
    """
    with job(source, entity_name, db, run_id=run_id) as (work, state):
        if state.read_to is None:
            log.info("%s.%s: not loaded yet, nothing to compare", source.name, entity_name)
            return Loaded()
        staged = staged_columns(work)
        apply.partition(work)
        ranges = differing(work, staged)
        every = list(range(RANGES))
        loaded = Loaded() if ranges == [] else _mended(work, staged, ranges or every)
        loaded = dataclasses.replace(
            loaded,
            ranges=0 if ranges is None else RANGES,
            ranges_differing=len(ranges or ()),
            seconds=time.monotonic() - work.started,
        )
        record(db, source.name, entity_name, loaded, run_id=run_id, kind="reconcile")
    log.info(
        "%s.%s: %s: %d rows new, %d changed, %d gone in %.1f s",
        *(source.name, entity_name),
        "all rows compared" if ranges is None else f"{len(ranges)} of {RANGES} key ranges differ",
        *(loaded.inserted, loaded.updated, loaded.deleted, loaded.seconds),
    )
    return loaded


def differing(work: Visit, staged: list[Staged]) -> list[int] | None:
    """The key ranges whose digests differ; None where the two sides cannot be compared so."""
    reader = work.reader
    if not (isinstance(reader, PostgresReader) and reader.sure):
        return None
    if not all(column.exact or column.type == "numeric" for column in staged):
        return None
    given = conversions(work.source, work.entity, work.table, staged)
    types = {column.name: column.type for column in work.table.columns}
    listed = ", ".join(
        f'{_fitted(f"({value})", types[name])} AS "{name}"' for name, value in given.items()
    )
    rows = reader.query(work.entity, staged, Window())
    there = f"SELECT s.source_id, {listed} FROM ({rows}) AS s"
    names = [name for name in given if name not in {"deleted_at", *work.kept}]
    with reader.told():
        theirs = digests(reader.db, there, names)
    ours = digests(work.db, f"SELECT * FROM {work.part}", names)
    return [n for n in range(RANGES) if theirs.get(n) != ours.get(n)]


def _fitted(value: str, kind: str) -> str:
    """SQL: the value in its landing type; null where it is set aside for its size."""
    if not kind.startswith("numeric"):
        return f"{value}::{kind}"
    return f"CASE WHEN abs(round({value}, 6)) < {MOST_NUMERIC} THEN {value}::{kind} END"


def digests(db: warehouse.Connection, rows: str, names: list[str]) -> Digest:
    """Count and hash of the live rows of each key range; the order of rows is of no matter."""
    listed = ", ".join(f'r."{name}"' for name in ("source_id", *names))
    found = db.execute(
        warehouse.text(
            f"""SELECT {key_range("r.source_id")}, count(*),
                       sum(('x' || left(md5(ROW({listed})::text), 16))::bit(64)::bigint)::text
                FROM ({rows}) AS r WHERE r.deleted_at IS NULL GROUP BY 1"""
        )
    ).fetchall()
    return {place: (count, hashes) for place, count, hashes in found}


def _mended(work: Visit, staged: list[Staged], ranges: list[int]) -> Loaded:
    some = tuple(ranges) if len(ranges) < RANGES else None
    create_staging(work, staged)
    read = work.reader.copy_into(work.db, STAGING, work.entity, staged, Window(ranges=some))
    work.db.execute(warehouse.text(f"ANALYZE {STAGING}"))
    loaded = apply.checked_rows(work, staged, read)
    if work.entity.deletes == "none":
        return loaded
    return loaded + apply.mark_gone(work, CHECKED, ranges)
