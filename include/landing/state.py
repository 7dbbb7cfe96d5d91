"""How far a table of a source has been read: ``ops.watermark`` and ``ops.load``."""

import dataclasses
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from psycopg.types.json import Jsonb

from include import warehouse
from include.landing.readers import Position


@dataclass(frozen=True)
class State:
    """What is remembered of one table between its loads; all empty before the first."""

    read_to: datetime | None = None  # changes before it (source clock) have been read
    reading_to: datetime | None = None  # the same, once a window read in batches is finished
    after: Position | None = None  # the last row of that window that was read
    shape: dict[str, str] | None = None  # the select's columns and their types
    swept_at: datetime | None = None
    select: str | None = None  # of the mapping, when the shape was taken


@dataclass(frozen=True)
class Loaded:
    """What loads did, in rows; adds up."""

    read: int = 0
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    quarantined: int = 0
    undated: int = 0  # without a value in the cursor
    rounded: int = 0  # more than six digits after the point
    stripped: int = 0  # freed of bytes that are no text
    bytes_in: int = 0
    seconds: float = 0.0
    lag_seconds: float | None = None  # from the watermark to the source's clock; the latest counts
    ranges: int = 0  # compared by a reconciliation, and
    ranges_differing: int = 0

    def __add__(self, other: Self) -> "Loaded":
        mine, theirs = dataclasses.asdict(self), dataclasses.asdict(other)
        latest = {"lag_seconds": theirs.pop("lag_seconds")}
        return Loaded(**{name: mine[name] + theirs[name] for name in theirs} | latest)


def recall(db: warehouse.Connection, source: str, entity: str) -> State:
    """What is remembered, locked until the transaction ends."""
    row = db.execute(
        """SELECT read_to, reading_to, after_cursor, after_key, shape, swept_at, "select"
           FROM ops.watermark WHERE source = %s AND entity = %s FOR UPDATE""",
        [source, entity],
    ).fetchone()
    if row is None:
        return State()
    read_to, reading_to, after_cursor, after_key, shape, swept_at, select = row
    after = None if after_key is None else Position(after_cursor, after_key)
    return State(read_to, reading_to, after, shape, swept_at, select)


def remember(
    db: warehouse.Connection, source: str, entity: str, state: State, *, run_id: str
) -> None:
    """Write ``state``; a watermark never moves back."""
    after = state.after or Position(None, "")
    db.execute(
        """INSERT INTO ops.watermark AS w (source, entity, read_to, run_id, reading_to,
               after_cursor, after_key, shape, swept_at, "select")
           VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
           ON CONFLICT (source, entity) DO UPDATE
           SET read_to = greatest(w.read_to, excluded.read_to), run_id = excluded.run_id,
               reading_to = excluded.reading_to, after_cursor = excluded.after_cursor,
               after_key = excluded.after_key, shape = excluded.shape,
               swept_at = excluded.swept_at, "select" = excluded."select" """,
        [
            *(source, entity, state.read_to, run_id, state.reading_to, after.cursor),
            after.key if state.after else None,
            None if state.shape is None else Jsonb(state.shape),
            state.swept_at,
            state.select,
        ],
    )


def record(
    db: warehouse.Connection, source: str, entity: str, loaded: Loaded, *, run_id: str, kind: str
) -> None:
    """Add to the ledger's row of this table and run: a repeated task adds what it did more."""
    db.execute(
        """INSERT INTO ops.load AS l (run_id, source, entity, recorded_at, rows_in, rows_inserted,
               rows_updated, rows_deleted, rows_quarantined, seconds, kind, parts, rows_undated,
               rows_rounded, rows_stripped, bytes_in, lag_seconds, ranges, ranges_differing)
           VALUES (%s, %s, %s, now(), %s, %s, %s, %s, %s, %s, %s, 1, %s, %s, %s, %s, %s, %s, %s)
           ON CONFLICT (run_id, source, entity) DO UPDATE
           SET recorded_at = excluded.recorded_at, rows_in = l.rows_in + excluded.rows_in,
               rows_inserted = l.rows_inserted + excluded.rows_inserted,
               rows_updated = l.rows_updated + excluded.rows_updated,
               rows_deleted = l.rows_deleted + excluded.rows_deleted,
               rows_quarantined = l.rows_quarantined + excluded.rows_quarantined,
               seconds = l.seconds + excluded.seconds, parts = l.parts + 1,
               rows_undated = excluded.rows_undated,
               rows_rounded = l.rows_rounded + excluded.rows_rounded,
               rows_stripped = l.rows_stripped + excluded.rows_stripped,
               bytes_in = l.bytes_in + excluded.bytes_in, lag_seconds = excluded.lag_seconds,
               ranges = excluded.ranges, ranges_differing = excluded.ranges_differing""",
        [
            *(run_id, source, entity, loaded.read, loaded.inserted, loaded.updated),
            *(loaded.deleted, loaded.quarantined, loaded.seconds, kind, loaded.undated),
            *(loaded.rounded, loaded.stripped, loaded.bytes_in, loaded.lag_seconds),
            *(loaded.ranges, loaded.ranges_differing),
        ],
    )
