"""The published tables, one generation at a time.

A publish fills a new table beside each mart, checks them, and then one transaction attaches them
all and moves the one row that BI's views read. Killed at any step, BI reads the last good
generation, complete, and the next publish clears away what was left.
"""

import logging
import shutil
import time
from datetime import date, datetime
from pathlib import Path

import psycopg
from psycopg import sql

from include import warehouse
from include.errors import InputError, QualityError
from include.marts import MARTS, history

log = logging.getLogger(__name__)

KEPT_GENERATIONS = 3
PATIENCE_S = 1.0

# What must hold between the tables of one generation: (what, SQL that counts what breaks it).
CONSISTENT = [
    (
        "every member of a segment has a profile",
        """SELECT count(*) FROM {customer_segment} AS s LEFT JOIN {customer_profile} AS p
           USING (customer_id) WHERE p.customer_id IS NULL""",
    ),
    (
        "the customers of the segments add up to their members",
        """SELECT abs((SELECT coalesce(sum(customers), 0) FROM {segment})
                    - (SELECT count(*) FROM {customer_segment}))""",
    ),
    (
        "the migration adds up to the members",
        """SELECT abs((SELECT coalesce(sum(customers), 0) FROM {segment_migration}
                       WHERE to_key <> '(gone)') - (SELECT count(*) FROM {customer_segment}))""",
    ),
    (
        "every recommendation is for a customer with a profile",
        """SELECT count(*) FROM {recommendation} AS r LEFT JOIN {customer_profile} AS p
           USING (customer_id) WHERE p.customer_id IS NULL""",
    ),
    (
        "every score is for a customer with a profile",
        """SELECT count(*) FROM {customer_score} AS c LEFT JOIN {customer_profile} AS p
           USING (customer_id) WHERE p.customer_id IS NULL""",
    ),
    ("there is at least one profile", "SELECT (count(*) = 0)::int FROM {customer_profile}"),
]


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
) -> int:
    """Number a new generation (the same for the same run), and clear what killed ones left.

    A run whose generation another publish has cleared meanwhile gets a new number.
    """
    with db.transaction():
        warehouse.lock(db, "portrait.publish")
        for (left,) in db.execute(
            "SELECT generation FROM ops.generation WHERE status = 'building' AND run_id <> %s",
            [run_id],
        ).fetchall():
            for table in MARTS:
                drop_unattached(db, place(table, left))
            db.execute("UPDATE ops.generation SET status = 'retired' WHERE generation = %s", [left])
        row = (
            db.execute(
                "SELECT generation FROM ops.generation WHERE run_id = %s AND status <> 'retired'",
                [run_id],
            ).fetchone()
            or db.execute(
                """INSERT INTO ops.generation
                   (generation, as_of, status, started_at, data_to, stale_reason, run_id)
               SELECT coalesce(max(generation), 0) + 1, %s, 'building', now(), %s, %s, %s
               FROM ops.generation RETURNING generation""",
                [as_of, data_to, stale_reason, run_id],
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
    """Drop a table that no reader knows of yet, or no more."""
    db.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(warehouse.name(target)))


def check(db: warehouse.Connection, *, generation: int, as_of: date, run_id: str) -> None:
    """Hold the tables of one generation against each other, before BI sees them.

    Raises
    ------
    QualityError
        Naming what does not hold; every result is in ``ops.quality_result``.
    """
    places = {table: place(table, generation) for table in MARTS}
    broken = []
    with db.transaction():
        for what, query in CONSISTENT:
            row = db.execute(warehouse.text(query.format(**places))).fetchone()
            failing = int(row[0]) if row else 0
            if failing:
                broken.append(f"{what} ({failing} do not)")
            db.execute(
                """INSERT INTO ops.quality_result (run_id, table_name, source, "check", as_of,
                       recorded_at, passed, observed, failing_rows, severity)
                   VALUES (%s, 'mart', '', %s, %s, now(), %s, %s, %s, 'error')
                   ON CONFLICT (run_id, table_name, source, "check") DO UPDATE
                   SET passed = excluded.passed, observed = excluded.observed,
                       failing_rows = excluded.failing_rows, recorded_at = excluded.recorded_at""",
                [run_id, what, as_of, not failing, f"found {failing}", failing],
            )
    if broken:
        raise QualityError(
            f"generation {generation}: {'; '.join(broken)}; BI keeps the last good generation; "
            "clear the publish run's first task once the cause is mended"
        )


def switch(db: warehouse.Connection, *, generation: int, run_id: str) -> None:
    """Attach the tables of a generation and point BI at it, all in one transaction.

    Raises
    ------
    InputError
        If another publish began meanwhile: the pointer never moves back.
    """
    if status(db, generation) == "ready":
        return
    with db.transaction():
        warehouse.lock(db, "portrait.publish")
        if (state := status(db, generation)) != "building":
            raise InputError(
                f"generation {generation} is {state}: another publish began after it and cleared "
                "it; clear this run's first task to publish it again"
            )
        for table in MARTS:
            db.execute(
                sql.SQL("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES IN ({})").format(
                    warehouse.name(f"mart.{table}"),
                    warehouse.name(place(table, generation)),
                    sql.Literal(generation),
                )
            )
        db.execute("UPDATE ops.generation SET status = 'ready' WHERE generation = %s", [generation])
        history.keep(db, place("customer_profile", generation))
        point(db, generation, run_id)
    for table in MARTS:  # autovacuum never analyses the parent
        db.execute(sql.SQL("ANALYZE {}").format(warehouse.name(f"mart.{table}")))
    log.info("BI reads generation %d", generation)


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


def retire(db: warehouse.Connection, *, work: Path | None = None) -> list[int]:
    """Drop generations beyond the newest three, by best effort: never failing, never blocking.

    The generation in use stays, and so does the last one with an earlier as_of, which the next
    publish compares segments with. What a reader may still see is left for the next publish: a
    dropped table would be empty, not missing, to a transaction that began before.
    """
    if work is not None:
        shutil.rmtree(work, ignore_errors=True)
    db.execute(
        """UPDATE ops.generation AS g SET status = 'retired' WHERE status = 'ready'
           AND generation NOT IN (SELECT generation FROM ops.current_generation)
           AND generation NOT IN (SELECT generation FROM ops.generation WHERE status = 'ready'
                                  ORDER BY generation DESC LIMIT %s)
           AND generation IS DISTINCT FROM (
               SELECT b.generation FROM ops.generation AS b WHERE b.status = 'ready' AND b.as_of < (
                   SELECT c.as_of FROM ops.generation AS c JOIN ops.current_generation
                   USING (generation))
               ORDER BY b.as_of DESC, b.generation DESC LIMIT 1)""",
        [KEPT_GENERATIONS],
    )
    rows = db.execute(
        """SELECT generation, array_agg(c.relname::text) FROM ops.generation
           JOIN pg_class AS c ON c.relnamespace = 'mart'::regnamespace AND c.relkind = 'r'
           AND c.relname ~ ('__g' || generation || '$')
           WHERE status = 'retired' GROUP BY generation ORDER BY generation"""
    ).fetchall()
    if rows and not _unread(db):
        log.warning("a report reads since before this publish: old generations stay until the next")
        return []
    dropped: list[int] = []
    for generation, tables in rows:
        if not _drop(db, tables):
            log.warning("generation %d is still being read: left for the next publish", generation)
            break  # one table may have no more than one detach under way
        dropped.append(generation)
    return dropped


def _unread(db: warehouse.Connection) -> bool:
    """Wait, for a moment, until each transaction that has read a view of BI until now is over."""
    deadline, before = time.monotonic() + PATIENCE_S, _reading(db)
    while before & _reading(db):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)  # the end of a transaction gives no event to wait for
    return True


def _reading(db: warehouse.Connection) -> set[str]:
    """The transactions that have read a view of BI: each keeps its lock on the pointer's table."""
    rows = db.execute(
        """SELECT virtualtransaction FROM pg_locks JOIN pg_database AS d ON d.oid = database
           WHERE d.datname = current_database() AND pid <> pg_backend_pid()
           AND relation = 'ops.current_generation'::regclass"""
    ).fetchall()
    return {transaction for (transaction,) in rows}


def _drop(db: warehouse.Connection, tables: list[str]) -> bool:
    """Detach and drop tables; readers never wait, so a long reader makes us give up."""
    db.execute("SET lock_timeout = '1s'")
    try:
        for table in tables:
            _detach(db, f"mart.{table.rpartition('__')[0]}", f"mart.{table}")
    except psycopg.errors.LockNotAvailable:
        return False
    finally:
        db.execute("RESET lock_timeout")
    return True


def _detach(db: warehouse.Connection, parent: str, part: str) -> None:
    attached = db.execute(
        """SELECT inhdetachpending FROM pg_inherits
           WHERE inhrelid = to_regclass(%s) AND inhparent = to_regclass(%s)""",
        [part, parent],
    ).fetchone()
    if attached is not None:
        how = "FINALIZE" if attached[0] else "CONCURRENTLY"
        db.execute(
            sql.SQL("ALTER TABLE {} DETACH PARTITION {} {}").format(
                warehouse.name(parent), warehouse.name(part), warehouse.text(how)
            )
        )
    drop_unattached(db, part)
