"""The SQL of the profile and what its contract says of it."""

import hashlib
import json
import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Literal

import duckdb

from include import contracts, domains
from include.contracts import Column
from include.errors import ConfigError, InputError

HERE = Path(__file__).parent
CONTRACT = "mart.customer_profile"

# Made once and read by several themes: by which at first, and after which they are dropped, because
# memory is short. Need alone reads the order lines beside them.
SHARED = {
    "placed": ("basic", "habit"),
    "purchase_day": ("basic", "need"),
    "bought": ("preference", "need"),
}
# The first one has a row for everyone in the profile; the others add columns.
THEMES = [
    "basic", "rfm", "windows", "cadence", "basket", "habit", "preference", "need", "service",
    "feedback", "engagement",
]  # fmt: skip
LAST = "population"

# What stands in for a missing value: of the profile zero only, the rest is for models to apply.
# none: no value is a value of its own; null: no candidate for a model before it is worked on;
# leave_out: the row is left out of training, never of the profile. Median may say of which group,
# interpolated must say along which feature: `median by lifecycle_stage`.
MISSING = ("null", "zero", "mean", "median", "interpolated", "leave_out", "none")
GROUPED = {"median": (1, 3), "interpolated": (3,)}  # how many words a rule may have; others: one

Engine = Literal["duckdb", "postgres"]
EPOCH = {  # whole seconds since 1970, so that sums are exact
    "duckdb": r"CAST(floor(epoch(\1)) AS bigint)",
    "postgres": r"CAST(floor(extract(epoch FROM \1)) AS bigint)",
}


def text(name: str, as_of: date, engine: Engine = "duckdb") -> str:
    """Return ``<name>.sql`` with its macros filled in.

    They are {as_of}, a DATE, {epoch(x)}, the whole seconds since 1970 of a timestamp, and the
    domain's {bulk_limit_mads}.
    """
    query = (HERE / f"{name}.sql").read_text(encoding="utf-8")
    query = query.replace("{as_of}", f"DATE '{as_of:%Y-%m-%d}'")
    query = query.replace("{bulk_limit_mads}", str(domains.load().noise.bulk_limit_mads))
    query = re.sub(r"\{epoch\((.+?)\)\}", EPOCH[engine], query)
    if odd := re.search(r"\{[^}]*\}?", query):
        raise ConfigError(
            f"profile/{name}.sql: {odd[0]}: the macros are {{as_of}}, {{epoch(x)}}, "
            "{bulk_limit_mads}"
        )
    return query


def sql(theme: str, as_of: date, engine: Engine = "duckdb") -> str:
    """Return the SELECT of ``theme``, to run over the tables of a snapshot and ``manifest`` alone:
    the shared tables stand before it.
    """
    if theme not in THEMES:
        raise InputError(f"theme {theme!r} is unknown; give one of {', '.join(THEMES)}")
    shared = ", ".join(f"{name} AS (\n{text(name, as_of, engine)})" for name in SHARED)
    return f"WITH {shared}\nSELECT * FROM (\n{text(theme, as_of, engine)}) AS {theme}"


def features() -> tuple[Column, ...]:
    """Return the columns of the profile but for its key, in the contract's order."""
    columns = contracts.load(CONTRACT).own_columns[1:]
    names = {column.name for column in columns}
    for column in columns:
        rule, *group = (column.missing or "null").split()
        known = not group or (group[0] == "by" and group[-1] in names)
        if rule not in MISSING or not known or 1 + len(group) not in GROUPED.get(rule, (1,)):
            raise ConfigError(
                f"contracts/mart/customer_profile.yaml: {column.name}: missing: {column.missing}; "
                f"give one of {', '.join(MISSING)}; median and interpolated `by` a feature"
            )
    return columns


def facts(found: dict[str, str]) -> str:
    """Return the SELECT that joins the tables of the themes; ``found`` tells each column's."""
    columns = [typed(column, found[column.name]) for column in features() if column.name in found]
    first, *others = [f"theme_{theme}" for theme in THEMES]
    joins = "".join(f" LEFT JOIN {theme} USING (customer_id)" for theme in others)
    return (
        f"SELECT CAST(customer_id AS bigint) AS customer_id, {', '.join(columns)} "
        f"FROM {first}{joins}"
    )


def typed(column: Column, table: str) -> str:
    """The column in the type of its contract; here alone a missing value becomes zero."""
    value = f"{table}.{column.name}"
    if column.missing == "zero":
        value = f"coalesce({value}, 0)"
    return f"CAST({value} AS {column.type}) AS {column.name}"


def owners(
    db: duckdb.DuckDBPyConnection, tables: Sequence[str], before: dict[str, str] | None = None
) -> dict[str, str]:
    """Return the table of each column; every one is described, and comes from one table only."""
    found: dict[str, str] = {}
    described = {column.name for column in features()} | {"customer_id"}
    for table in tables:
        theme = table.removeprefix("theme_")
        for name, *_ in db.execute(f"DESCRIBE {table}").fetchall():
            if name == "customer_id":
                continue
            if other := {**(before or {}), **found}.get(name):
                raise ConfigError(
                    f"profile/{theme}.sql: {name} is also in {other.removeprefix('theme_')}.sql; "
                    "rename one"
                )
            if name not in described:
                raise ConfigError(
                    f"profile/{theme}.sql: {name}: describe it in "
                    "contracts/mart/customer_profile.yaml"
                )
            found[name] = table
    return found


def recipe() -> str:
    """A hash of all that decides the profile but the snapshot: SQL text, contract and domain."""
    names = [*SHARED, *THEMES, LAST]
    texts = [(HERE / f"{name}.sql").read_text(encoding="utf-8") for name in names]
    columns = [(column.name, column.type, column.missing) for column in features()]
    limit = domains.load().noise.bulk_limit_mads
    return hashlib.sha256(json.dumps([texts, columns, EPOCH, limit]).encode()).hexdigest()
