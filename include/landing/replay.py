"""Hold what was set aside against today's rules again, and land what keeps them now.

A row is mended by mending it in the source, the rule in the contract or the mapping, or its
payload in ``ops.quarantine``; the last two need this.
"""

import dataclasses
import logging
import time

from include import contracts, sources, warehouse
from include.landing import apply, rules
from include.landing.job import CHECKED, Job, create_staging
from include.landing.readers import Staged
from include.landing.state import Loaded, record
from include.sources import Entity, SoftDelete, Source

log = logging.getLogger(__name__)

FINAL = ("duplicate", "text")
"""Checks that no rule can take back: another row has the key; the bytes are no text."""


def replay(
    db: warehouse.Connection, *, run_id: str, source: str | None = None, entity: str | None = None
) -> Loaded:
    """Re-check quarantined rows (of one source, of one entity) from their payload.

    Returns
    -------
    Rows re-checked (``read``), landed (``inserted``, ``updated``); the rest stays set aside.
    """
    found = db.execute(
        """SELECT DISTINCT source, entity FROM ops.quarantine
           WHERE "check" <> ALL(%s) AND coalesce(source = %s, true) AND coalesce(entity = %s, true)
           ORDER BY 1, 2""",
        [list(FINAL), source, entity],
    ).fetchall()
    total = Loaded()
    for source_name, entity_name in found:
        mapping = sources.load(source_name)
        if entity_name not in mapping.entities:
            log.warning("%s.yaml maps no %s any more: left set aside", source_name, entity_name)
            continue
        loaded = _table(mapping, entity_name, db, run_id)
        log.info(
            "%s.%s: %d re-checked, %d landed, %d stay set aside",
            *(source_name, entity_name, loaded.read, loaded.inserted + loaded.updated),
            loaded.quarantined,
        )
        total += loaded
    return total


def _table(source: Source, entity_name: str, db: warehouse.Connection, run_id: str) -> Loaded:
    table, started = contracts.load(f"landing.{entity_name}"), time.monotonic()
    entity = source.entities[entity_name]
    with db.transaction():
        warehouse.lock(db, f"landing.{entity_name}.{source.name}")
        db.execute("DROP TABLE IF EXISTS pg_temp.portrait_staging, pg_temp.portrait_checked")
        keys = db.execute(
            """SELECT DISTINCT jsonb_object_keys(payload) FROM ops.quarantine
               WHERE source = %s AND entity = %s AND "check" <> ALL(%s)""",
            [source.name, entity_name, list(FINAL)],
        ).fetchall()
        staged = _as_text(entity, [key for (key,) in keys])
        work = Job(source, entity, table, db, run_id, started)
        create_staging(work, staged)
        values = ", ".join(f"payload ->> {warehouse.literal(column.name)}" for column in staged)
        count = db.execute(
            warehouse.text(
                f"""INSERT INTO pg_temp.portrait_staging SELECT {values} FROM ops.quarantine
                    WHERE source = %s AND entity = %s AND "check" <> ALL(%s)"""
            ),
            [source.name, entity_name, list(FINAL)],
        ).rowcount
        rules.check(work, staged, into=CHECKED)
        rules.mark_duplicates(db, CHECKED)
        rules.release(work, CHECKED)
        rules.set_aside(work, CHECKED)
        db.execute(  # a row that was given another key is not the one it was filed under
            """DELETE FROM ops.quarantine WHERE source = %s AND entity = %s AND "check" <> ALL(%s)
               AND payload ->> 'source_id' <> ''
               AND row_key_hash <> md5(payload ->> 'source_id')""",
            [source.name, entity_name, list(FINAL)],
        )
        apply.partition(work)
        landed = apply.upserted(work)
        row = db.execute(
            warehouse.text(f"SELECT count(*) FROM {CHECKED} WHERE fault IS NOT NULL")
        ).fetchone()
        seconds = time.monotonic() - started
        loaded = dataclasses.replace(
            landed, read=count, quarantined=row[0] if row else 0, seconds=seconds
        )
        record(db, source.name, entity_name, loaded, run_id=run_id, kind="replay")
    return loaded


def _as_text(entity: Entity, keys: list[str]) -> list[Staged]:
    """All columns of the payloads, and those that a check needs, as text."""
    needed = {"source_id", *keys, *entity.pass_through}
    needed |= {entity.cursor} if entity.cursor else set()
    if isinstance(entity.deletes, SoftDelete):
        needed.add(entity.deletes.column)
    return [Staged(name, "text", name) for name in sorted(needed)]
