"""Changing what others are using: a lock is had at once or not at all, so nobody queues behind us.

A request for a lock that has to wait makes all later ones wait behind it, readers too. So each
attempt gives up at once, and the next one is made a moment later.
"""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeVar

import psycopg
from psycopg import sql

from include.errors import ResourceError

log = logging.getLogger(__name__)

Connection = psycopg.Connection[Any]
Mode = Literal["ACCESS EXCLUSIVE", "SHARE", "SHARE UPDATE EXCLUSIVE"]
T = TypeVar("T")

PAUSE_S = 0.05  # the end of another's lock gives no event to wait for
HARMLESS: dict[Mode, list[str]] = {  # the locks of others that go along with ours
    "ACCESS EXCLUSIVE": [],
    "SHARE": ["AccessShareLock", "RowShareLock", "ShareLock"],
    "SHARE UPDATE EXCLUSIVE": ["AccessShareLock", "RowShareLock", "RowExclusiveLock"],
}
# Autovacuum gives way only to one who waits for it, after a second. Neither readers nor writers
# queue behind this lock, so it may be waited for.
FIRST = "SET LOCAL lock_timeout = '2s'; LOCK TABLE {} IN SHARE UPDATE EXCLUSIVE MODE"
# LOCK TABLE of a view locks the tables under it as well, NOWAIT or not: the shortest wait instead.
AT_ONCE = "SET LOCAL lock_timeout = '1ms'"


def change_table(
    db: Connection,
    table: str,
    mode: Mode,
    statements: Sequence[sql.Composable],
    *,
    deadline: float,
) -> None:
    """Run ``statements`` as one transaction that holds ``mode`` on a table and its partitions.

    They are one message to the server: a pause of ours does not prolong the lock.

    Parameters
    ----------
    db : in autocommit, outside a transaction.
    deadline : of ``time.monotonic()``; how long others may use the table against us.

    Raises
    ------
    ResourceError
        Naming who held a lock on the table at the last attempt.
    """
    locked = sql.Identifier(*table.split("."))
    lock = sql.SQL("LOCK TABLE {} IN {} MODE NOWAIT").format(locked, sql.SQL(mode))
    together = sql.SQL("; ").join([sql.SQL(FIRST).format(locked), lock, *statements])
    patiently(db, table, mode, lambda: db.execute(together, prepare=False), deadline=deadline)


def change_view(
    db: Connection, view: str, statements: Sequence[sql.Composable], *, deadline: float
) -> None:
    """Run ``statements``, which change nothing but a view, as ``change_table`` does."""
    together = sql.SQL("; ").join([sql.SQL(AT_ONCE), *statements])
    patiently(
        db, view, "ACCESS EXCLUSIVE", lambda: db.execute(together, prepare=False), deadline=deadline
    )


def patiently(
    db: Connection, relation: str, mode: Mode, act: Callable[[], T], *, deadline: float
) -> T:
    """Try ``act`` until no other session has a lock on ``relation`` that is in its way."""
    told = False
    while True:
        try:
            return act()
        except psycopg.errors.LockNotAvailable:
            left = deadline - time.monotonic()
            if not told or left <= 0:
                held = f"{relation} is in use by {holders(db, relation, mode)}"
            if left <= 0:
                raise ResourceError(
                    f"deploy: {held}: end that session (SELECT pg_terminate_backend(<pid>)) or "
                    "run again later; what was changed so far stays, the next run goes on"
                ) from None
            if not told:
                log.warning("deploy: %s; trying again for up to %.0f s", held, left)
            told = True
        time.sleep(PAUSE_S)


def holders(db: Connection, relation: str, mode: Mode) -> str:
    """Who has a lock on a relation or a part of it against ``mode``: pid, role, program, since."""
    row = db.execute(
        """SELECT string_agg(DISTINCT coalesce(
               format('pid %%s (%%s, since %%s)', l.pid,
                      concat_ws(', ', a.usename, nullif(a.application_name, ''),
                                nullif(a.backend_type, 'client backend')),
                      coalesce(to_char(a.xact_start, 'YYYY-MM-DD HH24:MI:SS OF'), 'unknown')),
               'a prepared transaction'), ' and ')
           FROM pg_locks AS l LEFT JOIN pg_stat_activity AS a USING (pid)
           WHERE l.granted AND l.pid IS DISTINCT FROM pg_backend_pid()
             AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
             AND (l.relation IN (SELECT relid FROM pg_partition_tree(to_regclass(%(relation)s))
                                 UNION SELECT to_regclass(%(relation)s))
                  AND l.mode <> ALL(%(harmless)s)
                  OR l.mode = 'AccessExclusiveLock'  -- of a table that a view reads
                  AND l.relation IN (SELECT oid FROM pg_class WHERE relnamespace::regnamespace::text
                                     IN ('landing', 'core', 'mart', 'ops', 'bi')))""",
        {"relation": relation, "harmless": HARMLESS[mode]},
    ).fetchone()
    return str(row[0]) if row and row[0] else "a session that has ended since"
