"""Where snapshots lie: a folder of this machine, or any URL that fsspec knows (s3://bucket/x).

A snapshot is complete once its manifest, which comes last, is there. Rename and hard links are
for a local disk only: elsewhere each file is put where it stays, under a name of its own.
Addresses and credentials of a store are those of its fsspec package (``AWS_ENDPOINT_URL``, ...).
"""

import hashlib
import json
import logging
import os
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from fsspec import AbstractFileSystem  # type: ignore[import-untyped]
from fsspec.core import url_to_fs  # type: ignore[import-untyped]

from include import paths
from include.errors import ConfigError, ResourceError
from include.snapshot.schema import SCHEMA

log = logging.getLogger(__name__)

Place = Path | str  # of this machine; a URL

MANIFEST = "manifest.json"
NEEDED = {"run_id", "known_at", "time_zone", "consent_mapped"}
UNFINISHED = ".unfinished-"  # a folder being written or removed
MARK = "unfinished"  # lies in a folder of a store while files are put there
STALE_S = 24 * 3600


def is_local(place: Place) -> bool:
    """A folder of this machine."""
    return "://" not in str(place)


def child(place: Place, name: str) -> Place:
    """What is called ``name`` in a folder."""
    return place / name if isinstance(place, Path) else f"{place.rstrip('/')}/{name}"


def manifest(folder: Place) -> dict[str, Any] | None:
    """What a complete snapshot says of itself; None for any other folder."""
    store, path = _store(folder)
    try:
        said: dict[str, Any] = json.loads(store.cat_file(f"{path}/{MANIFEST}"))
        for entity in SCHEMA:
            with store.open(f"{path}/{_name(said, entity)}") as file:
                if pq.read_metadata(file).num_rows != said["rows"][entity]:
                    return None
        return said if set(said) >= NEEDED else None
    except (OSError, ValueError, KeyError, TypeError):  # ArrowInvalid is a ValueError
        return None


def files(folder: Path) -> dict[str, Path]:
    """Where the Parquet file of each entity is, of ``touched`` too where the snapshot has one."""
    said = json.loads((folder / MANIFEST).read_bytes())
    wanted = [*SCHEMA, "touched"] if said.get("previous") else list(SCHEMA)
    return {entity: folder / f"{entity}.parquet" for entity in wanted}


def local(folder: Place) -> Path:
    """The snapshot and its profiles in a folder of this machine; fetched from a store at need.

    Raises
    ------
    ResourceError
        If the snapshot is gone, the store out of reach, or the disk full.
    """
    if is_local(folder):
        return Path(folder)
    root, _, name = str(folder).rpartition("/")
    target = paths.home() / "fetched" / hashlib.sha256(root.encode()).hexdigest()[:8] / name
    try:
        store, path = _store(folder)
        said = json.loads(store.cat_file(f"{path}/{MANIFEST}"))
        stored = said.pop("files")
        if manifest(target) != said:
            _fetch(store, {stem: f"{path}/{file}" for stem, file in stored.items()}, target, said)
            _remove_others(target.parent, _folders(root))
        for profile in store.glob(f"{path}/profile_*.parquet"):
            _fetch_profile(store, profile, target)
    except failures() as error:
        raise ResourceError(
            f"snapshot: {folder}: {getattr(error, 'strerror', None) or error}; run profile again, "
            "or see that the store answers and the disk has room"
        ) from error
    return target


def _fetch(
    store: AbstractFileSystem, stored: dict[str, str], target: Path, said: dict[str, Any]
) -> None:
    with unfinished(target) as made:
        for stem, file in stored.items():
            store.get_file(file, str(made / f"{stem}.parquet"))
        if target.exists() and manifest(target) != said:  # replaced in the store by another attempt
            remove(target)
        put(made, target, said)
    log.info("fetched snapshot %s", target)


def _fetch_profile(store: AbstractFileSystem, file: str, target: Path) -> None:
    made = target / file.rpartition("/")[2]
    if not made.exists():
        with unfinished(made) as beside:
            store.get_file(file, str(beside / made.name))
            (beside / made.name).replace(made)


def _remove_others(fetched: Path, stored: list[Place]) -> None:
    """Remove what was fetched of snapshots that the store no longer has."""
    names = {str(folder).rpartition("/")[2] for folder in stored}
    for folder in fetched.iterdir():
        if folder.name not in names and not folder.name.startswith("."):
            remove(folder)


def share(made: Path, folder: Place) -> None:
    """Put a profile beside the snapshot that it was computed from, for other machines."""
    if not is_local(folder):
        store, path = _store(folder)
        store.put_file(str(made), f"{path}/{made.name}")


def complete(root: Place) -> list[tuple[Place, dict[str, Any]]]:
    """Complete snapshots in a folder with what they say, the one taken first at first."""
    found = [(folder, said) for folder in _folders(root) if (said := manifest(folder)) is not None]
    return sorted(found, key=lambda each: (taken_at(each[1]), str(each[0])))


def taken_at(said: dict[str, Any]) -> str:
    """When a snapshot was taken; those of old were read at the moment that they show."""
    return str(said.get("taken_at", said["known_at"]))


@contextmanager
def unfinished(folder: Place) -> Iterator[Path]:
    """A local folder to write the snapshot ``folder`` in; it is gone at the end."""
    if isinstance(folder, Path):
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = folder.with_name(f"{UNFINISHED}{folder.name}-{secrets.token_hex(4)}")
    else:
        made = Path(tempfile.mkdtemp(prefix=f"{UNFINISHED.strip('.')}"))
    try:
        made.mkdir(exist_ok=not isinstance(folder, Path))
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def put(made: Path, folder: Place, said: dict[str, Any]) -> None:
    """Give what lies in ``made`` its place, with its manifest, durably and all at once."""
    if isinstance(folder, Path):
        _write(made / MANIFEST, said)
        _rename(made, folder)
    else:
        _upload(made, folder, said)


def remove(folder: Place) -> None:
    """Hide a snapshot first, so that a kill leaves nothing half removed that looks complete."""
    store, path = _store(folder)
    try:
        if isinstance(folder, Path):
            hidden = folder.with_name(f"{UNFINISHED}{folder.name}-{secrets.token_hex(4)}")
            folder.rename(hidden)
            shutil.rmtree(hidden, ignore_errors=True)
        else:
            store.pipe_file(f"{path}/{MARK}", b"")
            store.rm_file(f"{path}/{MANIFEST}")
            store.rm(path, recursive=True)
    except OSError as error:
        log.warning("could not remove %s: %s", folder, error.strerror or error)


def remove_stale(root: Place) -> None:
    """Remove what a killed run left more than a day ago."""
    if isinstance(root, Path):
        for hidden in root.glob(f"{UNFINISHED}*"):
            with suppress(FileNotFoundError):  # another run may be removing it
                if time.time() - hidden.stat().st_mtime > STALE_S:
                    shutil.rmtree(hidden, ignore_errors=True)
        return
    store, _ = _store(root)
    for folder in _folders(root):
        path = _store(folder)[1]
        with suppress(FileNotFoundError):
            age_s = time.time() - store.modified(f"{path}/{MARK}").timestamp()
            if age_s > STALE_S and not store.exists(f"{path}/{MANIFEST}"):
                store.rm(path, recursive=True)


def failures() -> tuple[type[Exception], ...]:
    """What a place raises that is full, absent or out of reach: OSError, and S3's own."""
    of_s3 = sys.modules.get("botocore.exceptions")  # loaded once a bucket was asked for
    return (OSError, of_s3.BotoCoreError) if of_s3 else (OSError,)


def _store(place: Place) -> tuple[AbstractFileSystem, str]:
    """The file system of a place and the path in it; what it listed earlier is forgotten."""
    try:
        store, path = url_to_fs(str(place))
    except (ValueError, ImportError) as error:
        raise ConfigError(
            f"PORTRAIT_SNAPSHOTS={place}: {error}; install its fsspec package or give a folder"
        ) from error
    store.invalidate_cache()
    return store, path.rstrip("/")


def _name(said: dict[str, Any], entity: str) -> str:
    return str(said.get("files", {}).get(entity, f"{entity}.parquet"))


def _folders(root: Place) -> list[Place]:
    store, path = _store(root)
    if not store.isdir(path):
        return []
    names = [str(each).rstrip("/").rpartition("/")[2] for each in store.ls(path, detail=False)]
    return [child(root, name) for name in sorted(names) if not name.startswith(".")]


def _write(path: Path, said: dict[str, Any]) -> None:
    with path.open("w", encoding="utf-8") as file:
        json.dump(said, file, indent=2)
        file.flush()
        os.fsync(file.fileno())


def _upload(made: Path, folder: str, said: dict[str, Any]) -> None:
    """Put every file under a name that no other attempt has; the manifest tells which count."""
    store, path = _store(folder)
    token = secrets.token_hex(4)
    names = {file.stem: f"{file.stem}-{token}.parquet" for file in sorted(made.glob("*.parquet"))}
    if not store.isdir(path):
        store.mkdir(path, create_parents=False)  # a bucket that was mistyped is not made
    store.pipe_file(f"{path}/{MARK}", b"")
    for stem, name in names.items():
        store.put_file(str(made / f"{stem}.parquet"), f"{path}/{name}")
    text = json.dumps({**said, "files": names}, indent=2)
    store.pipe_file(f"{path}/{MANIFEST}", text.encode())
    store.rm_file(f"{path}/{MARK}")


def _rename(made: Path, folder: Path) -> None:
    """Give the folder its name; a damaged snapshot of that name makes way."""
    _sync(made)
    if (folder / MANIFEST).exists() and manifest(folder) is None:
        remove(folder)
    try:
        made.rename(folder)
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
