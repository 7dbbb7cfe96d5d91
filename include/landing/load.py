"""One load of one table: a window of changes into staging, checked, then applied, in ONE
transaction that also moves the watermark and writes the ledger: a kill leaves all or nothing.

The lock is taken before the source is looked at, so of two loads the later sees the later state:
what the source says now is what is landed, even where its stamps went back.
"""

import dataclasses
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta

import psycopg

from include import clock, contracts, copying, warehouse
from include.connections import address
from include.errors import ConfigError, InputError, QualityError
from include.landing import apply, changes, first
from include.landing.job import STAGING, Visit, create_staging
from include.landing.readers import Clock, Position, Staged, Window, open_reader
from include.landing.state import Loaded, State, recall, record, remember
from include.sources import SoftDelete, Source, check_read_only

log = logging.getLogger(__name__)

SYSTEM_COLUMNS = {"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"}


def load(source: Source, entity_name: str, db: warehouse.Connection, *, run_id: str) -> Loaded:
    """Copy what changed in one entity of ``source`` into ``landing.<entity>``.

    With ``batch_rows`` the window is read in parts, each committed with its position, and a
    load that was stopped goes on at the last one.

    Parameters
    ----------
    source, entity_name : a mapping, and one of its entities.
    db : the warehouse, in no transaction.
    run_id : of the ledger.

    Raises
    ------
    ConfigError
        If the mapping's query does not run, or lacks a column it must give.
    QualityError
        If so many rows have vanished from the source, or break a rule, that it looks like an
        accident; nothing is changed then.
    """
    total, finished = Loaded(), False
    while not finished:
        with job(source, entity_name, db, run_id=run_id) as (work, state):
            loaded, finished = _part(work, state)
        total += loaded
    _tell(source.name, entity_name, total)
    return total


def backfill(
    source: Source,
    entity_name: str,
    db: warehouse.Connection,
    *,
    run_id: str,
    since: date,
    until: date,
) -> Loaded:
    """Read again what changed from the day ``since`` to before the day ``until``.

    The days are those of the source's time zone. The watermark stays; of an entity without a
    cursor all rows are read.

    Raises
    ------
    InputError
        If the days are in the wrong order, or the table has not been loaded yet.
    """
    if since >= until:
        raise InputError(f"since {since} is not before until {until}: give the earlier day first")
    lower, upper = (clock.midnight(day, source.time_zone) for day in (since, until))
    with job(source, entity_name, db, run_id=run_id) as (work, state):
        if state.read_to is None:
            raise InputError(
                f"{source.name}.{entity_name} has not been loaded yet: run ingest_{source.name}"
            )
        window = Window(lower, upper) if work.entity.cursor else Window()
        loaded, _ = _applied(work, staged_columns(work), window)
        loaded = dataclasses.replace(loaded, seconds=time.monotonic() - work.started)
        record(db, source.name, entity_name, loaded, run_id=run_id, kind="backfill")
    _tell(source.name, entity_name, loaded)
    return loaded


@contextmanager
def job(
    source: Source, entity_name: str, db: warehouse.Connection, *, run_id: str
) -> Iterator[tuple[Visit, State]]:
    """One transaction on one table, locked, its source open, its mapping adapted to changes."""
    check_read_only(source, address(source.connection).dialect)
    table, started = contracts.load(f"landing.{entity_name}"), time.monotonic()
    with db.transaction():
        warehouse.lock(db, f"landing.{entity_name}.{source.name}")
        state = recall(db, source.name, entity_name)
        db.execute(
            "DROP TABLE IF EXISTS pg_temp.portrait_staging, pg_temp.portrait_checked, "
            "pg_temp.portrait_keys"
        )
        db.execute("SET LOCAL random_page_cost = 1.1; SET LOCAL jit = off")  # for small windows
        with open_reader(source) as reader:
            entity = source.entities[entity_name]
            entity, shape, gone = changes.adapt(source, table, entity, reader, state)
            work = Visit(source, entity, table, db, run_id, started, reader, shape, gone)
            try:
                yield work, state
            except psycopg.errors.ProgramLimitExceeded as error:
                said = " ".join(str(error).split())
                raise QualityError(
                    f"{source.name}.yaml: {entity_name}: {said}: a value or row is beyond "
                    "PostgreSQL's gigabyte; shorten it in the select; nothing was changed"
                ) from error


def _part(work: Visit, state: State) -> tuple[Loaded, bool]:
    """One batch of a window, or all of it; True when the window is finished."""
    source, entity, db = work.source, work.entity, work.db
    moment = work.reader.clock()
    _alarm(work, moment)
    lower = None
    if entity.cursor and state.read_to:
        lower = state.read_to - timedelta(minutes=source.lookback_minutes)
    window = Window(lower, after=state.after, most_rows=source.batch_rows)
    staged = staged_columns(work)
    if state.read_to is None and source.batch_rows is None and first.possible(work):
        loaded, finished, after = first.fill(work, staged), True, None
        state = dataclasses.replace(state, swept_at=moment.now)  # nothing can be gone yet
    else:
        loaded, finished = _applied(work, staged, window)
        after = None if finished else _last(work, staged)
    reading_to, swept_at = state.reading_to or moment.moment, state.swept_at
    if finished and _sweep_due(work, state, moment.now):
        loaded += apply.sweep(work, whole=not entity.cursor and source.batch_rows is None)
        swept_at = moment.now
    if finished and loaded.read == 0 and lower is None:
        log.warning(
            "%s.%s: the source has no rows; look at its select if that is wrong, nothing was lost",
            *(source.name, work.table.name),
        )
    read_to = max(reading_to, state.read_to or reading_to) if finished else state.read_to
    lag_seconds = (moment.now - (read_to or reading_to)).total_seconds()
    loaded = dataclasses.replace(
        loaded, seconds=time.monotonic() - work.started, lag_seconds=max(lag_seconds, 0.0)
    )
    select = source.entities[work.table.name].select
    shape = work.shape | {n: kind for n, kind in (state.shape or {}).items() if n in work.gone}
    moved = State(read_to, None if finished else reading_to, after, shape, swept_at, select)
    remember(db, source.name, work.table.name, moved, run_id=work.run_id)
    record(db, source.name, work.table.name, loaded, run_id=work.run_id, kind="load")
    apply.forget_quarantined(work)
    return loaded, finished


def _applied(work: Visit, staged: list[Staged], window: Window) -> tuple[Loaded, bool]:
    """Stage the window, check it, apply it; True when it has been read to its end."""
    create_staging(work, staged)
    read, finished = _read(work, staged, window)
    if finished and work.entity.cursor and window.most_rows is not None:
        undated = Window(undated=True)  # they have no place in the order: with the last batch
        read += work.reader.copy_into(work.db, STAGING, work.entity, staged, undated)
    return apply.checked_rows(work, staged, read), finished


def _read(work: Visit, staged: list[Staged], window: Window) -> tuple[copying.Copied, bool]:
    """Copy the window into staging; of a full batch the last key is left for the next one.

    The source may have rows of that key beyond the batch, which the next would pass over.
    """
    while True:
        read = work.reader.copy_into(work.db, STAGING, work.entity, staged, window)
        rows = read.rows + len(read.unreadable)
        if window.most_rows is None or rows < window.most_rows:
            return read, True
        last = _last(work, staged)
        cursor = warehouse.quoted(work.entity.cursor) if work.entity.cursor else "NULL"
        left = work.db.execute(
            warehouse.text(
                f"""DELETE FROM {STAGING} WHERE coalesce(source_id, '') = %s
                    AND {cursor}::text IS NOT DISTINCT FROM %s"""
            ),
            [last.key, last.cursor],
        ).rowcount
        if left < read.rows:
            return dataclasses.replace(read, rows=read.rows - left), False
        window = dataclasses.replace(window, most_rows=2 * window.most_rows)


def staged_columns(work: Visit) -> list[Staged]:
    """How each column that the mapping gives, and a load needs, gets into staging."""
    entity, table, source = work.entity, work.table, work.source
    wanted = {"source_id": "text"}
    wanted |= {c.name: c.type for c in table.own_columns if c.name in work.shape}
    if isinstance(entity.deletes, SoftDelete):
        wanted[entity.deletes.column] = "text"
    if entity.cursor:
        wanted[entity.cursor] = "timestamptz"
    wanted |= dict.fromkeys(entity.pass_through, "text")
    required = {column.name for column in table.own_columns if column.required}
    for name in sorted((required | set(wanted)) - set(work.shape)):
        raise ConfigError(
            f"{source.name}.yaml: entities.{table.name}.select gives no column {name!r} "
            f"(it gives {', '.join(work.shape)}); alias one so"
        )
    for name in wanted:
        if name in SYSTEM_COLUMNS:
            raise ConfigError(
                f"{source.name}.yaml: entities.{table.name}: every table of PostgreSQL has a "
                f"column {name!r} of its own; alias it otherwise"
            )
        if len(name.encode()) > 63:
            raise ConfigError(
                f"{source.name}.yaml: entities.{table.name}: the name {name!r} is longer than 63 "
                "bytes, which PostgreSQL would cut off; alias it shorter"
            )
    return work.reader.columns(entity, wanted)


def _last(work: Visit, staged: list[Staged]) -> Position:
    """The last staged row in the order (cursor, key), where the next batch goes on."""
    cursor = warehouse.quoted(work.entity.cursor) if work.entity.cursor else "NULL::text"
    placed = f"{cursor} IS NOT NULL" if work.entity.cursor else "true"
    row = work.db.execute(
        warehouse.text(
            f"""SELECT {cursor}::text, coalesce(source_id, '') FROM {STAGING} WHERE {placed}
                ORDER BY {cursor} {_bytewise(work, staged)} DESC,
                         coalesce(source_id, '') COLLATE "C" DESC LIMIT 1"""
        )
    ).fetchone()
    if row is None:
        raise QualityError(
            f"{work.source.name}.{work.table.name}: no row of a whole batch can be read; mend the "
            f"source's encoding, or raise batch_rows in {work.source.name}.yaml"
        )
    return Position(*row)


def _bytewise(work: Visit, staged: list[Staged]) -> str:
    """SQL: texts are ordered byte by byte, as the sources do it."""
    types = {column.name: column.type for column in staged}
    return 'COLLATE "C"' if types.get(work.entity.cursor or "", "text") == "text" else ""


def _sweep_due(work: Visit, state: State, now: datetime) -> bool:
    if work.entity.deletes != "sweep" or state.swept_at == now:
        return False
    every = timedelta(hours=work.source.sweep_every_hours)
    return state.swept_at is None or now - state.swept_at >= every


def _alarm(work: Visit, moment: Clock) -> None:
    """Say who holds the watermark back, once that takes too long; nothing is skipped."""
    held_minutes = (moment.now - moment.moment).total_seconds() / 60
    if moment.held_by is None or held_minutes < work.source.stall_alarm_minutes:
        return
    observed = f"held back for {held_minutes:.0f} minutes by the {moment.held_by}"
    log.warning(
        "%s: the watermark is %s; end that session; rows are read again until then",
        *(work.source.name, observed),
    )
    work.db.execute(
        """INSERT INTO ops.quality_result (run_id, table_name, source, "check", recorded_at,
               passed, observed, severity)
           VALUES (%s, %s, %s, 'the watermark moves', now(), false, %s, 'warning')
           ON CONFLICT (run_id, table_name, source, "check") DO UPDATE
           SET recorded_at = excluded.recorded_at, observed = excluded.observed""",
        [work.run_id, work.table.full_name, work.source.name, observed],
    )


def _tell(source: str, entity: str, loaded: Loaded) -> None:
    log.info(
        "%s.%s: %d read, %d new, %d changed, %d deleted, %d set aside, %.1f MB in %.1f s",
        *(source, entity, loaded.read, loaded.inserted, loaded.updated, loaded.deleted),
        *(loaded.quarantined, loaded.bytes_in / 1e6, loaded.seconds),
    )
