"""The row rules of a contract, as SQL: convert what came as text, name the first rule that a row
breaks, and set such rows aside whole, with a reason a person can act on.
"""

from psycopg import sql

from include import warehouse
from include.contracts import Column, Table
from include.landing.readers import Staged
from include.sources import Entity, SoftDelete, Source

NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?$"
MOST_NUMERIC = 10**12
"""numeric(18,6) holds twelve digits before the point."""
RANGES = {"integer": 2**31 - 1, "bigint": 2**63 - 1}
REASONS = {
    "required": "is empty, but every row must have it",
    "type": "cannot be read as",
    "range": "is outside what is allowed",
    "values": "is none of",
    "duplicate": "appears more than once in the source; one row was kept",
}


def converted(column: Column, staged: Staged, zone: str) -> str:
    """SQL that gives the column in its contract's type, null where a text cannot be read so."""
    given = f's."{staged.name}"'
    if staged.type != "text" or column.type == "text":
        return given
    trimmed = f"nullif(btrim({given}), '')"
    if column.type in RANGES or column.type.startswith("numeric"):
        return f"CASE WHEN {trimmed} ~ '{NUMBER}' THEN {trimmed}::numeric END"
    if column.type == "timestamptz":
        escaped = zone.replace("'", "''")
        return f"ops.to_moment({trimmed}, '{escaped}')"
    if column.type == "date":
        return f"ops.to_day({trimmed})"
    if column.type == "boolean":
        return (
            f"CASE lower({trimmed}) WHEN 't' THEN true WHEN 'true' THEN true WHEN '1' THEN true "
            f"WHEN 'y' THEN true WHEN 'yes' THEN true WHEN 'f' THEN false WHEN 'false' THEN false "
            f"WHEN '0' THEN false WHEN 'n' THEN false WHEN 'no' THEN false END"
        )
    return f"{given}::{column.type}"


def faults(column: Column, staged: Staged) -> list[tuple[str, str]]:
    """The rules of one column as (condition that breaks it, check), over ``s`` and ``c``."""
    raw, value = f's."{staged.name}"', f'c."{column.name}"'
    found: list[tuple[str, str]] = []
    if staged.type == "text" and column.type != "text":
        found.append((f"nullif(btrim({raw}), '') IS NOT NULL AND {value} IS NULL", "type"))
    if column.required and column.default is None:
        found.append((f"{value} IS NULL", "required"))
    if column.type.startswith("numeric"):
        found.append((f"NOT ({value} > -{MOST_NUMERIC} AND {value} < {MOST_NUMERIC})", "range"))
    if column.type in RANGES:
        most = RANGES[column.type]
        found.append((f"{value} NOT BETWEEN -{most} AND {most}", "range"))
    if column.type == "timestamptz":
        found.append((f"{value} NOT BETWEEN '0001-01-01Z' AND '9999-12-30Z'", "range"))
    if column.minimum is not None:
        found.append((f"{value} < {column.minimum}", "range"))
    if column.maximum is not None:
        found.append((f"{value} > {column.maximum}", "range"))
    if column.values:
        listed = ", ".join(f"'{value_}'" for value_ in column.values)
        found.append((f"{value} NOT IN ({listed})", "values"))
    return found


def _conversions(
    source: Source, entity: Entity, table: Table, staged: dict[str, Staged]
) -> dict[str, str]:
    """Column of the landing table -> SQL over the staging row ``s``."""
    zone = source.time_zone
    given: dict[str, str] = {}
    for column in table.own_columns:
        if column.name in staged:
            value = converted(column, staged[column.name], zone)
        else:
            value = f"NULL::{column.type}"
        given[column.name] = f"coalesce({value}, {column.default})" if column.default else value
    if "person_key" in given and "person_key" in staged:
        namespace = (source.person_key or source.name).replace("'", "''")
        given["person_key"] = f"'{namespace}:' || nullif(btrim(s.person_key), '')"
    given["changed_at"] = "NULL::timestamptz"
    if entity.cursor:
        moment = Column("changed_at", "timestamptz", "")
        given["changed_at"] = converted(moment, staged[entity.cursor], zone)
    given["deleted_at"] = "NULL::timestamptz"
    if isinstance(entity.deletes, SoftDelete):
        flag = f'lower(btrim(s."{entity.deletes.column}"))'
        kept = f"coalesce({flag}, '') IN ('', '0', 'f', 'false', 'n', 'no')"
        given["deleted_at"] = (
            f"CASE WHEN NOT ({kept}) THEN coalesce({given['changed_at']}, now()) END"
        )
    pairs = ", ".join(f"'{name}', s.\"{name}\"" for name in entity.pass_through)
    given["pass_through"] = f"jsonb_build_object({pairs})" if pairs else "NULL::jsonb"
    return given


def check(
    db: warehouse.Connection, source: Source, entity: Entity, table: Table, staged: list[Staged]
) -> None:
    """Fill ``pg_temp.portrait_checked``: the converted rows, and the first fault of each.

    ``fault`` is "check:column"; null where every rule holds. Of rows with one key, all but the
    latest carry the fault ``duplicate:source_id``.
    """
    by_name = {column.name: column for column in staged}
    given = _conversions(source, entity, table, by_name)
    broken = [("c.source_id IS NULL OR c.source_id = ''", "required", "source_id")]
    for column in table.own_columns:
        if column.name in by_name:
            rules = faults(column, by_name[column.name])
            broken += [(condition, rule, column.name) for condition, rule in rules]
    cases = " ".join(f"WHEN {bad} THEN '{rule}:{name}'" for bad, rule, name in broken)
    listed = ", ".join(f'{value} AS "{name}"' for name, value in given.items())
    db.execute(
        warehouse.text(
            f"""CREATE TEMP TABLE portrait_checked ON COMMIT DROP AS
                SELECT c.*, CASE {cases} END AS fault,
                       CASE WHEN (CASE {cases} END) IS NOT NULL THEN to_jsonb(s) END AS payload
                FROM pg_temp.portrait_staging AS s,
                     LATERAL (SELECT s.source_id, {listed} OFFSET 0) AS c"""
        )
    )
    _mark_duplicates(db)
    db.execute("ANALYZE pg_temp.portrait_checked")


def _mark_duplicates(db: warehouse.Connection) -> None:
    """All but one row of a key are set aside: the latest stays, then the first in text order."""
    db.execute(
        """UPDATE pg_temp.portrait_checked AS t
           SET fault = 'duplicate:source_id', payload = to_jsonb(t) - 'fault' - 'payload'
           FROM (SELECT ctid AS place, row_number() OVER (
                     PARTITION BY source_id
                     ORDER BY changed_at DESC NULLS LAST, c::text) AS place_no
                 FROM pg_temp.portrait_checked AS c
                 WHERE fault IS NULL AND source_id IN (
                     SELECT source_id FROM pg_temp.portrait_checked
                     WHERE fault IS NULL GROUP BY source_id HAVING count(*) > 1)) AS d
           WHERE t.ctid = d.place AND d.place_no > 1"""
    )


def _reason(table: Table) -> str:
    """SQL that says in words what is wrong with a faulty row, without its value."""
    cases = []
    for column in table.own_columns:
        allowed = f": {', '.join(column.values)}" if column.values else ""
        bounds = "finite, of at most twelve digits before the point"
        if column.type == "timestamptz":
            bounds = "the years 1 to 9999"
        if column.minimum is not None:
            bounds += f", at least {column.minimum:g}"
        if column.maximum is not None:
            bounds += f", at most {column.maximum:g}"
        words = {
            "required": REASONS["required"],
            "type": f"{REASONS['type']} {column.type}",
            "range": f"{REASONS['range']}: {bounds}",
            "values": f"{REASONS['values']}{allowed}",
        }
        cases += [
            f"WHEN '{rule}:{column.name}' THEN '{column.name} {said}'"
            for rule, said in words.items()
        ]
    cases.append(f"WHEN 'duplicate:source_id' THEN 'the key {REASONS['duplicate']}'")
    cases.append(f"WHEN 'required:source_id' THEN 'the key {REASONS['required']}'")
    return f"CASE fault {' '.join(cases)} END"


def set_aside(db: warehouse.Connection, source: str, table: Table, run_id: str) -> int:
    """Move faulty rows into the quarantine, release those that have been mended; count the new.

    A faulty row that is already there, unchanged, stays: reading it again writes nothing.
    """
    db.execute(
        warehouse.text(
            """DELETE FROM ops.quarantine AS q USING pg_temp.portrait_checked AS c
               WHERE q.source = %s AND q.entity = %s AND q."check" <> 'duplicate'
               AND q.row_key_hash = md5(c.source_id)
               AND c.fault IS DISTINCT FROM concat(q."check", ':', q."column")"""
        ),
        [source, table.name],
    )
    insert = sql.SQL(
        """INSERT INTO ops.quarantine AS q
               (source, entity, row_key_hash, "check", "column", reason, payload, run_id,
                recorded_at)
           SELECT DISTINCT ON (3, 4, 5) %(source)s, %(entity)s, {key}, split_part(fault, ':', 1),
                  split_part(fault, ':', 2), {reason}, payload, %(run_id)s, now()
           FROM pg_temp.portrait_checked WHERE fault IS NOT NULL
           ORDER BY 3, 4, 5, payload::text
           ON CONFLICT (source, entity, row_key_hash, "check", "column") DO UPDATE
           SET payload = excluded.payload, run_id = excluded.run_id,
               recorded_at = excluded.recorded_at
           WHERE q.payload IS DISTINCT FROM excluded.payload"""
    ).format(
        key=sql.SQL(
            "md5(CASE WHEN fault LIKE 'duplicate%%' OR source_id IS NULL OR source_id = '' "
            "THEN payload::text ELSE source_id END)"
        ),
        reason=warehouse.text(_reason(table).replace("%", "%%")),
    )
    return db.execute(insert, {"source": source, "entity": table.name, "run_id": run_id}).rowcount
