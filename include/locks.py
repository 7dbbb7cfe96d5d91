"""Changing what others are using, so that nobody who reads queues behind us.

A request for a lock that has to wait makes all later ones wait behind it, readers too. So an
attempt gives up at once, and the next one is made a moment later. Only where readers come and go
without a gap does one wait for some milliseconds: those that are there end, the next ones wait.
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
COMING_AND_GOING_S = 0.5  # who keeps a lock for longer than that is waited for without queueing
BRIEF_MS = 10
HARMLESS: dict[Mode, list[str]] = {  # the locks of others that go along with ours
    "ACCESS EXCLUSIVE": [],
    "SHARE": ["AccessShareLock", "RowShareLock", "ShareLock"],
    "SHARE UPDATE EXCLUSIVE": ["AccessShareLock", "RowShareLock", "RowExclusiveLock"],
}
# Autovacuum gives way only to one who waits for it, after a second. Neither readers nor writers
# queue behind this lock, so it may be waited for.
FIRST = "SET LOCAL lock_timeout = '2s'; LOCK TABLE {} IN SHARE UPDATE EXCLUSIVE MODE"


def within(wait_ms: int) -> sql.SQL:
    """No lock of this transaction is waited for longer; 1 ms is the least that there is."""
    return sql.SQL(f"SET LOCAL lock_timeout = '{max(wait_ms, 1)}ms'")


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

    def attempt(wait_ms: int) -> None:
        lock = f"LOCK TABLE {{}} IN {mode} MODE{'' if wait_ms else ' NOWAIT'}"
        steps = [sql.SQL(FIRST).format(locked), within(wait_ms), sql.SQL(lock).format(locked)]
        db.execute(sql.SQL("; ").join([*steps, *statements]), prepare=False)

    patiently(db, table, mode, attempt, deadline=deadline)


def change_view(
    db: Connection, view: str, statements: Sequence[sql.Composable], *, deadline: float
) -> None:
    """Run ``statements``, which change nothing but a view, as ``change_table`` does."""

    def attempt(wait_ms: int) -> None:
        # LOCK TABLE of a view would lock the tables under it as well, NOWAIT or not
        db.execute(sql.SQL("; ").join([within(wait_ms), *statements]), prepare=False)

    patiently(db, view, "ACCESS EXCLUSIVE", attempt, deadline=deadline)


def patiently(
    db: Connection, relation: str, mode: Mode, attempt: Callable[[int], T], *, deadline: float
) -> T:
    """Try until no other session has a lock on ``relation`` that is in the way.

    ``attempt`` gets the milliseconds that it may wait for a lock.
    """
    began, wait_ms, seen = time.monotonic(), 0, dict[str, tuple[float, str]]()
    while True:
        try:
            return attempt(wait_ms)
        except psycopg.errors.LockNotAvailable:
            now, held = time.monotonic(), holders(db, relation, mode)
        first = not seen
        seen = {transaction: seen.get(transaction, (now, who)) for transaction, who in held.items()}
        by = _listed(sorted({who for _, who in seen.values()}))
        if now > deadline:
            raise ResourceError(
                f"deploy: {relation} is in use by {by}: end that session (SELECT "
                "pg_terminate_backend(<pid>)) or run again later; what was changed so far stays, "
                "the next run goes on"
            )
        if first:
            log.warning("deploy: %s is in use by %s; trying again and again", relation, by)
        short = all(now - since < COMING_AND_GOING_S for since, _ in seen.values())
        wait_ms = BRIEF_MS if short and now - began > COMING_AND_GOING_S else 0
        time.sleep(PAUSE_S)


def _listed(who: list[str]) -> str:
    if not who:
        return "a session that has ended since"
    more = [f"{len(who) - 3} more"] if who[3:] else []
    return " and ".join([*who[:3], *more])


def holders(db: Connection, relation: str, mode: Mode) -> dict[str, str]:
    """The transactions with a lock on a relation or a part of it against ``mode``, and whose."""
    rows = db.execute(
        """SELECT l.virtualtransaction, coalesce(
               format('pid %%s (%%s, since %%s)', l.pid,
                      concat_ws(', ', a.usename, nullif(a.application_name, ''),
                                nullif(a.backend_type, 'client backend')),
                      concat(CASE WHEN a.xact_start IS NULL THEN 'before ' END,  -- not ours to see
                             to_char(coalesce(a.xact_start, now()), 'YYYY-MM-DD HH24:MI:SS OF'))),
               'a prepared transaction (pg_prepared_xacts)')
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
    ).fetchall()
    return dict(rows)
