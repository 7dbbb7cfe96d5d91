"""The first load of a table: into a plain table, checked, keyed, then attached as the source's
partition. A key that is built once costs a third of one that is kept row by row.
"""

import dataclasses

import psycopg
from psycopg import sql

from include import copying, warehouse
from include.landing import apply, rules
from include.landing.job import STAGING, Job, Visit, create_staging
from include.landing.readers import Staged, Window
from include.landing.readers.postgres import PostgresReader
from include.landing.state import Loaded
from include.sources import SoftDelete
from include.warehouse import quoted

VERDICT = {"fault": "text", "payload": "jsonb", "rounded": "boolean"}


def possible(work: Job) -> bool:
    """Nothing of this source has landed in the table before."""
    return work.db.execute("SELECT to_regclass(%s)", [work.part]).fetchone() == (None,)


def fill(work: Visit, staged: list[Staged]) -> Loaded:
    """Load all rows of a source; the counts are those of any load."""
    reader = work.reader
    if isinstance(reader, PostgresReader) and reader.sure and all(c.exact for c in staged):
        loaded = _straight(work, staged, reader)
    else:
        loaded = _by_staging(work, staged)
    repeated = _keyed(work)
    _attached(work)
    work.db.execute(warehouse.text(f"ANALYZE {work.part}"))
    return dataclasses.replace(
        loaded,
        inserted=loaded.inserted - repeated,
        quarantined=loaded.quarantined + repeated,
    )


def _by_staging(work: Visit, staged: list[Staged]) -> Loaded:
    """Copy as text, convert and check on the way into the future partition."""
    create_staging(work, staged)
    read = work.reader.copy_into(work.db, STAGING, work.entity, staged, Window())
    work.db.execute(warehouse.text(f"ANALYZE {STAGING}"))
    rules.check(work, staged, into=work.part)
    return _cleaned(work, read)


def _straight(work: Visit, staged: list[Staged], reader: PostgresReader) -> Loaded:
    """Copy into the future partition itself, converted by the source; then look for bad rows.

    That there are none is proved in the one pass that also proves what a partition must be;
    only if there are any is each looked for.
    """
    given = _given(work, staged)
    types = {c.name: c.type for c in work.table.columns} | {"source_id": work.key_type}
    listed = ", ".join(f"{quoted(name)} {types[name]}" for name in given)
    work.db.execute(warehouse.text(f"CREATE TABLE {work.part} ({listed})"))
    values = ", ".join(f"{value} AS {quoted(name)}" for name, value in given.items())
    rows = reader.query(work.entity, staged, Window())
    read = reader.through(work.db, f"SELECT {values} FROM ({rows}) AS s", work.part)
    dated = ' AND "changed_at" IS NOT NULL' if work.entity.cursor else ""
    unaliased = rules.first_fault(work.source, work.table, staged, of="")
    if _shaped(work, f"{unaliased} IS NULL{dated}"):
        return Loaded(read=read.rows, inserted=read.rows, bytes_in=read.bytes_in)
    _add_verdict(work)
    fault = rules.first_fault(work.source, work.table, staged)
    work.db.execute(
        warehouse.text(
            f"""UPDATE {work.part} AS c SET fault = {fault}, payload = {_payload(work, given)}
                WHERE {fault} IS NOT NULL"""
        )
    )
    return _cleaned(work, read)


def _cleaned(work: Visit, read: copying.Copied) -> Loaded:
    """Set the faulty rows of the future partition aside."""
    counts = apply.counted(work, work.part, read)
    faulty = warehouse.text(f"DELETE FROM {work.part} WHERE fault IS NOT NULL")
    deleted = work.db.execute(faulty).rowcount
    _drop_verdict(work)
    _shaped(work)
    return Loaded(inserted=counts["read"] - deleted, **counts)


def _given(work: Job, staged: list[Staged]) -> dict[str, str]:
    """The landing columns that the mapping fills, and their SQL over the source's row ``s``."""
    all_given = rules.conversions(work.source, work.entity, work.table, staged)
    filled = {column.name for column in staged}
    filled |= {column.name for column in work.table.own_columns if column.default}
    filled |= {"changed_at"} if work.entity.cursor else set()
    filled |= {"deleted_at"} if isinstance(work.entity.deletes, SoftDelete) else set()
    filled |= {"pass_through"} if work.entity.pass_through else set()
    picked = {name: value for name, value in all_given.items() if name in filled}
    return {"source_id": "s.source_id", **picked}


def _payload(work: Job, given: dict[str, str]) -> str:
    """SQL: a row under the names of the select, as a load by way of staging would keep it."""
    entity, payload = work.entity, "to_jsonb(c) - 'fault' - 'payload' - 'rounded'"
    for name in ("changed_at", "deleted_at", "pass_through"):
        payload += f" - '{name}'" if name in given else ""
    if entity.cursor:
        payload += f" || jsonb_build_object({warehouse.literal(entity.cursor)}, c.changed_at)"
    if isinstance(entity.deletes, SoftDelete):
        flag = warehouse.literal(entity.deletes.column)
        payload += f" || jsonb_build_object({flag}, (c.deleted_at IS NOT NULL)::text)"
    if "person_key" in given:
        payload += (
            " || jsonb_build_object('person_key', "
            "substr(c.person_key, strpos(c.person_key, ':') + 1))"
        )
    if entity.pass_through:
        payload += " || c.pass_through"
    return payload


def _add_verdict(work: Job) -> None:
    added = ", ".join(f"ADD COLUMN {name} {kind}" for name, kind in VERDICT.items())
    more = ", ADD COLUMN IF NOT EXISTS changed_at timestamptz"  # there when there is a cursor
    work.db.execute(warehouse.text(f"ALTER TABLE {work.part} {added}{more}"))


def _drop_verdict(work: Job) -> None:
    dropped = ", ".join(f"DROP COLUMN {name}" for name in VERDICT)
    work.db.execute(warehouse.text(f"ALTER TABLE {work.part} {dropped}"))


def _shaped(work: Job, sound: str | None = None) -> bool:
    """Give the table all columns and rules of its parent, in one pass over it.

    False, and nothing is changed, where ``sound`` or a rule does not hold for a row. A column
    that is added with a constant is not written into the rows.
    """
    rows = work.db.execute(
        """SELECT attname FROM pg_attribute
           WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped""",
        [work.part],
    ).fetchall()
    there = {name for (name,) in rows}
    steps: list[sql.Composable] = [
        sql.SQL("ADD COLUMN {} {} {}").format(
            sql.Identifier(column.name),
            warehouse.text(column.type),
            _constant(work, column.name),
        )
        for column in work.table.columns
        if column.name not in there
    ]
    steps += [
        sql.SQL("ALTER COLUMN {} SET NOT NULL").format(sql.Identifier(column.name))
        for column in work.table.columns
        if column.required and column.name in there
    ]
    steps.append(
        sql.SQL("ADD CONSTRAINT portrait_source CHECK (source = {})").format(
            sql.Literal(work.source.name)
        )
    )
    if sound:
        steps.append(warehouse.text(f"ADD CONSTRAINT portrait_sound CHECK ({sound})"))
    part = warehouse.name(work.part)
    try:
        with work.db.transaction():
            work.db.execute(sql.SQL("ALTER TABLE {} {}").format(part, sql.SQL(", ").join(steps)))
    except (psycopg.errors.CheckViolation, psycopg.errors.NotNullViolation):
        if sound is None:
            raise
        return False
    return True


def _constant(work: Job, column: str) -> sql.Composable:
    """What every row of a first load has in ``column``."""
    constants = {
        "source": sql.Literal(work.source.name),
        "landed_at": sql.SQL("now()"),
        "run_id": sql.Literal(work.run_id),
    }
    if column not in constants:
        return sql.SQL("")
    return sql.SQL("NOT NULL DEFAULT {}").format(constants[column])


def _keyed(work: Job) -> int:
    """Build the key that the parent table has; return how many repeated keys were set aside."""
    row = work.db.execute(
        """SELECT pg_get_constraintdef(oid) FROM pg_constraint
           WHERE conrelid = %s::regclass AND contype = 'p'""",
        [work.table.full_name],
    ).fetchone()
    assert row is not None  # noqa: S101  every landing table has a key
    work.db.execute("SET LOCAL maintenance_work_mem = '256MB'")
    build = warehouse.text(f"ALTER TABLE {work.part} ADD {row[0]}")
    try:
        with work.db.transaction():
            work.db.execute(build)
    except psycopg.errors.UniqueViolation:
        _add_verdict(work)
        rules.mark_duplicates(work.db, work.part)
        repeated = rules.set_aside(work, work.part)
        work.db.execute(warehouse.text(f"DELETE FROM {work.part} WHERE fault IS NOT NULL"))
        _drop_verdict(work)
        work.db.execute(build)
        return repeated
    return 0


def _attached(work: Job) -> None:
    """Make the table the source's partition; what its rules proved need not be looked at again."""
    apply.attach(work)
    part = warehouse.name(work.part)
    steps: list[sql.Composable] = [
        sql.SQL("ALTER COLUMN {} DROP DEFAULT").format(sql.Identifier(name))
        for name in ("source", "landed_at", "run_id")
    ]
    for rule in ("portrait_source", "portrait_sound"):
        steps.append(warehouse.text(f"DROP CONSTRAINT IF EXISTS {rule}"))
    work.db.execute(sql.SQL("ALTER TABLE {} {}").format(part, sql.SQL(", ").join(steps)))
