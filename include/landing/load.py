"""One load of one table: a window of changes into staging, checked, then applied, in ONE
transaction that also moves the watermark and writes the ledger: a kill leaves all or nothing.
"""

import logging
import time
from dataclasses import dataclass
from datetime import datetime

from psycopg import sql

from include import contracts, domains, warehouse
from include.contracts import Column, Table
from include.errors import ConfigError, InputError, QualityError
from include.landing import rules
from include.landing.readers import Reader, Staged, Window, open_reader
from include.sources import Entity, SoftDelete, Source, check_read_only

log = logging.getLogger(__name__)

STAGING, CHECKED = "pg_temp.portrait_staging", "pg_temp.portrait_checked"
GUARD_FROM_ROWS = 20
"""Fewer known rows than this may all vanish without a question."""


@dataclass(frozen=True)
class Loaded:
    """What one load did, in rows."""

    read: int
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    quarantined: int = 0


def load(source: Source, entity_name: str, db: warehouse.Connection, *, run_id: str) -> Loaded:
    """Copy what changed in one entity of ``source`` into ``landing.<entity>``.

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
        If so many rows have vanished from the source that it looks like an accident.
    """
    entity, table = source.entities[entity_name], contracts.load(f"landing.{entity_name}")
    started = time.monotonic()
    with open_reader(source) as reader, db.transaction():
        check_read_only(source, reader.dialect)
        warehouse.lock(db, f"landing.{entity_name}.{source.name}")
        window = _window(db, source.name, entity_name, entity, reader)
        staged = _stage(db, reader, source, entity, table)
        read = reader.copy_into(db, STAGING, entity, staged, window)
        db.execute(warehouse.text(f"ANALYZE {STAGING}"))
        rules.check(db, source, entity, table, staged)
        loaded = _apply(db, source, entity, table, run_id, reader, read)
        _settle(db, source.name, entity_name, window, run_id, loaded, time.monotonic() - started)
    log.info(
        "%s.%s: %d read, %d new, %d changed, %d deleted, %d set aside in %.1f s",
        *(source.name, entity_name, loaded.read, loaded.inserted, loaded.updated),
        *(loaded.deleted, loaded.quarantined, time.monotonic() - started),
    )
    if read == 0 and window.lower is None:
        log.warning(
            "%s.%s: the source has no rows; look at its select if that is wrong, nothing was lost",
            source.name,
            entity_name,
        )
    return loaded


def newest_order(db: warehouse.Connection, *, before: datetime | None = None) -> datetime | None:
    """The newest landed order's moment (before ``before``), or None when there is none.

    Quotes, cancelled and other orders that were not meant (by the domain) do not count.
    """
    row = db.execute(
        """SELECT max(ordered_at) FROM landing.customer_order
           WHERE deleted_at IS NULL AND (status = ANY(%(not_meant)s)) IS NOT TRUE
           AND (%(before)s::timestamptz IS NULL OR ordered_at < %(before)s)""",
        {"before": before, "not_meant": list(domains.load().test_order_statuses)},
    ).fetchone()
    return None if row is None else row[0]


def require_order_before(db: warehouse.Connection, moment: datetime) -> None:
    """Refuse a day before the first landed order, and a warehouse without a single customer.

    Without any order there is no such day: profiles are empty then, and still of use.

    Raises
    ------
    InputError
        Naming the first order's day, or what is empty.
    """
    row = db.execute(
        """SELECT min(ordered_at) FROM landing.customer_order
           WHERE deleted_at IS NULL AND (status = ANY(%s)) IS NOT TRUE""",
        [list(domains.load().test_order_statuses)],
    ).fetchone()
    first = None if row is None else row[0]
    if first is None and not db.execute("SELECT FROM landing.customer LIMIT 1").fetchall():
        raise InputError(
            "landing.customer is empty, so there is nobody to portray: look at the selects of the "
            "sources that are on, then run again; what BI reads stays"
        )
    if first is None:
        log.warning("no order has landed: profiles will hold no behaviour; map customer_order")
    elif first >= moment:
        raise InputError(
            f"as_of {moment:%Y-%m-%d} is before any order, the first is of {first:%Y-%m-%d}: "
            "give a later day or none"
        )


def _window(
    db: warehouse.Connection, source: str, name: str, entity: Entity, reader: Reader
) -> Window:
    row = db.execute(
        "SELECT read_to FROM ops.watermark WHERE source = %s AND entity = %s FOR UPDATE",
        [source, name],
    ).fetchone()
    lower = row[0] if row and entity.cursor else None
    upper = reader.clock()
    return Window(lower, max(upper, lower) if lower else upper)


def _stage(
    db: warehouse.Connection, reader: Reader, source: Source, entity: Entity, table: Table
) -> list[Staged]:
    """Create the staging table for what the mapping gives, and say how each column gets there."""
    given = reader.aliases(entity.select)
    wanted = {column.name: column.type for column in table.own_columns if column.name in given}
    wanted["source_id"] = "text"
    if isinstance(entity.deletes, SoftDelete):
        wanted[entity.deletes.column] = "text"
    if entity.cursor:
        wanted[entity.cursor] = "timestamptz"
    wanted |= dict.fromkeys(entity.pass_through, "text")
    required = {column.name for column in table.own_columns if column.required}
    for name in sorted((required | set(wanted)) - set(given)):
        raise ConfigError(
            f"{source.name}.yaml: entities.{table.name}.select gives no column {name!r} "
            f"(it gives {', '.join(given)}); alias one so"
        )
    staged = reader.columns(entity, wanted)
    columns = sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(column.name), warehouse.text(column.type))
        for column in staged
    )
    db.execute("DROP TABLE IF EXISTS pg_temp.portrait_staging, pg_temp.portrait_checked")
    db.execute(sql.SQL("CREATE TEMP TABLE portrait_staging ({}) ON COMMIT DROP").format(columns))
    return staged


def partition(db: warehouse.Connection, table: Table, source: str) -> str:
    """The source's own partition of a landing table, made when it is not there yet."""
    part = f"landing.{table.name}__{source}"
    if db.execute("SELECT to_regclass(%s)", [part]).fetchone() == (None,):
        parent, own = warehouse.name(table.full_name), warehouse.name(part)
        db.execute(sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING ALL)").format(own, parent))
        db.execute(
            sql.SQL("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES IN ({})").format(
                parent, own, sql.Literal(source)
            )
        )
    return part


def _differs(columns: list[Column], entity: Entity, new: str) -> str:
    """True where ``new`` is to replace ``t``; an older version never replaces a newer one."""
    mine = ", ".join(f't."{column.name}"' for column in columns)
    theirs = ", ".join(f'{new}."{column.name}"' for column in columns)
    later = f" AND ({new}.changed_at >= t.changed_at) IS NOT FALSE" if entity.cursor else ""
    return f"({mine}) IS DISTINCT FROM ({theirs}){later}"


def _apply(
    db: warehouse.Connection,
    source: Source,
    entity: Entity,
    table: Table,
    run_id: str,
    reader: Reader,
    read: int,
) -> Loaded:
    part = partition(db, table, source.name)
    quarantined = rules.set_aside(db, source.name, table, run_id)
    deleted = 0
    if entity.deletes == "sweep":
        deleted = _sweep(db, source, entity, table, part, reader, run_id)
    stamped = [c for c in table.columns if c.name in {"changed_at", "deleted_at", "pass_through"}]
    compared = [*table.own_columns, *stamped]
    changed = f"s.fault IS NULL AND {_differs(compared, entity, 's')}"
    updated = _keep_old(db, table, part, f"{CHECKED} AS s", changed)
    listed = ", ".join(f'"{column.name}"' for column in compared)
    values = ", ".join(f's."{column.name}"' for column in compared)
    sets = ", ".join(f'"{column.name}" = excluded."{column.name}"' for column in compared)
    written = db.execute(
        warehouse.text(
            f"""INSERT INTO {part} AS t (source, source_id, landed_at, run_id, {listed})
                SELECT %(source)s, s.source_id, now(), %(run_id)s, {values}
                FROM {CHECKED} AS s WHERE s.fault IS NULL
                ON CONFLICT (source, source_id) DO UPDATE
                SET landed_at = excluded.landed_at, run_id = excluded.run_id, {sets}
                WHERE {_differs(compared, entity, "excluded")}"""
        ),
        {"source": source.name, "run_id": run_id},
    ).rowcount
    return Loaded(read, written - updated, updated, deleted, quarantined)


def _keep_old(db: warehouse.Connection, table: Table, part: str, other: str, changed: str) -> int:
    """Move the versions about to be replaced into the history; return their number."""
    names = [column.name for column in table.columns]
    listed, mine = ", ".join(f'"{n}"' for n in names), ", ".join(f't."{n}"' for n in names)
    return db.execute(
        warehouse.text(
            f"""INSERT INTO {contracts.history(table).full_name} ({listed}, valid_from, valid_to)
                SELECT {mine}, t.landed_at, now()
                FROM {part} AS t JOIN {other} USING (source_id) WHERE {changed}"""
        )
    ).rowcount


def _sweep(
    db: warehouse.Connection,
    source: Source,
    entity: Entity,
    table: Table,
    part: str,
    reader: Reader,
    run_id: str,
) -> int:
    """Mark what the source no longer has as deleted, unless so much is gone that it looks wrong."""
    keys = "pg_temp.portrait_checked"
    if entity.cursor:  # staging holds only what changed: fetch the keys of everything
        keys = "pg_temp.portrait_keys"
        db.execute("CREATE TEMP TABLE portrait_keys (source_id text) ON COMMIT DROP")
        staged = reader.columns(entity, {"source_id": "text"})
        whole = entity.model_copy(update={"cursor": None})
        reader.copy_into(db, keys, whole, staged, Window(None, reader.clock()))
        db.execute(warehouse.text(f"ANALYZE {keys}"))
    gone = f"""t.deleted_at IS NULL
        AND NOT EXISTS (SELECT FROM {keys} AS k WHERE k.source_id = t.source_id)"""
    row = db.execute(  # a join: as a condition it would look through all keys for every row
        warehouse.text(
            f"""SELECT count(*) FILTER (WHERE k.source_id IS NULL), count(*) FROM {part} AS t
                LEFT JOIN (SELECT DISTINCT source_id FROM {keys}) AS k USING (source_id)
                WHERE t.deleted_at IS NULL"""
        )
    ).fetchone()
    vanished, known = row or (0, 0)
    if known >= GUARD_FROM_ROWS and vanished * 100 > known * source.most_vanishing_percent:
        raise QualityError(
            f"{source.name}.{table.name}: {vanished} of {known} rows are gone from the source, "
            f"more than {source.most_vanishing_percent:g} %; nothing was changed; "
            f"if that is right, raise most_vanishing_percent in {source.name}.yaml for one run"
        )
    if vanished:
        _keep_old(db, table, part, f"(SELECT source_id FROM {part}) AS s", gone)
        db.execute(
            warehouse.text(
                f"""UPDATE {part} AS t SET deleted_at = now(), landed_at = now(), run_id = %s
                    WHERE {gone}"""
            ),
            [run_id],
        )
    return int(vanished)


def _settle(
    db: warehouse.Connection,
    source: str,
    entity: str,
    window: Window,
    run_id: str,
    loaded: Loaded,
    seconds: float,
) -> None:
    db.execute(
        """INSERT INTO ops.watermark AS w VALUES (%s, %s, %s, %s)
           ON CONFLICT (source, entity) DO UPDATE
           SET read_to = greatest(w.read_to, excluded.read_to), run_id = excluded.run_id""",
        [source, entity, window.upper, run_id],
    )
    db.execute(
        """INSERT INTO ops.load VALUES (%s, %s, %s, now(), %s, %s, %s, %s, %s, %s)
           ON CONFLICT (run_id, source, entity) DO NOTHING""",
        [
            *(run_id, source, entity, loaded.read, loaded.inserted, loaded.updated),
            *(loaded.deleted, loaded.quarantined, seconds),
        ],
    )
