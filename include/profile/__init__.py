"""The customer profile: one row a customer, as it was known on a past day.

Each theme is one SELECT (``<theme>.sql``) over the tables of a snapshot and sees nothing dated on
or after ``as_of``. DuckDB runs them; PostgreSQL gives the same cells from the same text. What a
column means, and what stands in for a missing value, is in contracts/mart/customer_profile.yaml.
"""

import hashlib
import json
import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, Literal

import duckdb
import pandas as pd
import pyarrow.parquet as pq

from include import contracts, duck
from include.contracts import Column
from include.errors import ConfigError, InputError
from include.snapshot.schema import SCHEMA

log = logging.getLogger(__name__)

HERE = Path(__file__).parent
CONTRACT = "mart.customer_profile"

# The first one has a row for everyone in the profile; the others add columns.
THEMES = ["basic", "rfm", "windows", "preference", "need", "service"]

# What stands in for a missing value: of the profile zero only, the rest is for models to apply.
# none: no value is a value of its own; null: no candidate for a model before it is worked on.
MISSING = ("null", "zero", "mean", "median", "none")

Engine = Literal["duckdb", "postgres"]
EPOCH = {  # whole seconds since 1970, so that sums are exact
    "duckdb": r"CAST(floor(epoch(\1)) AS bigint)",
    "postgres": r"CAST(floor(extract(epoch FROM \1)) AS bigint)",
}


def sql(theme: str, as_of: date, engine: Engine = "duckdb") -> str:
    """Return the SELECT of ``theme``, ready to run over the tables of a snapshot and ``manifest``.

    The macros are {as_of}, a DATE, and {epoch(x)}, the whole seconds since 1970 of a timestamp.
    """
    if theme not in THEMES:
        raise InputError(f"theme {theme!r} is unknown; give one of {', '.join(THEMES)}")
    text = (HERE / f"{theme}.sql").read_text(encoding="utf-8")
    text = text.replace("{as_of}", f"DATE '{as_of:%Y-%m-%d}'")
    text = re.sub(r"\{epoch\((.+?)\)\}", EPOCH[engine], text)
    if odd := re.search(r"\{[^}]*\}?", text):
        raise ConfigError(f"profile/{theme}.sql: {odd[0]}: the macros are {{as_of}}, {{epoch(x)}}")
    return text


def features() -> tuple[Column, ...]:
    """Return the columns of the profile but for its key, in the contract's order."""
    columns = contracts.load(CONTRACT).own_columns[1:]
    for column in columns:
        if (column.missing or "null") not in MISSING:
            raise ConfigError(
                f"contracts/mart/customer_profile.yaml: {column.name}: missing: {column.missing}; "
                f"give one of {', '.join(MISSING)}"
            )
    return columns


def compute(folder: Path, as_of: date, *, threads: int = 2) -> Path:
    """Write ``<folder>/profile_<as_of>.parquet`` and return its path.

    The same snapshot gives the same file, whatever the number of threads: sums are of decimals and
    whole numbers, and equals are decided by name. The file appears complete or not at all.

    Parameters
    ----------
    folder : a complete snapshot.
    as_of : nothing dated on or after this day is seen.
    threads : how many DuckDB uses; what does not fit into its memory goes to ``folder``.

    Raises
    ------
    InputError
        If ``folder`` is no complete snapshot.
    ConfigError
        If the themes and the contract name different columns.
    ResourceError
        If the disk, the memory or the spill limit does not suffice.
    """
    target = _path(folder, as_of)
    with open_snapshot(folder, threads) as (db, scratch):
        made = scratch / target.name
        for theme in THEMES:
            db.execute(f"CREATE TEMP TABLE theme_{theme} AS {sql(theme, as_of)}")
        db.execute(
            f"COPY ({_profile(_owners(db))}) TO {duck.quoted(made)} (FORMAT parquet, "
            f"COMPRESSION zstd, KV_METADATA {{recipe: '{_recipe()}'}})"
        )
        made.replace(target)
    rows = pq.read_metadata(target).num_rows
    log.info("profile as of %s: %d customers, %d features", as_of, rows, len(features()))
    return target


def frame(folder: Path, as_of: date) -> pd.DataFrame:
    """Return the profile, index customer_id ascending, computed when absent or of older SQL.

    Numbers are float64 (null: NaN), flags boolean, texts str, days and times datetime64 without
    zone; units are in the contract.
    """
    path = _path(folder, as_of)
    if not path.exists() or pq.read_metadata(path).metadata.get(b"recipe") != _recipe().encode():
        compute(folder, as_of)
    data = pq.read_table(path).to_pandas(date_as_object=False).set_index("customer_id")
    return data.astype({column.name: _dtype(column) for column in features()})


def training_set(folder: Path, dates: Sequence[date]) -> pd.DataFrame:
    """Return the profiles of several days in one frame, index (as_of, customer_id)."""
    if not dates:
        raise InputError("training_set: no dates; give at least one")
    frames = {as_of: frame(folder, as_of) for as_of in dates}
    return pd.concat(frames, names=["as_of", "customer_id"])


def customers(path: Path) -> int:
    """Return the number of rows of a profile's file."""
    return int(pq.read_metadata(path).num_rows)


def _path(folder: Path, as_of: date) -> Path:
    return Path(folder) / f"profile_{as_of:%Y-%m-%d}.parquet"


def _recipe() -> str:
    """A hash of all that decides the profile but the snapshot: SQL text and contract."""
    texts = [(HERE / f"{theme}.sql").read_text(encoding="utf-8") for theme in THEMES]
    columns = [(column.name, column.type, column.missing) for column in features()]
    return hashlib.sha256(json.dumps([texts, columns, EPOCH]).encode()).hexdigest()


@contextmanager
def open_snapshot(
    folder: Path, threads: int = 2
) -> Iterator[tuple[duckdb.DuckDBPyConnection, Path]]:
    """Open the snapshot's tables, and a scratch folder beside them for what does not fit."""
    manifest = _manifest(Path(folder))
    with duck.opened(f"profile: {folder}", threads=threads, beside=Path(folder)) as (db, scratch):
        db.execute("SET preserve_insertion_order = false")  # the profile is sorted at its end
        for entity in SCHEMA:
            path = duck.quoted(Path(folder) / f"{entity}.parquet")
            db.execute(f"CREATE VIEW {entity} AS FROM read_parquet({path})")
        mapped = bool(manifest["consent_mapped"])
        db.execute(f"CREATE VIEW manifest AS SELECT {mapped} AS consent_mapped")
        yield db, scratch


def _manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest, which is written last: without it the snapshot is not complete."""
    try:
        manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_bytes())
    except FileNotFoundError as error:
        raise InputError(
            f"{folder}: no manifest.json, so no complete snapshot; take a snapshot first"
        ) from error
    return manifest


def _owners(db: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Return the theme of each column; every feature of the contract must come from exactly one."""
    owners: dict[str, str] = {}
    for theme in THEMES:
        for name, *_ in db.execute(f"DESCRIBE theme_{theme}").fetchall():
            if name in owners and name != "customer_id":
                raise ConfigError(
                    f"profile/{theme}.sql: {name} is also in {owners[name]}.sql; rename one"
                )
            owners[name] = theme
    described = {column.name for column in features()} | {"customer_id"}
    for name in sorted(owners.keys() - described):
        raise ConfigError(
            f"profile/{owners[name]}.sql: {name}: describe it in "
            "contracts/mart/customer_profile.yaml"
        )
    for name in sorted(described - owners.keys()):
        raise ConfigError(
            f"contracts/mart/customer_profile.yaml: {name}: no theme of the profile gives it"
        )
    return owners


def _profile(owners: dict[str, str]) -> str:
    """Return the SELECT that joins the themes; here alone the rules for missing values apply."""
    columns = ["CAST(customer_id AS bigint) AS customer_id"]
    for column in features():
        value = f"theme_{owners[column.name]}.{column.name}"
        if column.missing == "zero":
            value = f"coalesce({value}, 0)"
        columns.append(f"CAST({value} AS {column.type}) AS {column.name}")
    first, *others = [f"theme_{theme}" for theme in THEMES]
    joins = "".join(f" LEFT JOIN {theme} USING (customer_id)" for theme in others)
    return f"SELECT {', '.join(columns)} FROM {first}{joins} ORDER BY customer_id"


def _dtype(column: Column) -> str:
    if column.type in {"date", "timestamp"}:
        return "datetime64[us]"
    return {"text": "str", "boolean": "boolean"}.get(column.type, "float64")
