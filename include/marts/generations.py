"""The published tables, one generation at a time.

A publish fills a new table beside each mart, checks them, attaches them, and then one transaction
writes the histories and moves the one row that BI's views read. Killed at any step, BI reads the
last good generation, complete, and the next publish clears away what was left.

A generation is ``building`` while its tables are filled; ``attached`` when they are complete, and
a session that pins it can read them; ``ready`` once BI was switched to it; ``retired`` when its
tables may go.
"""

import logging
import time
from datetime import date, datetime

import psycopg
from psycopg import sql

from include import locks, warehouse
from include.errors import InputError, ResourceError
from include.marts import IN_DATABASE, MARTS, history

log = logging.getLogger(__name__)

LOCK_TIMEOUT, ATTEMPTS = "2s", 30


def place(table: str, generation: int) -> str:
    """The table that holds one generation of a mart."""
    return f"mart.{table}__g{generation}"


def begin(
    db: warehouse.Connection,
    *,
    as_of: date,
    run_id: str,
    data_to: datetime | None,
    stale_reason: str | None,
    sources: list[str] | None = None,
) -> int:
    """Number a new generation (the same for the same run), and clear what killed ones left.

    A run whose generation another publish has cleared meanwhile, or which begins again after its
    tables were attached, gets a new number. ``sources`` are those whose freshness BI is told.
    """
    with db.transaction():
        warehouse.lock(db, "portrait.publish")
        for (left,) in db.execute(
            """SELECT generation FROM ops.generation
               WHERE status = 'attached' OR status = 'building' AND run_id <> %s""",
            [run_id],
        ).fetchall():
            for table in [*MARTS, *IN_DATABASE]:
                drop_unattached(db, place(table, left))
            db.execute("UPDATE ops.generation SET status = 'retired' WHERE generation = %s", [left])
        row = (
            db.execute(
                "SELECT generation FROM ops.generation WHERE run_id = %s AND status <> 'retired'",
                [run_id],
            ).fetchone()
            or db.execute(
                """INSERT INTO ops.generation
                   (generation, as_of, status, started_at, data_to, stale_reason, run_id, sources,
                    model_as_of)
               SELECT coalesce(max(generation), 0) + 1, %s, 'building', now(), %s, %s, %s, %s,
                      (SELECT min(of_model.as_of) FROM (
                           SELECT DISTINCT ON (model) as_of FROM ops.model_version AS used
                           WHERE decision = 'promoted' AND as_of <= %s AND EXISTS (
                               SELECT FROM ops.model_version AS newest
                               WHERE newest.model = used.model AND newest.as_of = (
                                   SELECT max(as_of) FROM ops.model_version AS kind
                                   WHERE split_part(kind.model, ':', 1)
                                         = split_part(used.model, ':', 1) AND as_of <= %s))
                           ORDER BY model, champion DESC, as_of DESC) AS of_model)
               FROM ops.generation RETURNING generation""",
                [as_of, data_to, stale_reason, run_id, sources, as_of, as_of],
            ).fetchone()
        )
    assert row is not None  # noqa: S101  RETURNING gives the row
    return int(row[0])


def status(db: warehouse.Connection, generation: int) -> str | None:
    """The state of a generation, None for one that was never begun."""
    row = db.execute(
        "SELECT status FROM ops.generation WHERE generation = %s", [generation]
    ).fetchone()
    return None if row is None else str(row[0])


def drop_unattached(db: warehouse.Connection, target: str) -> None:
    """Drop a table that no reader knows of yet, or no more; one that is attached stays."""
    if not is_attached(db, target):
        db.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(warehouse.name(target)))


def is_attached(db: warehouse.Connection, target: str) -> bool:
    """Whether a table is a partition of its mart already."""
    row = db.execute(
        "SELECT 1 FROM pg_inherits WHERE inhrelid = to_regclass(%s)", [target]
    ).fetchone()
    return row is not None


def pin(db: warehouse.Connection, generation: int) -> None:
    """Let the views of BI show this generation until the transaction ends."""
    db.execute("SELECT set_config('portrait.generation', %s, true)", [str(generation)])


def attach(db: warehouse.Connection, *, generation: int, tables: list[str]) -> None:
    """Make complete tables partitions of their marts, which only a session that pins them notices.

    Raises
    ------
    InputError
        If another publish began meanwhile and cleared them.
    ResourceError
        If another session keeps a mart locked; the message names it.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with db.transaction():
                db.execute(warehouse.text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
                _attach(db, generation, tables)
            break
        except psycopg.errors.LockNotAvailable:
            log.warning("attach: a mart is locked, attempt %d of %d", attempt, ATTEMPTS)
    else:
        held = {
            who
            for table in tables
            for who in locks.holders(db, f"mart.{table}", "SHARE UPDATE EXCLUSIVE").values()
        }
        raise ResourceError(
            f"generation {generation}: a mart stayed locked by {', '.join(sorted(held))}; end "
            "that session, or clear this task later; BI keeps the last good generation"
        )


def _attach(db: warehouse.Connection, generation: int, tables: list[str]) -> None:
    warehouse.lock(db, "portrait.publish")
    must_be(db, generation, "building", "attached", "ready")
    for table in tables:
        target = place(table, generation)
        if not is_attached(db, target):
            db.execute(
                sql.SQL("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES IN ({})").format(
                    warehouse.name(f"mart.{table}"),
                    warehouse.name(target),
                    sql.Literal(generation),
                )
            )
    db.execute(
        """UPDATE ops.generation SET status = 'attached'
           WHERE generation = %s AND status = 'building'""",
        [generation],
    )


def must_be(db: warehouse.Connection, generation: int, *states: str) -> str:
    """The state of a generation; an InputError where another publish has changed it meanwhile."""
    state = status(db, generation) or "unknown"
    if state not in states:
        raise InputError(
            f"generation {generation} is {state}: another publish began after it and cleared "
            "it; clear this run's first task to publish it again"
        )
    return state


def switch(db: warehouse.Connection, *, generation: int, as_of: date, run_id: str) -> float:
    """Write the histories and point BI at an attached generation, all in one transaction.

    Returns
    -------
    Seconds from the statement that moves the pointer to the end of its commit.

    Raises
    ------
    InputError
        If another publish began meanwhile: the pointer never moves back.
    """
    if must_be(db, generation, "attached", "ready") == "ready":
        return 0.0
    with db.transaction():
        warehouse.lock(db, "portrait.publish")
        must_be(db, generation, "attached")
        pin(db, generation)
        places = {table: place(table, generation) for table in [*MARTS, *IN_DATABASE]}
        history.keep(db, places, as_of=as_of, generation=generation, run_id=run_id)
        db.execute("UPDATE ops.generation SET status = 'ready' WHERE generation = %s", [generation])
        began = time.perf_counter()
        point(db, generation, run_id)
    seconds = time.perf_counter() - began
    log.info("BI reads generation %d; the switch took %.0f ms", generation, 1000 * seconds)
    return seconds


def give_up(db: warehouse.Connection, generation: int) -> None:
    """Leave a generation that a person did not want to the next retirement."""
    db.execute(
        """UPDATE ops.generation SET status = 'retired'
           WHERE generation = %s AND status = 'attached'""",
        [generation],
    )


def point(db: warehouse.Connection, generation: int, run_id: str) -> None:
    """Move the one row that BI's views read."""
    db.execute(
        """INSERT INTO ops.current_generation AS c (only_row, generation, published_at, run_id)
           VALUES (true, %s, now(), %s)
           ON CONFLICT (only_row) DO UPDATE
           SET generation = excluded.generation, published_at = excluded.published_at,
               run_id = excluded.run_id""",
        [generation, run_id],
    )


def rollback(db: warehouse.Connection, *, run_id: str, generation: int | None = None) -> int:
    """Point BI at an earlier generation (default: the one before) until the next publish.

    Raises
    ------
    InputError
        If that generation is not kept.
    """
    kept = [
        row[0]
        for row in db.execute(
            "SELECT generation FROM ops.generation WHERE status = 'ready' ORDER BY 1"
        ).fetchall()
    ]
    row = db.execute("SELECT generation FROM ops.current_generation").fetchone()
    current = row[0] if row else 0
    wanted = generation or max((known for known in kept if known < current), default=0)
    if wanted not in kept:
        raise InputError(
            f"generation {wanted or 'before the current one'} is not kept; "
            f"kept: {', '.join(map(str, kept)) or 'none'}"
        )
    with db.transaction():
        point(db, wanted, run_id)
    log.info("BI reads generation %d again", wanted)
    return int(wanted)
