"""The run ledger, ``ops.pipeline_run``: what each run is at, read, wrote, and why it failed."""

import errno
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime

import psycopg
from psycopg.rows import dict_row

from include import paths, warehouse
from include.connections import connect
from include.errors import InputError, PortraitError, ResourceError

log = logging.getLogger(__name__)


def begin(db: warehouse.Connection, run_id: str) -> None:
    """Open a run; an earlier run of the same DAG that never ended was interrupted."""
    dag = run_id.partition("/")[0]
    with db.transaction():
        db.execute(
            """UPDATE ops.pipeline_run SET status = 'interrupted', recorded_at = now(),
                      message = 'killed before its end; the next run repeated its work'
               WHERE dag = %s AND status = 'running' AND run_id <> %s""",
            [dag, run_id],
        )
        db.execute(
            """INSERT INTO ops.pipeline_run (run_id, recorded_at, dag, status, started_at)
               VALUES (%s, now(), %s, 'running', now())
               ON CONFLICT (run_id) DO UPDATE
               SET status = 'running', recorded_at = now(), message = NULL, ended_at = NULL""",
            [run_id, dag],
        )


def dated(
    db: warehouse.Connection, run_id: str, as_of: date, stale_reason: str | None = None
) -> None:
    """Write down the day that a run works for."""
    with db.transaction():
        db.execute(
            """UPDATE ops.pipeline_run SET as_of = %s, stale_reason = %s, recorded_at = now()
               WHERE run_id = %s""",
            [as_of, stale_reason, run_id],
        )


def finish(db: warehouse.Connection, run_id: str, **counts: float | datetime | None) -> None:
    """Close a run as a success, with its counts, which are columns of ``ops.pipeline_run``."""
    sets = "".join(f", {warehouse.quoted(name)} = %({name})s" for name in counts)
    with db.transaction():
        db.execute(
            warehouse.text(
                f"""UPDATE ops.pipeline_run
                    SET status = 'success', ended_at = now(), recorded_at = now(), message = NULL
                        {sets}
                    WHERE run_id = %(run_id)s"""
            ),
            {**counts, "run_id": run_id},
        )
    said = [
        f"{name} {value:.15g}" for name, value in counts.items() if isinstance(value, int | float)
    ]
    log.info("%s ended well%s", run_id, f": {', '.join(said)}" if said else "")


def says(db: warehouse.Connection, run_id: str, message: str) -> None:
    """Write down what a person should know of a run, whatever became of it."""
    with db.transaction():
        db.execute(
            "UPDATE ops.pipeline_run SET message = %s, recorded_at = now() WHERE run_id = %s",
            [message, run_id],
        )


def loaded(db: warehouse.Connection, run_id: str) -> dict[str, float | None]:
    """The sums of what a run loaded, mended or landed again, named as ``finish`` takes them."""
    with db.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(
            """SELECT coalesce(sum(rows_in), 0)::bigint AS rows_in,
                      coalesce(sum(rows_inserted + rows_updated + rows_deleted), 0)::bigint
                          AS rows_out,
                      coalesce(sum(rows_quarantined), 0)::bigint AS rows_quarantined,
                      coalesce(sum(bytes_in), 0)::bigint AS bytes_in,
                      round((sum(rows_in) / nullif(sum(seconds), 0))::numeric, 1)::float8
                          AS rows_per_second,
                      max(lag_seconds) FILTER (WHERE kind = 'load') AS lag_seconds,
                      (sum(rows_inserted + rows_updated + rows_deleted)
                           FILTER (WHERE kind = 'reconcile'))::bigint AS rows_reconciled
               FROM ops.load WHERE run_id = %s""",
            [run_id],
        ).fetchone()
    return row or {}


def changed(db: warehouse.Connection, run_id: str) -> list[str]:
    """The sources of which a run landed, changed or deleted a row."""
    rows = db.execute(
        """SELECT DISTINCT source FROM ops.load
           WHERE run_id = %s AND rows_inserted + rows_updated + rows_deleted > 0 ORDER BY 1""",
        [run_id],
    ).fetchall()
    return [source for (source,) in rows]


@contextmanager
def step(run_id: str) -> Iterator[warehouse.Connection]:
    """A warehouse connection for one task; what ends the task with an error is written down.

    The message is ours where the error is; of an unknown error only its kind, because its text
    could hold a row.

    Raises
    ------
    ResourceError
        If this machine's disk, or the warehouse's, is full, or its server went away.
    """
    done = False
    failure = "stopped from outside"
    try:
        with connect("warehouse") as db:
            db.autocommit = True  # so that each `transaction()` is one, and commits at its end
            yield db
        done = True
    except PortraitError as error:
        failure = str(error)
        raise
    except (OSError, psycopg.errors.DiskFull) as error:
        if isinstance(error, OSError) and error.errno != errno.ENOSPC:
            raise
        disk = paths.home() if isinstance(error, OSError) else "the warehouse's server"
        failure = f"{disk}: no space left on the disk; make room, then run again; nothing was lost"
        raise ResourceError(failure) from error
    except psycopg.OperationalError as error:
        if not db.broken:
            raise
        failure = (
            "the warehouse's server ended the connection; look at its log, then run again; "
            "nothing was lost"
        )
        raise ResourceError(failure) from error
    finally:
        if not done:
            _failed(run_id, failure)


def _failed(run_id: str, failure: str) -> None:
    import sys

    kind = sys.exc_info()[0]
    if failure == "stopped from outside" and kind is not None:
        failure = f"{kind.__name__}; the task's log has the rest"
    try:
        with connect("warehouse") as db:
            db.execute(
                """UPDATE ops.pipeline_run
                   SET status = 'failed', ended_at = now(), recorded_at = now(), message = %s
                   WHERE run_id = %s""",
                [failure, run_id],
            )
    except (ResourceError, psycopg.OperationalError) as error:  # what failed first is what counts
        log.info("%s: its failure is not written down: %s", run_id, " ".join(str(error).split()))


def built(
    db: warehouse.Connection, run_id: str, *, as_of: date, folder: str, customers: int
) -> None:
    """Write down that a snapshot's profile of a day is there."""
    with db.transaction():
        db.execute(
            """INSERT INTO ops.profile_build AS b (as_of, folder, customers, built_at, run_id)
               VALUES (%s, %s, %s, now(), %s)
               ON CONFLICT (as_of, folder) DO UPDATE
               SET customers = excluded.customers, built_at = excluded.built_at,
                   run_id = excluded.run_id""",
            [as_of, folder, customers, run_id],
        )


def newest_profile(db: warehouse.Connection, day: str | None = None) -> tuple[date, str]:
    """The day and the snapshot folder of the newest profile, or of the newest for ``day``.

    Raises
    ------
    InputError
        If no profile was built (for that day).
    """
    row = db.execute(
        """SELECT as_of, folder FROM ops.profile_build
           WHERE %(day)s::date IS NULL OR as_of = %(day)s::date
           ORDER BY built_at DESC LIMIT 1""",
        {"day": day},
    ).fetchone()
    if row is None:
        what = f"as_of {day}: no profile of that day" if day else "no profile was built yet"
        raise InputError(f"{what}; trigger the DAG profile{f' with {day}' if day else ''} first")
    return row[0], row[1]
