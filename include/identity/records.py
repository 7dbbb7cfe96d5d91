"""Records made ready to compare, in DuckDB's memory: clean fields, keys, blocks, and what is new.

A block or a value that too many records share says nothing and is left out of the record. Which do
is decided on hashes alone, so that a record need not be read again when others come. All that
decides how two records compare is in the two, and ``content`` is a hash of it: a record whose
content is as before need not be compared again with those whose content is, too.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import duckdb
import pyarrow as pa

from include.identity import phone
from include.identity.fields import Fields, roots

MOST_PER_VALUE = 20  # records with one e-mail or number; beyond it is a reception's
MOST_PER_BLOCK = 50
PLACEHOLDERS = """'unknown', 'na', 'n.a', 'n/a', 'none', 'null', 'nn', 'xxx', 'test', 'guest',
    'anonymous', 'noreply', 'no-reply', 'donotreply', 'do-not-reply', 'nobody', 'noemail',
    'no-email', 'nomail', '-', '0'"""
MACROS = rf"""
CREATE OR REPLACE TEMP MACRO plain(x) AS
    replace(translate(strip_accents(lower(x)), 'øłđı', 'oldi'), 'ß', 'ss');
CREATE OR REPLACE TEMP MACRO name(x) AS
    regexp_replace(plain(CAST(x AS text)), '[^\pL\pN]+', '', 'g');
CREATE OR REPLACE TEMP MACRO code(x) AS
    regexp_replace(lower(CAST(x AS text)), '[^\pL\pN]+', '', 'g');
CREATE OR REPLACE TEMP MACRO words(x) AS array_to_string(list_sort(string_split(trim(
    regexp_replace(plain(CAST(x AS text)), '[^\pL\pN]+', ' ', 'g')), ' ')), ' ');
CREATE OR REPLACE TEMP MACRO email(x) AS trim(lower(x), chr(32) || chr(9) || chr(10) || chr(13)
    || chr(160));
CREATE OR REPLACE TEMP MACRO said(x) AS CASE WHEN x NOT IN ('', {PLACEHOLDERS}) THEN x END;
CREATE OR REPLACE TEMP MACRO address(x) AS
    CASE WHEN regexp_full_match(x, '[^@\s]+@[^@\s]+\.[^@\s.]+')
        AND said(split_part(x, '@', 1)) IS NOT NULL THEN x END;
CREATE OR REPLACE TEMP MACRO phone(x) AS
    CASE WHEN length(x) >= 7 AND replace(right(x, 7), x[-1], '') <> '' AND right(x, 9) NOT IN (
        '123456789', '234567890', '012345678', '987654321', '876543210') THEN x END;
CREATE OR REPLACE TEMP MACRO hashed(x) AS (hash(x) >> 1)::bigint;
CREATE OR REPLACE TEMP MACRO key(x) AS  -- MD5: their order decides between keys that conflict
    coalesce((md5_number_lower(x) >> 1)::bigint, 0);
CREATE OR REPLACE TEMP MACRO person_key(x) AS
    CASE WHEN said(lower(regexp_replace(trim(x), '^[^:]*:\s*', ''))) IS NOT NULL THEN trim(x) END
"""
KEYS = {  # by which records of landing are joined before likeness is asked; 0: none
    "person_key": "key(person_key(person_key))",
    "namespace": "key(CASE WHEN person_key(person_key) LIKE '%:%' "
    "THEN split_part(trim(person_key), ':', 1) END)",
    "email": "key(email)",
    "phone": "key(CASE WHEN length(ltrim(phone, '+')) >= 9 THEN phone__end END)",
    "code": "key(phone__code)",
    "last_name": "key(family)",
}
NO_KEYS: Mapping[str, str] = MappingProxyType({})


def prepare(db: duckdb.DuckDBPyConnection, fields: Fields, raw: str) -> None:
    """Make the table ``record`` from the table ``raw``, all of it.

    ``raw`` has n, a number of the record, and the columns that the fields are made of. ``record``
    has n, the cleaned fields with what is made of them, ``block_<i>`` (a hash; null: in no block)
    and ``content``.
    """
    setup(db)
    clean(db, fields, raw)
    digest(db, fields)
    settle(db, fields)
    combine(db, fields)


def setup(db: duckdb.DuckDBPyConnection) -> None:
    """Make the macros and tables that cleaning needs."""
    db.execute(MACROS)
    phone.prepare(db)
    short = pa.table({"short": list(roots()), "roots": [[s, *full] for s, full in roots().items()]})
    db.register("nickname_given", short)
    db.execute("CREATE OR REPLACE TEMP TABLE nickname AS FROM nickname_given")
    db.unregister("nickname_given")


def clean(
    db: duckdb.DuckDBPyConnection, fields: Fields, raw: str, *, beside: Sequence[str] = ()
) -> None:
    """Make the table ``cleaned`` from ``raw``: n, the fields and what is made of them.

    beside : columns that are taken as they are.
    """
    plans = "".join(
        f", {phone.plan(field.country)} AS plan_{name}"
        for name, field in fields.fields.items()
        if field.country
    )
    as_is = {name: name for name in beside}
    _select(db, "tidy", _tidy(fields) | as_is, f"(SELECT *{plans} FROM {raw})")
    kept = {name: fields.kind(name).keep.format(f=name) for name in fields.fields}
    _select(db, "worded", kept | as_is, "tidy")  # a step of its own: a macro repeats its argument
    _select(db, "cleaned", {name: name for name in fields.fields} | _also(fields) | as_is, "worded")


def hashes(fields: Fields, keys: Mapping[str, str]) -> list[str]:
    """The columns of the table ``hashed`` after n, all bigint."""
    return list(_hashes(fields)) + list(keys)


def digest(
    db: duckdb.DuckDBPyConnection, fields: Fields, keys: Mapping[str, str] = NO_KEYS
) -> None:
    """Make the table ``hashed`` from ``cleaned``, each record by itself.

    It has n, hashes of all fields together, of the values that may be junk and of the blocks, and
    what the expressions of ``keys`` say.
    """
    listed = ", ".join(f"{what} AS {name}" for name, what in (_hashes(fields) | dict(keys)).items())
    db.execute(f"CREATE OR REPLACE TABLE hashed AS SELECT n, {listed} FROM cleaned")


def settle(db: duckdb.DuckDBPyConnection, fields: Fields) -> None:
    """Make the table ``settled`` from all of ``hashed``: what is left of each record, by hashes.

    Null are the values and blocks that too many records share. Has n, them and ``content``.
    """
    junk = _junk(fields)
    limits = {
        f"value_{name}": f"greatest({MOST_PER_VALUE}, {ratio} * (SELECT avg(c) FROM counted))"
        for name, ratio in junk.items()
    }
    rare = _rare(db, "hashed", limits)
    blocks = {}
    for place, parts in enumerate(fields.blocks):
        needs = {part.split("__")[0] for part in parts} & junk.keys()
        there = " AND ".join(f"{rare[f'value_{name}']} IS NOT NULL" for name in sorted(needs))
        blocks[f"block_{place}"] = f"CASE WHEN {there or 'true'} THEN block_{place} END"
    _select(db, "blocked", {"said": "said"} | rare | blocks, "hashed")
    few = _rare(db, "blocked", dict.fromkeys(blocks, str(MOST_PER_BLOCK)))
    values = {name: name for name in rare} | few
    content = f"hashed((said, {', '.join(values.values())}))"
    _select(db, "settled", values | {"content": content}, "blocked")


def combine(db: duckdb.DuckDBPyConnection, fields: Fields) -> None:
    """Make the table ``record`` of those in ``cleaned``, without what ``settled`` leaves out."""
    parts = {name: name for name in fields.fields} | {name: name for name in _also(fields)}
    for part in parts:
        if (name := part.split("__")[0]) in _junk(fields):
            parts[part] = f"CASE WHEN value_{name} IS NOT NULL THEN {part} END"
    listed = ", ".join(f"{what} AS {part}" for part, what in parts.items())
    blocks = ", ".join(f"block_{place}" for place in range(len(fields.blocks)))
    db.execute(f"""CREATE OR REPLACE TABLE record AS SELECT n, {listed}, {blocks}, content
        FROM cleaned JOIN settled USING (n) ORDER BY n""")


def _junk(fields: Fields) -> dict[str, float]:
    """The fields of which a value may be too frequent, and how many times the mean that is."""
    ratios = {name: fields.kind(name).junk for name in fields.fields}
    return {name: ratio for name, ratio in ratios.items() if ratio is not None}


def _tidy(fields: Fields) -> dict[str, str]:
    return {
        name: fields.kind(name).clean.format(
            value=f"({field.value or quoted(name)})",
            plan=f"plan_{name}" if field.country else "NULL",
        )
        for name, field in fields.fields.items()
    }


def _also(fields: Fields) -> dict[str, str]:
    return {
        f"{name}__{part}": expression.format(f=name)
        for name in fields.fields
        for part, expression in fields.kind(name).also.items()
    }


def _select(
    db: duckdb.DuckDBPyConnection, table: str, columns: dict[str, str], source: str
) -> None:
    listed = ", ".join(f"{expression} AS {quoted(name)}" for name, expression in columns.items())
    db.execute(f"CREATE OR REPLACE TABLE {table} AS SELECT n, {listed} FROM {source}")
    if source in {"tidy", "worded", "blocked"}:
        db.execute(f"DROP TABLE {source}")


def _rare(db: duckdb.DuckDBPyConnection, table: str, limits: dict[str, str]) -> dict[str, str]:
    """The columns of ``limits``, null where more records than the limit share the value."""
    chosen = {name: name for name in limits}
    for name, limit in limits.items():
        db.execute(f"""CREATE OR REPLACE TABLE frequent_{name} AS
            WITH counted AS MATERIALIZED (
                SELECT {name} AS value, count(*) AS c FROM {table}
                WHERE {name} IS NOT NULL GROUP BY value)
            SELECT value FROM counted WHERE c > {limit}""")
        if db.execute(f"SELECT count(*) FROM frequent_{name}").fetchall() != [(0,)]:
            chosen[name] = (
                f"CASE WHEN {name} NOT IN (SELECT value FROM frequent_{name}) THEN {name} END"
            )
    return chosen


def _hashes(fields: Fields) -> dict[str, str]:
    made = {"said": f"hashed(({', '.join(fields.fields)}))"}
    made |= {f"value_{name}": f"hashed({name})" for name in _junk(fields)}
    return made | {f"block_{place}": _block(parts) for place, parts in enumerate(fields.blocks)}


def _block(parts: tuple[str, ...]) -> str:
    """A hash of the parts; null where one is missing."""
    there = " AND ".join(f"{part} IS NOT NULL" for part in parts)
    return f"CASE WHEN {there} THEN hashed(({', '.join(parts)})) END"


def quoted(column: str) -> str:
    """``column`` as an identifier."""
    return '"' + column.replace('"', '""') + '"'
