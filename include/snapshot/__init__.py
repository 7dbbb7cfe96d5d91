"""The warehouse at one moment as a folder of Parquet files, immutable once it has its name.

Everything that learns or scores reads a snapshot, never the live warehouse. It holds no personal
data, and it is a cache: it can be taken again any time.
"""

import hashlib
import json
import logging
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pyarrow.parquet as pq
from psycopg import sql
from psycopg.pq import TransactionStatus

from include import domains
from include.errors import InputError, ResourceError
from include.snapshot.schema import SCHEMA
from include.snapshot.stream import write_parquet
from include.warehouse import Connection, text

log = logging.getLogger(__name__)

HERE = Path(__file__).parent
MANIFEST = "manifest.json"
UNFINISHED = ".unfinished-"  # a folder being written or removed
STALE_S = 24 * 3600
SETTINGS = """
SET LOCAL datestyle = 'ISO, YMD';
SET LOCAL jit = off;
SET LOCAL work_mem = '64MB';
-- unsorted entities come in the order in which they are stored
SET LOCAL max_parallel_workers_per_gather = 0;
SET LOCAL synchronize_seqscans = off
"""


def take(db: Connection, root: Path, *, run_id: str, keep: int = 3) -> Path:
    """Write every entity as it is now into a new folder under ``root`` and return it.

    All entities are read in one repeatable-read transaction. The folder gets its name only when it
    is complete and on disk; a kill leaves a hidden one, which a later run removes. Taking the same
    run's snapshot again returns the folder that is there.

    Parameters
    ----------
    db : a connection to the warehouse, outside a transaction.
    root : where the snapshots lie; made when absent.
    run_id : names the folder.
    keep : how many to keep; older ones are removed by best effort.

    Raises
    ------
    InputError
        If ``db`` is inside a transaction: what it saw then may be older than now.
    ResourceError
        If the disk is full, or the name is taken by something else.
    QualityError
        If a landed value has no place in the schema.
    """
    folder = root / _folder_name(run_id)
    if manifest(folder) is not None:
        log.info("snapshot %s is there already", folder)
        return folder
    if db.info.transaction_status != TransactionStatus.IDLE:
        raise InputError("snapshot: the connection is in a transaction; commit it, then take one")
    root.mkdir(parents=True, exist_ok=True)
    unfinished = root / f"{UNFINISHED}{folder.name}-{secrets.token_hex(4)}"
    try:
        unfinished.mkdir()
        rows = _write(db, unfinished, run_id)
        _rename(unfinished, folder)
    except OSError as error:
        raise ResourceError(
            f"snapshot: {folder}: {error.strerror or error}; make room or set another folder, "
            "then run again; nothing was kept"
        ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    log.info("took snapshot %s of %d rows", folder, sum(rows.values()))
    _remove_old(root, folder, keep=keep)
    return folder


def newest(root: Path) -> Path | None:
    """The complete snapshot that was taken last, or None."""
    found = _complete(root)
    return found[-1] if found else None


def manifest(folder: Path) -> dict[str, Any] | None:
    """What a complete snapshot says of itself; None for any other folder."""
    try:
        said: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        for entity in SCHEMA:
            if pq.read_metadata(folder / f"{entity}.parquet").num_rows != said["rows"][entity]:
                return None
        return said if {"run_id", "known_at", "time_zone", "consent_mapped"} <= set(said) else None
    except (OSError, ValueError, KeyError, TypeError):  # ArrowInvalid is a ValueError
        return None


def _folder_name(run_id: str) -> str:
    safe = re.sub(r"[^A-Za-z0-9_+-]+", "-", run_id).strip("-")[:100]
    if safe == run_id:
        return safe
    return f"{safe or 'run'}-{hashlib.sha256(run_id.encode()).hexdigest()[:8]}"


def _write(db: Connection, folder: Path, run_id: str) -> dict[str, int]:
    domain = domains.load()
    values = {
        "zone": sql.Literal(domain.time_zone),
        "left_out": sql.Literal(list(domain.test_order_statuses)),
    }
    with _one_moment(db):
        db.execute(SETTINGS)
        known_at, consent_mapped = _row(db, "SELECT now(), EXISTS (SELECT FROM landing.consent)")
        rows = {}
        for entity, schema in SCHEMA.items():
            query = text((HERE / f"{entity}.sql").read_text(encoding="utf-8")).format(**values)
            rows[entity] = write_parquet(db, query, schema, folder / f"{entity}.parquet")
    said = {
        "run_id": run_id,
        "known_at": known_at.isoformat(),
        "time_zone": domain.time_zone,
        "rows": rows,
        "consent_mapped": consent_mapped,
    }
    with (folder / MANIFEST).open("w", encoding="utf-8") as file:
        json.dump(said, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    return rows


@contextmanager
def _one_moment(db: Connection) -> Iterator[None]:
    """A read-only transaction in which every query sees the same rows."""
    before = db.isolation_level, db.read_only
    db.isolation_level, db.read_only = psycopg.IsolationLevel.REPEATABLE_READ, True
    try:
        with db.transaction():
            yield
    finally:
        if not db.closed:
            db.isolation_level, db.read_only = before


def _row(db: Connection, query: str) -> Any:
    return db.execute(text(query)).fetchone()


def _rename(unfinished: Path, folder: Path) -> None:
    """Give the folder its name, durably; a damaged snapshot of that name makes way."""
    _sync(unfinished)
    if (folder / MANIFEST).exists() and manifest(folder) is None:
        _remove(folder)
    try:
        unfinished.rename(folder)
    except OSError:
        if manifest(folder) is None:
            raise
        return  # another process took the same run's snapshot meanwhile
    _sync(folder.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _complete(root: Path) -> list[Path]:
    """Complete snapshots under ``root``, the oldest first."""
    known = [
        (said["known_at"], folder.name, folder)
        for folder in (root.iterdir() if root.is_dir() else ())
        if not folder.name.startswith(".") and (said := manifest(folder)) is not None
    ]
    return [folder for _, _, folder in sorted(known)]


def _remove_old(root: Path, taken: Path, *, keep: int) -> None:
    """Remove what is beyond ``keep``, and what a killed run left more than a day ago."""
    found = _complete(root)
    for folder in found[: max(0, min(len(found) - keep, found.index(taken)))]:
        _remove(folder)
        log.info("removed snapshot %s", folder)
    for folder in root.glob(f"{UNFINISHED}*"):
        with suppress(FileNotFoundError):  # another run may be removing it
            if time.time() - folder.stat().st_mtime > STALE_S:
                shutil.rmtree(folder, ignore_errors=True)


def _remove(folder: Path) -> None:
    """Hide the folder first, so that a kill leaves nothing half removed that looks complete."""
    hidden = folder.with_name(f"{UNFINISHED}{folder.name}-{secrets.token_hex(4)}")
    try:
        folder.rename(hidden)
        shutil.rmtree(hidden, ignore_errors=True)
    except OSError as error:
        log.warning("could not remove %s: %s", folder, error.strerror)
