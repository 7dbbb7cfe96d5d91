"""The customer profile: one row a customer, as it was known on a past day.

Each theme is one SELECT (``<theme>.sql``) over the tables of a snapshot and those of ``SHARED``,
and sees nothing dated on or after ``as_of``. It says of a customer what only that customer's own
records decide; what compares customers, or counts the days to ``as_of``, is in ``population.sql``,
over the joined themes (the table ``facts``). So the facts of whom nothing happened to can be taken
over from an earlier profile. DuckDB runs them; PostgreSQL gives the same cells from the same text.
What a column means, and what stands in for a missing value, is in
contracts/mart/customer_profile.yaml; how a feature is added, in docs/profile.md.
"""

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from include import duck
from include.contracts import Column
from include.errors import ConfigError, InputError
from include.profile import moved
from include.profile.themes import (
    CONTRACT,
    LAST,
    SHARED,
    THEMES,
    facts,
    features,
    owners,
    recipe,
    sql,
    text,
    typed,
)
from include.snapshot import place

__all__ = [
    "CONTRACT", "LAST", "SHARED", "THEMES", "base_of", "build", "compute", "customers", "facts",
    "features", "frame", "open_snapshot", "owners", "sql", "text", "training_set",
]  # fmt: skip

log = logging.getLogger(__name__)

PART_LINES = 5_000_000  # customers of so many order lines at a time: sums of more spill to disk


def compute(folder: Path, as_of: date, *, base: Path | None = None, threads: int = 2) -> Path:
    """Write ``<folder>/profile_<as_of>.parquet`` and return its path.

    The same snapshot gives the same file, whatever the number of threads and whatever the base:
    sums are of decimals and whole numbers, and equals are decided by name. The file appears
    complete or not at all.

    Parameters
    ----------
    folder : a complete snapshot.
    as_of : nothing dated on or after this day is seen.
    base : a profile of this snapshot or of the one it calls previous (see ``base_of``): only
        customers who changed since, or who have an event between the days, are computed. One that
        cannot serve is passed over, and why is logged.
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
        taken = base is not None and _narrow(db, Path(folder), as_of, base)
        build(db, as_of, base=base if taken else None)
        made, columns = scratch / target.name, ", ".join(column.name for column in features())
        db.execute(
            f"COPY (SELECT customer_id, {columns} FROM profile ORDER BY customer_id) "
            f"TO {duck.quoted(made)} (FORMAT parquet, COMPRESSION lz4, "
            f"KV_METADATA {{recipe: '{recipe()}', as_of: '{as_of}'}})"
        )
        made.replace(target)
    rows = pq.read_metadata(target).num_rows
    log.info("profile as of %s: %d customers, %d features", as_of, rows, len(features()))
    return target


def build(db: duckdb.DuckDBPyConnection, as_of: date, *, base: Path | None = None) -> None:
    """Make the table ``profile`` in an open snapshot, and on the way ``facts``.

    With ``base`` the snapshot holds the customers of the table ``changed`` alone; the facts of
    everybody else come from there.
    """
    lines, *_ = db.execute("SELECT count(*) FROM order_line").fetchone() or [0]
    parts = -(-lines // PART_LINES) or 1
    into, found = "CREATE TEMP TABLE computed AS", {}
    among = "" if base is None else "SEMI JOIN changed USING (customer_id)"
    for part in range(parts):
        if parts > 1:
            log.info("profile as of %s: part %d of %d", as_of, part + 1, parts)
            which = f"{among} WHERE customer_id % {parts} = {part}"
            moved.restrict(db, which, kept=base is not None)
        found = _compute_facts(db, as_of, into)
        into = "INSERT INTO computed"
    columns = ", ".join(["customer_id", *found])
    taken = (
        ""
        if base is None
        else (
            f" UNION ALL SELECT {columns} FROM read_parquet({duck.quoted(base)}) "
            "ANTI JOIN changed USING (customer_id)"
        )
    )
    db.execute(f"CREATE VIEW facts AS SELECT {columns} FROM computed{taken}")
    db.execute(f"CREATE TEMP TABLE theme_{LAST} AS {text(LAST, as_of)}")
    found |= owners(db, [f"theme_{LAST}"], found)
    for name in sorted({column.name for column in features()} - found.keys()):
        raise ConfigError(
            f"contracts/mart/customer_profile.yaml: {name}: no theme of the profile gives it"
        )
    added = [typed(column, "p") for column in features() if found[column.name] == f"theme_{LAST}"]
    db.execute(
        f"CREATE VIEW profile AS SELECT facts.*, {', '.join(added)} "
        f"FROM facts LEFT JOIN theme_{LAST} AS p USING (customer_id)"
    )


def _compute_facts(db: duckdb.DuckDBPyConnection, as_of: date, into: str) -> dict[str, str]:
    """Run the themes over the customers that are left in; return the table of each column."""
    for theme in THEMES:
        for name in [name for name, (first, _) in SHARED.items() if first == theme]:
            db.execute(f"CREATE TEMP TABLE {name} AS {text(name, as_of)}")
        db.execute(f"CREATE TEMP TABLE theme_{theme} AS {text(theme, as_of)}")
        _drop(db, [name for name, (_, last) in SHARED.items() if last == theme])
    found = owners(db, [f"theme_{theme}" for theme in THEMES])
    db.execute(f"{into} {facts(found)}")
    _drop(db, [f"theme_{theme}" for theme in THEMES])
    return found


def _drop(db: duckdb.DuckDBPyConnection, tables: Sequence[str]) -> None:
    """Give the memory of what is not read any more back."""
    for table in tables:
        db.execute(f"DROP TABLE {table}")


def base_of(folder: Path, as_of: date) -> Path | None:
    """The profile to start from for a day: the nearest one of the snapshot that ``folder`` calls
    previous; None without one.
    """
    previous = (_manifest(Path(folder)).get("previous") or {}).get("folder")
    if previous is None:
        return None
    found = (Path(folder).parent / Path(previous).name).glob("profile_*.parquet")
    days = {date.fromisoformat(path.stem.removeprefix("profile_")): path for path in found}
    nearest = min(days, key=lambda day: (abs(day - as_of), day), default=None)
    return None if nearest is None else days[nearest]


def _narrow(db: duckdb.DuckDBPyConnection, folder: Path, as_of: date, base: Path) -> bool:
    """Leave in the opened snapshot those alone whose facts ``base`` does not have; or say why not.

    Returns whether the base can serve; the table ``changed`` holds the customers.
    """
    if not base.exists():
        reason = "it is not there"
    elif (said := pq.read_metadata(base).metadata).get(b"recipe") != recipe().encode():
        reason = "it was made by other SQL"
    elif (day := date.fromisoformat(said[b"as_of"].decode())).year != as_of.year:
        reason = "ages are told by calendar years"
    elif base.parent.resolve() == folder.resolve():
        return moved.narrow(db, as_of, day, touched=False)
    elif base.parent.name != Path((_manifest(folder).get("previous") or {}).get("folder", "")).name:
        reason = "it is not of the previous snapshot"
    else:
        return moved.narrow(db, as_of, day, touched=True)
    log.info("profile as of %s: all customers are computed: base %s: %s", as_of, base, reason)
    return False


def frame(folder: Path, as_of: date, only: Sequence[str] | None = None) -> pd.DataFrame:
    """Return the profile, index customer_id ascending, computed when absent or of older SQL.

    Numbers are float64 (null: NaN), flags boolean, texts str, days and times datetime64 without
    zone; units are in the contract. ``only``: these features instead of all.
    """
    path = _path(folder, as_of)
    if not path.exists() or pq.read_metadata(path).metadata.get(b"recipe") != recipe().encode():
        compute(folder, as_of)
    table = pq.read_table(path, columns=only and ["customer_id", *only])
    for number, column in enumerate(table.schema):
        if pa.types.is_decimal(column.type):
            table = table.set_column(number, column.name, _floats(table[column.name]))
    data = table.to_pandas(date_as_object=False, split_blocks=True, self_destruct=True)
    data = data.set_index("customer_id")
    kept = [column for column in features() if only is None or column.name in only]
    return data.astype({column.name: _dtype(column) for column in kept})


def _floats(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Decimals as the nearest floats; through Python's own they take three times the memory."""
    unit = 10**column.type.scale
    whole = pc.multiply(column, pa.scalar(Decimal(unit))).cast(pa.int64())
    return pc.divide(whole.cast(pa.float64()), float(unit))


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


@contextmanager
def open_snapshot(
    folder: Path, threads: int = 2
) -> Iterator[tuple[duckdb.DuckDBPyConnection, Path]]:
    """Open the snapshot's tables, and a scratch folder beside them for what does not fit."""
    manifest = _manifest(Path(folder))
    with duck.opened(f"profile: {folder}", threads=threads, beside=Path(folder)) as (db, scratch):
        db.execute("SET preserve_insertion_order = false")  # the profile is sorted at its end
        for entity, path in place.files(Path(folder)).items():
            db.execute(f"CREATE VIEW every_{entity} AS FROM read_parquet({duck.quoted(path)})")
            db.execute(f"CREATE VIEW {entity} AS FROM every_{entity}")
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


def _dtype(column: Column) -> str:
    if column.type in {"date", "timestamp"}:
        return "datetime64[us]"
    return {"text": "str", "boolean": "boolean"}.get(column.type, "float64")
