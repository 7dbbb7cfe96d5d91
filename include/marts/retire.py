"""Old generations go when nobody reads them any more: by best effort, never in a reader's way."""

import logging
import shutil
import time
from pathlib import Path

import psycopg
from psycopg import sql

from include import warehouse
from include.marts import IN_DATABASE, MARTS
from include.marts.generations import drop_unattached

log = logging.getLogger(__name__)

KEPT_GENERATIONS = 3
PATIENCE_S = 1.0


def retire(db: warehouse.Connection, *, work: Path | None = None) -> list[int]:
    """Drop generations beyond the newest three, by best effort: never failing, never blocking.

    The generation in use stays, and so does the last one with an earlier as_of, which the next
    publish compares segments with. What a reader may still see is left for the next publish: a
    dropped table would be empty, not missing, to a transaction that began before.
    """
    if work is not None:
        shutil.rmtree(work, ignore_errors=True)
    _analyse(db)
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


def _analyse(db: warehouse.Connection) -> None:
    """Let the planner know the marts over all generations; autovacuum looks at the parts alone."""
    only = "ONLY " if db.info.server_version >= 180_000 else ""  # before: the parts once more
    for table in [*MARTS, *IN_DATABASE]:
        db.execute(warehouse.text(f"ANALYZE {only}mart.{table}"))


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
