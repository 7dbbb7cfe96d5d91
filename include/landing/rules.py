"""The row rules of a contract, as SQL: convert what came as text, name the first rule that a row
breaks, and set such rows aside whole, with a reason a person can act on.
"""

import re

from psycopg import sql

from include import copying, warehouse
from include.contracts import Column, Table
from include.errors import QualityError
from include.landing.job import STAGING, Job
from include.landing.readers import Staged
from include.sources import Entity, SoftDelete, Source

GUARD_FROM_ROWS = 20
"""Of fewer rows than this all may be bad, or vanish, without a question."""
MOMENT = (
    r"^[12][0-9]{3}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])"
    r"([ T]([01][0-9]|2[0-3])(:[0-5][0-9]){1,2}(\.[0-9]{1,6})?)?"
)
"""A time that surely exists; all others are read by a slower function."""
NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?$"
MOST_NUMERIC = 10**12
"""numeric(18,6) holds twelve digits before the point."""
FIRST_DAY, LAST_DAY = "'0001-01-01Z'", "'9999-12-30Z'"
"""Beyond them Python, and most BI tools, have no time; PostgreSQL has, and infinity."""
UNESCAPED = {b"t": b"\t", b"n": b"\n", b"r": b"\r"}
RANGES = {"integer": 2**31 - 1, "bigint": 2**63 - 1}
REASONS = {
    "required": "is empty, but every row must have it",
    "type": "cannot be read as",
    "range": "is outside what is allowed",
    "values": "is none of",
    "rounding": "has more digits after the point than its column keeps",
    "duplicate": "appears more than once in the source; one row was kept",
}


def converted(column: Column, staged: Staged, zone: str) -> str:
    """SQL that gives the column in its contract's type, null where a text cannot be read so."""
    given = f"s.{warehouse.quoted(staged.name)}"
    if staged.type != "text" or column.type == "text":
        return given
    trimmed = f"nullif(btrim({given}), '')"
    if column.type in RANGES or column.type.startswith("numeric"):
        return f"CASE WHEN {trimmed} ~ '{NUMBER}' THEN {trimmed}::numeric END"
    if column.type == "timestamptz":
        escaped = zone.replace("'", "''")
        plain = f"{trimmed}::timestamp AT TIME ZONE '{escaped}'"
        odd = f"ops.to_moment({trimmed}, '{escaped}')"
        utc = f"WHEN {given} ~ '{MOMENT}(Z|[+]00:00)$' THEN {trimmed}::timestamptz"
        return f"CASE WHEN {given} ~ '{MOMENT}$' THEN {plain} {utc} ELSE {odd} END"
    if column.type == "date":
        return f"ops.to_day({trimmed})"
    if column.type == "boolean":
        return (
            f"CASE lower({trimmed}) WHEN 't' THEN true WHEN 'true' THEN true WHEN '1' THEN true "
            f"WHEN 'y' THEN true WHEN 'yes' THEN true WHEN 'f' THEN false WHEN 'false' THEN false "
            f"WHEN '0' THEN false WHEN 'n' THEN false WHEN 'no' THEN false END"
        )
    return f"{given}::{column.type}"


def faults(column: Column, staged: Staged, of: str) -> list[tuple[str, str]]:
    """The rules of one column as (condition that breaks it, check), over ``s`` and ``of``."""
    raw, value = f"s.{warehouse.quoted(staged.name)}", f'{of}"{column.name}"'
    found: list[tuple[str, str]] = []
    if staged.type == "text" and column.type != "text":
        found.append((f"nullif(btrim({raw}), '') IS NOT NULL AND {value} IS NULL", "type"))
    if column.required and column.default is None:
        found.append((f"{value} IS NULL", "required"))
    if column.type.startswith("numeric") and staged.exact:
        found.append((f"{value} = 'NaN'", "range"))
    elif column.type.startswith("numeric"):
        kept = f"round({value}, 6)"
        found.append((f"NOT ({kept} > -{MOST_NUMERIC} AND {kept} < {MOST_NUMERIC})", "range"))
    if column.type in RANGES and not staged.exact:
        most = RANGES[column.type]
        found.append((f"{value} NOT BETWEEN -{most} AND {most}", "range"))
    if column.type == "timestamptz":
        found.append((f"{value} NOT BETWEEN {FIRST_DAY} AND {LAST_DAY}", "range"))
    if column.type == "date":
        found.append((f"{value} NOT BETWEEN '0001-01-01' AND '9999-12-30'", "range"))
    if column.minimum is not None:
        found.append((f"{value} < {column.minimum}", "range"))
    if column.maximum is not None:
        found.append((f"{value} > {column.maximum}", "range"))
    if column.values:
        listed = ", ".join(f"'{value_}'" for value_ in column.values)
        found.append((f"{value} NOT IN ({listed})", "values"))
    return found


def conversions(
    source: Source, entity: Entity, table: Table, staged: list[Staged]
) -> dict[str, str]:
    """Column of the landing table -> SQL over the staging row ``s``."""
    by_name = {column.name: column for column in staged}
    given: dict[str, str] = {}
    for column in table.own_columns:
        if column.name in by_name:
            value = converted(column, by_name[column.name], source.zone(entity, column.name))
        else:
            value = f"NULL::{column.type}"
        given[column.name] = f"coalesce({value}, {column.default})" if column.default else value
    if "person_key" in by_name and "person_key" in given:
        namespace = (source.person_key or source.name).replace("'", "''")
        given["person_key"] = f"'{namespace}:' || nullif(btrim(s.person_key), '')"
    given["changed_at"] = "NULL::timestamptz"
    if entity.cursor:
        moment = Column("changed_at", "timestamptz", "")
        zone = source.zone(entity, entity.cursor)
        value = converted(moment, by_name[entity.cursor], zone)
        given["changed_at"] = (
            f"CASE WHEN {value} BETWEEN {FIRST_DAY} AND {LAST_DAY} THEN {value} END"
        )
    given["deleted_at"] = "NULL::timestamptz"
    if isinstance(entity.deletes, SoftDelete):
        flag = f"lower(btrim(s.{warehouse.quoted(entity.deletes.column)}))"
        kept = f"coalesce({flag}, '') IN ('', '0', 'f', 'false', 'n', 'no')"
        given["deleted_at"] = (
            f"CASE WHEN NOT ({kept}) THEN coalesce({given['changed_at']}, now()) END"
        )
    pairs = ", ".join(
        f"{warehouse.literal(name)}, s.{warehouse.quoted(name)}" for name in entity.pass_through
    )
    given["pass_through"] = f"jsonb_build_object({pairs})" if pairs else "NULL::jsonb"
    return given


def first_fault(source: Source, table: Table, staged: list[Staged], of: str = "c.") -> str:
    """SQL: "check:column" of the first rule that a row breaks, or null.

    Over the staging row ``s`` and the converted one, whose alias (or nothing) is ``of``.
    """
    by_name = {column.name: column for column in staged}
    broken = [(f"{of}source_id IS NULL OR {of}source_id = ''", "required", "source_id")]
    for column in table.own_columns:
        if column.name in by_name:
            rules = faults(column, by_name[column.name], of)
            if source.rounding == "set_aside":
                rules += [(_too_fine([column], staged, of), "rounding")]
            broken += [(condition, rule, column.name) for condition, rule in rules]
    cases = " ".join(f"WHEN {bad} THEN '{rule}:{name}'" for bad, rule, name in broken)
    return f"CASE {cases} END"


def _too_fine(columns: list[Column], staged: list[Staged], of: str = "c.") -> str:
    """SQL: a number has more digits after the point than its column keeps."""
    unsure = {each.name for each in staged if not each.exact}
    digits = {column.name: 0 if column.type in RANGES else 6 for column in columns}
    tests = [
        f'scale(trim_scale({of}"{column.name}"::numeric)) > {digits[column.name]}'
        for column in columns
        if column.name in unsure and (column.type in RANGES or column.type.startswith("numeric"))
    ]
    return f"coalesce({' OR '.join(tests)}, false)" if tests else "false"


def check(work: Job, staged: list[Staged], *, into: str) -> None:
    """Fill the new table ``into`` from staging: the converted rows, and the first fault of each.

    ``fault`` is "check:column", null where every rule holds; ``payload`` is a faulty row as it
    was read; ``rounded`` says that a number lost digits.
    """
    given = conversions(work.source, work.entity, work.table, staged)
    listed = ", ".join(f'{value} AS "{name}"' for name, value in given.items())
    types = {column.name: column.type for column in work.table.own_columns}
    fitted = ", ".join(  # a fault may be a number that its type cannot hold
        f'(CASE WHEN f.fault IS NULL THEN c."{name}" END)::{types[name]} AS "{name}"'
        if types.get(name, "text") not in {"text", "boolean"}
        else f'c."{name}"'
        for name in given
    )
    plain, _, name = into.rpartition(".")
    place = f"TEMP TABLE {name}" if plain == "pg_temp" else f"TABLE {into}"
    end = "ON COMMIT DROP" if plain == "pg_temp" else ""
    numbers = list(work.table.own_columns)
    work.db.execute(
        warehouse.text(
            f"""CREATE {place} {end} AS
                SELECT c.source_id, {fitted}, f.fault,
                       CASE WHEN f.fault IS NOT NULL THEN to_jsonb(s) END AS payload,
                       f.fault IS NULL AND {_too_fine(numbers, staged)} AS rounded
                FROM {STAGING} AS s,
                     LATERAL (SELECT s.source_id, {listed} OFFSET 0) AS c,
                     LATERAL (SELECT {first_fault(work.source, work.table, staged)} AS fault
                              OFFSET 0) AS f"""
        )
    )
    work.db.execute(warehouse.text(f"ANALYZE {into} (source_id, fault)"))


def mark_duplicates(db: warehouse.Connection, checked: str) -> None:
    """All but one row of a key are set aside: the latest stays, then the first in text order."""
    ours = "{{fault,payload,rounded,source,landed_at,run_id}}"
    bare = f"jsonb_strip_nulls(to_jsonb({{}}) - '{ours}'::text[])"
    db.execute(
        warehouse.text(
            f"""UPDATE {checked} AS t
                SET fault = 'duplicate:source_id', payload = {bare.format("t")}
                FROM (SELECT ctid AS place, row_number() OVER (
                          PARTITION BY source_id
                          ORDER BY changed_at DESC NULLS LAST, {bare.format("c")}::text) AS place_no
                      FROM {checked} AS c
                      WHERE fault IS NULL AND source_id IN (
                          SELECT source_id FROM {checked}
                          WHERE fault IS NULL GROUP BY source_id HAVING count(*) > 1)) AS d
                WHERE t.ctid = d.place AND d.place_no > 1"""
        )
    )


def guard_size(work: Job, checked: str, bad: int, read: copying.Copied) -> None:
    """Refuse a batch of which most is bad: that is no dirt but a mistake.

    Raises
    ------
    QualityError
        With the most frequent fault.
    """
    rows, source = read.rows + len(read.unreadable), work.source
    if rows < GUARD_FROM_ROWS or bad * 100 <= rows * source.most_quarantined_percent:
        return
    row = work.db.execute(
        warehouse.text(
            f"""SELECT fault, count(*) FROM {checked} WHERE fault IS NOT NULL
                GROUP BY fault ORDER BY 2 DESC, 1 LIMIT 1"""
        )
    ).fetchone()
    most = f"{row[1]} by {row[0].replace(':', ' of ')}" if row else "bytes that are no text"
    raise QualityError(
        f"{source.name}.{work.table.name}: {bad} of {rows} rows break a rule (most: {most}), "
        f"more than {source.most_quarantined_percent:g} %; nothing was changed; mend the select "
        f"or the source, or raise most_quarantined_percent in {source.name}.yaml"
    )


def _reason(table: Table) -> str:
    """SQL that says in words what is wrong with a faulty row, without its value."""
    cases = []
    for column in table.own_columns:
        allowed = f": {', '.join(column.values)}" if column.values else ""
        bounds = "finite, of at most twelve digits before the point"
        if column.type == "timestamptz":
            bounds = "0001-01-01 to 9999-12-30"
        if column.minimum is not None:
            bounds += f", at least {column.minimum:g}"
        if column.maximum is not None:
            bounds += f", at most {column.maximum:g}"
        words = {
            "required": REASONS["required"],
            "type": f"{REASONS['type']} {column.type}",
            "range": f"{REASONS['range']}: {bounds}",
            "values": f"{REASONS['values']}{allowed}",
            "rounding": REASONS["rounding"],
        }
        cases += [
            f"WHEN '{rule}:{column.name}' THEN '{column.name} {said}'"
            for rule, said in words.items()
        ]
    cases.append(f"WHEN 'duplicate:source_id' THEN 'the key {REASONS['duplicate']}'")
    cases.append(f"WHEN 'required:source_id' THEN 'the key {REASONS['required']}'")
    return f"CASE fault {' '.join(cases)} END"


def set_aside(work: Job, checked: str) -> int:
    """Move faulty rows into the quarantine; count the new.

    A faulty row that is already there, unchanged, stays: reading it again writes nothing.
    """
    db, source, table = work.db, work.source.name, work.table
    insert = sql.SQL(
        """INSERT INTO ops.quarantine AS q
               (source, entity, row_key_hash, "check", "column", reason, payload, run_id,
                recorded_at, row_key)
           SELECT DISTINCT ON (3, 4, 5) %(source)s, %(entity)s, {key}, split_part(fault, ':', 1),
                  split_part(fault, ':', 2), {reason}, payload, %(run_id)s, now(), source_id
           FROM {checked} WHERE fault IS NOT NULL
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
        checked=warehouse.text(checked),
    )
    return db.execute(
        insert, {"source": source, "entity": table.name, "run_id": work.run_id}
    ).rowcount


def release(work: Job, checked: str) -> None:
    """Let go of the quarantined rows that were read again without the fault they had."""
    work.db.execute(
        warehouse.text(
            f"""DELETE FROM ops.quarantine AS q USING {checked} AS c
                WHERE q.source = %s AND q.entity = %s AND q."check" <> 'duplicate'
                AND q.row_key_hash = md5(c.source_id) AND NOT EXISTS (
                    SELECT FROM {checked} AS d WHERE d.source_id = c.source_id
                    AND d.fault = concat(q."check", ':', q."column"))"""
        ),
        [work.source.name, work.table.name],
    )


def set_lines_aside(work: Job, read: copying.Copied, checked: str) -> int:
    """Put lines that hold NUL or other bytes than UTF-8 into the quarantine; count the new.

    Their keys join ``checked``, so that a sweep does not take these rows for gone.
    """
    new = 0
    for line in read.unreadable:
        key, said = _key_of(line), _said(line[:-1])
        new += work.db.execute(
            """INSERT INTO ops.quarantine AS q (source, entity, row_key_hash, "check", "column",
                   reason, payload, run_id, recorded_at, row_key)
               VALUES (%(source)s, %(entity)s, md5(coalesce(%(key)s::text, %(line)s)), 'text', '',
                       %(reason)s, jsonb_build_object('line', %(line)s::text), %(run_id)s, now(),
                       %(key)s)
               ON CONFLICT (source, entity, row_key_hash, "check", "column") DO UPDATE
               SET payload = excluded.payload, run_id = excluded.run_id,
                   recorded_at = excluded.recorded_at
               WHERE q.payload IS DISTINCT FROM excluded.payload""",
            {
                "source": work.source.name,
                "entity": work.table.name,
                "key": key,
                "reason": "the row holds a NUL or bytes that are not UTF-8; mend it in the source, "
                "or say bad_text: strip",
                "line": said,
                "run_id": work.run_id,
            },
        ).rowcount
        work.db.execute(
            warehouse.text(f"INSERT INTO {checked} (source_id, fault) VALUES (%s, 'text:')"), [key]
        )
    return new


def _key_of(line: bytes) -> str | None:
    """The first column of a line in COPY's text format."""
    raw = line.partition(b"\t")[0]
    if raw == b"\\N":
        return None
    return _said(re.sub(rb"\\(.)", lambda found: UNESCAPED.get(found[1], found[1]), raw))


def _said(raw: bytes) -> str:
    return raw.decode(errors="backslashreplace").replace("\0", "\\x00")
