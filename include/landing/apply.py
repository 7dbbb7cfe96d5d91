"""From staging into the landing table: what is new or changed, what is gone, what was before."""

import dataclasses
import logging

from psycopg import sql

from include import contracts, copying, warehouse
from include.errors import QualityError
from include.landing import rules
from include.landing.job import CHECKED, DELTA, Job, Visit
from include.landing.readers import RANGES, Staged, Window
from include.landing.readers.postgres import key_range
from include.landing.state import Loaded

log = logging.getLogger(__name__)

STAMPS = ("changed_at", "deleted_at", "pass_through")


def checked_rows(work: Job, staged: list[Staged], read: copying.Copied) -> Loaded:
    """Check what lies in staging, set aside what is bad, apply the rest."""
    rules.check(work, staged, into=CHECKED)
    rules.mark_duplicates(work.db, CHECKED)
    loaded = counted(work, CHECKED, read)
    partition(work)
    return dataclasses.replace(upserted(work), **loaded)


def counted(work: Job, checked: str, read: copying.Copied) -> dict[str, int]:
    """Count, guard against and set aside the faulty rows of ``checked``."""
    row = work.db.execute(
        warehouse.text(
            f"""SELECT count(*) FILTER (WHERE fault IS NOT NULL), count(*) FILTER (WHERE rounded),
                       count(*) FILTER (WHERE changed_at IS NULL) FROM {checked}"""
        )
    ).fetchone()
    faulty, rounded, undated = row or (0, 0, 0)
    rules.guard_size(work, checked, faulty + len(read.unreadable), read)
    rules.release(work, checked)
    quarantined = rules.set_aside(work, checked) + rules.set_lines_aside(work, read, checked)
    return {
        "read": read.rows + len(read.unreadable),
        "bytes_in": read.bytes_in,
        "stripped": read.stripped,
        "rounded": rounded,
        "undated": undated if work.entity.cursor else 0,
        "quarantined": quarantined,
    }


def partition(work: Job) -> str:
    """The source's own partition of a landing table, made when it is not there yet."""
    db, part = work.db, work.part
    if db.execute("SELECT to_regclass(%s)", [part]).fetchone() == (None,):
        parent, own = warehouse.name(work.table.full_name), warehouse.name(part)
        db.execute(sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING ALL)").format(own, parent))
        attach(work)
    return part


def attach(work: Job) -> None:
    """Make the filled table the source's partition."""
    work.db.execute(
        sql.SQL("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES IN ({})").format(
            warehouse.name(work.table.full_name),
            warehouse.name(work.part),
            sql.Literal(work.source.name),
        )
    )


def upserted(work: Job) -> Loaded:
    """Write the good rows that are new or differ; the versions they replace become history.

    Each row's place is looked up once, by its key: under the job's lock it stays where it is.
    """
    db, part = work.db, work.part
    names = [c.name for c in work.table.own_columns] + list(STAMPS)
    compared = [name for name in names if name not in work.kept]
    listed = ", ".join(f'"{name}"' for name in names)
    values = {name: f's."{name}"' for name in names} | {"pass_through": _beside(work)}
    db.execute(
        warehouse.text(
            f"""CREATE TEMP TABLE portrait_delta ON COMMIT DROP AS
                SELECT s.source_id, {", ".join(f'{values[n]} AS "{n}"' for n in names)},
                       t.ctid AS place
                FROM {CHECKED} AS s LEFT JOIN {part} AS t USING (source_id)
                WHERE s.fault IS NULL
                AND (t.source_id IS NULL OR {_differs(compared, values)})"""
        )
    )
    updated = keep_old(work, f"{DELTA} AS d ON t.ctid = d.place")
    sets = ", ".join(f'"{name}" = d."{name}"' for name in compared if name != "deleted_at")
    db.execute(
        warehouse.text(
            f"""UPDATE {part} AS t SET landed_at = now(), run_id = %s, {sets},
                    deleted_at = CASE WHEN d.deleted_at IS NOT NULL
                                      THEN coalesce(t.deleted_at, d.deleted_at) END
                FROM {DELTA} AS d WHERE t.ctid = d.place"""
        ),
        [work.run_id],
    )
    inserted = db.execute(
        warehouse.text(
            f"""INSERT INTO {part} (source, source_id, landed_at, run_id, {listed})
                SELECT %s, source_id, now(), %s, {listed} FROM {DELTA} WHERE place IS NULL"""
        ),
        [work.source.name, work.run_id],
    ).rowcount
    db.execute(warehouse.text(f"DROP TABLE {DELTA}"))
    return Loaded(inserted=inserted, updated=updated)


def _differs(columns: list[str], values: dict[str, str]) -> str:
    """True where the new ``values`` replace those of ``t``; a deletion counts, not its time."""
    old = [f't."{name}"' for name in columns]
    new = [values[name] for name in columns]
    for side in (old, new):
        place = columns.index("deleted_at")
        side[place] += " IS NULL"
    return f"({', '.join(old)}) IS DISTINCT FROM ({', '.join(new)})"


def _beside(work: Job) -> str:
    """SQL: what is kept beside our model, with the landed values of columns that are gone."""
    keys = sorted(work.kept - {column.name for column in work.table.columns})
    if not keys:
        return "s.pass_through"
    pairs = ", ".join(
        f"{warehouse.literal(key)}, t.pass_through -> {warehouse.literal(key)}" for key in keys
    )
    landed = f"CASE WHEN t.source_id IS NULL THEN '{{}}' ELSE jsonb_build_object({pairs}) END"
    return f"coalesce(s.pass_through, '{{}}') || {landed}"


def keep_old(work: Job, others: str) -> int:
    """Move the versions ``t`` that join ``others`` into the history; return their number."""
    names = [column.name for column in work.table.columns]
    listed, mine = ", ".join(f'"{n}"' for n in names), ", ".join(f't."{n}"' for n in names)
    return work.db.execute(
        warehouse.text(
            f"""INSERT INTO {contracts.history(work.table).full_name}
                    ({listed}, valid_from, valid_to)
                SELECT {mine}, t.landed_at, now() FROM {work.part} AS t JOIN {others}"""
        )
    ).rowcount


def sweep(work: Visit, *, whole: bool) -> Loaded:
    """Mark what the source no longer has as deleted.

    ``whole``: staging held every row, so its keys are all there are; else they are fetched.
    """
    if whole:
        return mark_gone(work, CHECKED)
    keys = "pg_temp.portrait_keys"
    work.db.execute("CREATE TEMP TABLE portrait_keys (source_id text) ON COMMIT DROP")
    staged = work.reader.columns(work.entity, {"source_id": "text"})
    work.reader.copy_into(work.db, keys, work.entity, staged, Window())
    work.db.execute(warehouse.text(f"ANALYZE {keys}"))
    return mark_gone(work, keys)


def mark_gone(work: Job, keys: str, ranges: list[int] | None = None) -> Loaded:
    """Mark the landed rows (of some key ranges) whose key is not in ``keys`` as deleted.

    Rows whose key is there again are as if they had never been gone.

    Raises
    ------
    QualityError
        If so many are gone that it looks like an accident.
    """
    part = partition(work)
    within = "true"
    if ranges is not None and len(ranges) < RANGES:
        within = f"{key_range('source_id')} IN ({', '.join(map(str, ranges))})"
    row = work.db.execute(  # a join: as a condition it would look through all keys for every row
        warehouse.text(
            f"""SELECT count(*) FILTER (WHERE {within} AND k.source_id IS NULL), count(*)
                FROM {part} AS t
                LEFT JOIN (SELECT DISTINCT source_id FROM {keys}) AS k USING (source_id)
                WHERE t.deleted_at IS NULL"""
        )
    ).fetchone()
    vanished, known = row or (0, 0)
    revived = _revive(work, keys) if work.entity.deletes == "sweep" else 0
    source, table = work.source, work.table
    if known >= rules.GUARD_FROM_ROWS and vanished * 100 > known * source.most_vanishing_percent:
        raise QualityError(
            f"{source.name}.{table.name}: {vanished} of {known} rows are gone from the source, "
            f"more than {source.most_vanishing_percent:g} %; nothing was changed; "
            f"if that is right, raise most_vanishing_percent in {source.name}.yaml for one run"
        )
    if vanished:
        gone = f"""SELECT g.ctid AS place FROM {part} AS g
            LEFT JOIN (SELECT DISTINCT source_id FROM {keys}) AS k USING (source_id)
            WHERE g.deleted_at IS NULL AND k.source_id IS NULL AND {within}"""
        work.db.execute(
            warehouse.text(f"CREATE TEMP TABLE portrait_delta ON COMMIT DROP AS {gone}")
        )
        keep_old(work, f"{DELTA} AS d ON t.ctid = d.place")
        work.db.execute(
            warehouse.text(
                f"""UPDATE {part} AS t SET deleted_at = now(), landed_at = now(), run_id = %s
                    FROM {DELTA} AS d WHERE t.ctid = d.place"""
            ),
            [work.run_id],
        )
        work.db.execute(warehouse.text(f"DROP TABLE {DELTA}"))
    return Loaded(updated=revived, deleted=vanished)


def _revive(work: Job, keys: str) -> int:
    """Take back the mark of rows whose key is there again, though their stamp is an old one."""
    part = work.part
    back = f"t.deleted_at IS NOT NULL AND t.source_id IN (SELECT source_id FROM {keys})"
    revived = keep_old(work, f"(SELECT 1) AS one ON {back}")
    work.db.execute(
        warehouse.text(
            f"""UPDATE {part} AS t SET deleted_at = NULL, landed_at = now(), run_id = %s
                WHERE {back}"""
        ),
        [work.run_id],
    )
    return revived


def forget_quarantined(work: Job) -> None:
    """Drop rows that were set aside so long ago that the mapping no longer keeps them."""
    work.db.execute(
        """DELETE FROM ops.quarantine WHERE source = %s AND entity = %s
           AND recorded_at < now() - make_interval(days => %s)""",
        [work.source.name, work.table.name, work.source.quarantine_days],
    )
