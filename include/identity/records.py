"""Records made ready to compare, in DuckDB's memory: clean fields, blocks, and what is new.

A block or a value that too many records share says nothing and is left out of the record. All
that decides how two records compare is therefore in the two, and ``content`` is a hash of it: a
record whose content is as before need not be compared again with those whose content is, too.
"""

import duckdb
import pyarrow as pa

from include.identity.fields import Fields, roots

MOST_PER_VALUE = 20  # records with one e-mail or number; beyond it is a reception's
MOST_PER_BLOCK = 50
PLACEHOLDERS = """'unknown', 'na', 'none', 'null', 'nn', 'xxx', 'test', 'guest', 'anonymous',
    'noreply', 'no-reply', 'donotreply', 'nobody', 'noemail', 'nomail', 'n/a', '-', '0'"""
MACROS = rf"""
CREATE OR REPLACE TEMP MACRO plain(x) AS
    replace(translate(strip_accents(lower(x)), 'øłđı', 'oldi'), 'ß', 'ss');
CREATE OR REPLACE TEMP MACRO name(x) AS
    regexp_replace(plain(CAST(x AS text)), '[^\pL\pN]+', '', 'g');
CREATE OR REPLACE TEMP MACRO code(x) AS
    regexp_replace(lower(CAST(x AS text)), '[^\pL\pN]+', '', 'g');
CREATE OR REPLACE TEMP MACRO words(x) AS array_to_string(list_sort(string_split(trim(
    regexp_replace(plain(CAST(x AS text)), '[^\pL\pN]+', ' ', 'g')), ' ')), ' ');
CREATE OR REPLACE TEMP MACRO digits(x) AS regexp_replace(
    regexp_replace(lower(CAST(x AS text)), '(ext|x|#|;).*$', ''), '[^0-9]+', '', 'g');
CREATE OR REPLACE TEMP MACRO said(x) AS CASE WHEN x NOT IN ('', {PLACEHOLDERS}) THEN x END;
CREATE OR REPLACE TEMP MACRO email(x) AS
    CASE WHEN x LIKE '%_@_%._%' AND x NOT LIKE '% %' AND said(split_part(x, '@', 1)) IS NOT NULL
    THEN x END;
CREATE OR REPLACE TEMP MACRO phone(x) AS
    CASE WHEN length(x) >= 7 AND length(replace(x, x[-1], '')) > 0 THEN right(x, 9) END
"""


def prepare(db: duckdb.DuckDBPyConnection, fields: Fields, raw: str) -> None:
    """Make the table ``record`` from the table ``raw``.

    ``raw`` has n, the place of the record in the order of its key, and the columns that the
    fields are made of. ``record`` has n, the cleaned fields with what is made of them,
    ``block_<i>`` (a hash; null: in no block) and ``content``.
    """
    db.execute(MACROS)
    short = pa.table({"short": list(roots()), "roots": [[s, *full] for s, full in roots().items()]})
    db.register("nickname_given", short)
    db.execute("CREATE OR REPLACE TEMP TABLE nickname AS FROM nickname_given")
    _select(db, "tidy", _tidy(fields), raw)
    kept = {name: fields.kind(name).keep.format(f=name) for name in fields.fields}
    _select(db, "cleaned", kept, "tidy")  # a step of its own: a macro repeats what it is given
    junk = {name: kind.junk for name in fields.fields if (kind := fields.kind(name))}
    limits = {
        name: f"greatest({MOST_PER_VALUE}, {ratio} * (SELECT avg(c) FROM counted))"
        for name, ratio in junk.items()
        if ratio is not None
    }
    _select(db, "rare", _rare(db, "cleaned", [*fields.fields], limits), "cleaned")
    also = {
        f"{name}__{part}": expression.format(f=name)
        for name in fields.fields
        for part, expression in fields.kind(name).also.items()
    }
    _select(db, "derived", {name: name for name in fields.fields} | also, "rare")
    blocks = {f"block_{place}": _block(parts) for place, parts in enumerate(fields.blocks)}
    columns = [*fields.fields, *also]
    _select(db, "blocked", {name: name for name in columns} | blocks, "derived")
    limits = dict.fromkeys(blocks, str(MOST_PER_BLOCK))
    _select(db, "record", _rare(db, "blocked", [*columns, *blocks], limits), "blocked")
    content = f"(hash({', '.join((*columns, *blocks))}) >> 1)::bigint AS content"
    db.execute(f"CREATE OR REPLACE TABLE record AS SELECT *, {content} FROM record ORDER BY n")


def _tidy(fields: Fields) -> dict[str, str]:
    return {
        name: fields.kind(name).clean.format(value=f"({field.value or quoted(name)})")
        for name, field in fields.fields.items()
    }


def _select(
    db: duckdb.DuckDBPyConnection, table: str, columns: dict[str, str], source: str
) -> None:
    listed = ", ".join(f"{expression} AS {quoted(name)}" for name, expression in columns.items())
    db.execute(f"CREATE OR REPLACE TABLE {table} AS SELECT n, {listed} FROM {source}")
    if source in {"tidy", "cleaned", "rare", "derived", "blocked"}:
        db.execute(f"DROP TABLE {source}")


def _rare(
    db: duckdb.DuckDBPyConnection, table: str, columns: list[str], limits: dict[str, str]
) -> dict[str, str]:
    """The columns, null where more records than the column's limit share the value."""
    chosen = {name: name for name in columns}
    for name, limit in limits.items():
        db.execute(f"""CREATE OR REPLACE TABLE frequent_{name} AS
            WITH counted AS MATERIALIZED (
                SELECT {name} AS value, count(*) AS c FROM {table}
                WHERE {name} IS NOT NULL GROUP BY value)
            SELECT value FROM counted WHERE c > {limit}""")
        chosen[name] = (
            f"CASE WHEN {name} NOT IN (SELECT value FROM frequent_{name}) THEN {name} END"
        )
    return chosen


def _block(parts: tuple[str, ...]) -> str:
    """A hash of the parts; null where one is missing."""
    there = " AND ".join(f"{part} IS NOT NULL" for part in parts)
    return f"CASE WHEN {there} THEN (hash({', '.join(parts)}) >> 1)::bigint END"


def quoted(column: str) -> str:
    """``column`` as an identifier."""
    return '"' + column.replace('"', '""') + '"'
