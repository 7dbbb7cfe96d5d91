"""The warehouse at one moment as a folder of Parquet files, immutable once it has its name.

Everything that learns or scores reads a snapshot, never the live warehouse. It holds no personal
data, and it is a cache: it can be taken again any time, for any moment since the first landing.
"""

import hashlib
import json
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
from psycopg import sql
from psycopg.pq import TransactionStatus

from include import domains
from include.errors import InputError, ResourceError
from include.snapshot import place, versions
from include.snapshot.place import MANIFEST, Place, files, local, manifest, share
from include.snapshot.schema import SCHEMA
from include.snapshot.stream import write_parquet
from include.snapshot.versions import State
from include.warehouse import Connection, text

__all__ = [
    "MANIFEST", "SCHEMA", "files", "knowledge", "local", "manifest", "newest", "share", "take",
]  # fmt: skip

log = logging.getLogger(__name__)

HERE = Path(__file__).parent
TOUCHED = pa.schema([("customer_id", pa.int64())])
SETTINGS = """
SET LOCAL datestyle = 'ISO, YMD';
SET LOCAL jit = off;
SET LOCAL work_mem = '64MB';
-- it would sort millions of orders to find some
SET LOCAL enable_mergejoin = off;
-- unsorted entities come in the order in which they are stored
SET LOCAL max_parallel_workers_per_gather = 0;
SET LOCAL synchronize_seqscans = off
"""
Taken = list[tuple[Place, dict[str, Any]]]  # snapshots, and what their manifests say


@dataclass(frozen=True)
class Moment:
    """What is there to be written, before it is."""

    given: datetime | None  # the moment that was asked for; None: now
    taken_at: datetime
    settled_at: datetime  # up to it every version is surely seen
    states: dict[str, State]
    queries: dict[str, sql.Composed]  # entity -> its rows
    prints: dict[str, str]  # entity -> a hash of all that decides its rows
    settings: str  # a hash of what decides rows but the warehouse

    @property
    def known_at(self) -> datetime:
        """The moment of the versions that are read."""
        return self.given or self.taken_at

    @property
    def consent_mapped(self) -> bool:
        """A source says who consented."""
        return not self.states["landing.consent"].empty

    def known_from(self) -> dict[str, str]:
        """Since when each source is known; of a time before it only what it says of dates."""
        firsts: dict[str, datetime] = {}
        for table, state in self.states.items():
            for source, first in state.known_from.items() if table.startswith("landing") else ():
                firsts[source] = min(first, firsts.get(source, first))
        return {source: first.isoformat() for source, first in sorted(firsts.items())}


def take(
    db: Connection,
    root: Place,
    *,
    run_id: str,
    known_at: datetime | None = None,
    keep: int = 3,
) -> Place:
    """Write every entity as it was known at a moment into a new folder and return it.

    All entities are read in one repeatable-read transaction. The folder gets its name only when it
    is complete and on disk; a kill leaves a hidden one, which a later run removes. Where a snapshot
    with the same rows is kept, that one is returned; an entity that has not changed since a kept
    one is a hard link to its file.

    Parameters
    ----------
    db : a connection to the warehouse, outside a transaction.
    root : where the snapshots lie; made when absent. A URL (s3://bucket/x) is a str.
    run_id : names the folder.
    known_at : with an offset; None: now. Before a source's first landing nothing of it is known.
    keep : how many to keep; older ones are removed by best effort.

    Raises
    ------
    InputError
        If ``db`` is inside a transaction: what it saw then may be older than now. If ``known_at``
        is yet to come, or has no offset.
    ConfigError
        If nothing that is installed knows the URL.
    ResourceError
        If the disk is full, the name taken by something else, or the store out of reach.
    QualityError
        If a landed value has no place in the schema.
    """
    folder = place.child(root, _folder_name(run_id))
    if db.info.transaction_status != TransactionStatus.IDLE:
        raise InputError("snapshot: the connection is in a transaction; commit it, then take one")
    try:
        if manifest(folder) is not None:
            log.info("snapshot %s is there already", folder)
            return folder
        kept = place.complete(root)
        settled = _outside(db)
        with place.unfinished(folder) as made, _one_moment(db):
            moment = _look(db, known_at, settled)
            if same := _same(kept, moment):
                log.info("nothing new since snapshot %s: it is used again", same)
                return same
            said = _write(db, made, moment, kept)
            place.put(made, folder, {"run_id": run_id, **said})
    except place.failures() as error:
        raise ResourceError(
            f"snapshot: {folder}: {getattr(error, 'strerror', None) or error}; make room or set "
            "another folder, then run again; nothing was kept"
        ) from error
    log.info("took snapshot %s of %d rows", folder, sum(said["rows"].values()))
    _remove_old(root, keep=keep)
    return folder


def knowledge(folder: Path) -> dict[str, Any]:
    """What a model card says of how far what was known then is honoured, small and JSON-able."""
    said = json.loads((folder / MANIFEST).read_bytes())
    return {
        "at": said["known_at"],
        "sources_since": said.get("known_from", {}),
        "before": "of a day before its source's first landing only the dates in the rows are "
        "honoured, not what was known then",
    }


def newest(root: Place) -> Place | None:
    """The complete snapshot that was taken last, or None."""
    found = place.complete(root)
    return found[-1][0] if found else None


def _folder_name(run_id: str) -> str:
    safe = re.sub(r"[^A-Za-z0-9_+-]+", "-", run_id).strip("-")[:100]
    if safe == run_id:
        return safe
    return f"{safe or 'run'}-{hashlib.sha256(run_id.encode()).hexdigest()[:8]}"


def _outside(db: Connection) -> datetime:
    with db.transaction():
        return versions.settled_at(db)


def _look(db: Connection, known_at: datetime | None, settled: datetime) -> Moment:
    """See what there is at a moment, without reading it."""
    db.execute(SETTINGS)
    [now] = db.execute("SELECT now()").fetchone() or [settled]
    versions.require_past(known_at, now)
    domain = domains.load()
    texts = {entity: (HERE / f"{entity}.sql").read_text(encoding="utf-8") for entity in SCHEMA}
    values = {
        "zone": domain.time_zone,
        "left_out": list(domain.test_order_statuses),
        "staff": list(domain.noise.staff_email_domains),
        "tests": list(domain.noise.test_names),
        "count_once": domain.noise.duplicate_lines == "count_once",
    }
    literals = {name: sql.Literal(value) for name, value in values.items()}
    named = {entity: versions.tables(query) for entity, query in texts.items()}
    states = {
        table: versions.state(db, table, known_at) for table in sorted(set().union(*named.values()))
    }
    return Moment(
        given=known_at,
        taken_at=now,
        settled_at=min(settled, known_at or settled),
        states=states,
        queries={
            entity: text(versions.known(query, known_at)).format(**literals)
            for entity, query in texts.items()
        },
        prints={
            entity: _hash(query, str(SCHEMA[entity]), values, *(states[t].counts for t in tables))
            for (entity, query), tables in zip(texts.items(), named.values(), strict=True)
        },
        settings=_hash(texts, {entity: str(schema) for entity, schema in SCHEMA.items()}, values),
    )


def _hash(*made_of: Any) -> str:
    return hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:32]


def _same(kept: Taken, moment: Moment) -> Place | None:
    """The last kept snapshot that has the rows of ``moment``."""
    return next((f for f, said in reversed(kept) if said.get("prints") == moment.prints), None)


def _write(db: Connection, made: Path, moment: Moment, kept: Taken) -> dict[str, Any]:
    """Write the files into ``made``; return what the manifest says."""
    rows = {}
    for entity, schema in SCHEMA.items():
        path = made / f"{entity}.parquet"
        linked = _linked(path, kept, moment.prints[entity])
        if linked is None:
            rows[entity] = write_parquet(db, moment.queries[entity], schema, path)
        else:
            rows[entity] = linked
    return {
        "known_at": moment.known_at.isoformat(),
        "settled_at": moment.settled_at.isoformat(),
        "taken_at": moment.taken_at.isoformat(),
        "known_from": moment.known_from(),
        "time_zone": domains.load().time_zone,
        "rows": rows,
        "consent_mapped": moment.consent_mapped,
        "prints": moment.prints,
        "settings": moment.settings,
        "previous": _touched(db, made / "touched.parquet", moment, kept),
    }


def _linked(path: Path, kept: Taken, wanted: str) -> int | None:
    """Link ``path`` to a kept file with the same rows; their number, or None: it is to be read."""
    for folder, said in reversed(kept):
        if isinstance(folder, Path) and said.get("prints", {}).get(path.stem) == wanted:
            try:
                os.link(folder / path.name, path)
            except OSError as error:  # removed meanwhile, or a file system without links
                log.info("%s is read again: %s", path.stem, error.strerror)
                return None
            return int(said["rows"][path.stem])
    return None


def _touched(db: Connection, path: Path, moment: Moment, kept: Taken) -> dict[str, Any] | None:
    """Write who changed since the snapshot of the last moment before; None without one.

    Rows that were made by other settings cannot be compared; nor does a row tell what it means
    that a source maps consents for the first time.
    """
    before = [
        (datetime.fromisoformat(said["known_at"]), folder, said)
        for folder, said in kept
        if said.get("settings") == moment.settings
        and said["consent_mapped"] == moment.consent_mapped
    ]
    before = [each for each in before if each[0] <= moment.known_at]
    if not before:
        return None
    known_at, folder, said = max(before, key=lambda each: each[0])
    since = datetime.fromisoformat(said["settled_at"])
    query = versions.between((HERE / "touched.sql").read_text(), since, moment.given)
    start, end = sql.Literal(since), sql.Literal(moment.given or versions.NEVER)
    changed = text("(v.valid_from >= {} OR v.valid_to <= {})").format(start, end)
    filled = text(query).format(changed=changed, since=start)
    customers = write_parquet(db, filled, TOUCHED, path)
    return {"folder": str(folder), "known_at": known_at.isoformat(), "touched": customers}


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


def _remove_old(root: Place, *, keep: int) -> None:
    """Remove what is beyond ``keep``, and what a killed run left more than a day ago."""
    found = place.complete(root)
    for folder, _ in found[: max(0, len(found) - keep)]:
        place.remove(folder)
        log.info("removed snapshot %s", folder)
    place.remove_stale(root)
