"""Where the state of a checkout lies: its folder, its secrets and the ports it listens on.

Everything is under ``var/`` of the checkout or under ``$PORTRAIT_HOME``; what holds a password
is readable by its owner only.
"""

import json
import logging
import os
import secrets
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from include.errors import ResourceError

log = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[2]
LOOPBACK = "127.0.0.1"


def home() -> Path:
    """Return the folder of this checkout's state; it need not exist yet."""
    return Path(os.environ.get("PORTRAIT_HOME") or ROOT / "var").absolute()


def folder(home: Path, name: str, *, mode: int = 0o755) -> Path:
    """Return ``home/name``, made when absent."""
    path = home / name
    path.mkdir(mode=mode, parents=True, exist_ok=True)
    return path


def secret(home: Path, name: str, *, make: str | None = None) -> str:
    """Return the secret kept as ``home/secrets/<name>`` (0600); random when it is new.

    ``make`` is what a new one is set to where any text of 32 characters would not do.
    """
    path = folder(home, "secrets", mode=0o700) / name
    if not path.exists():
        write_private(path, make or secrets.token_hex(24))
    return path.read_text()


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # 0600
    with os.fdopen(handle, "w") as file:
        file.write(text)
    Path(temporary).replace(path)


def write_json(path: Path, value: Any) -> None:
    """Keep ``value`` as a private JSON file."""
    write_private(path, json.dumps(value, indent=1, default=str) + "\n")


def read_json(path: Path) -> Any:
    """Return what the file holds; None when it is absent or not JSON."""
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None


def free(port: int) -> bool:
    """Tell whether a server could listen on this port of the loopback address."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def port(home: Path, name: str, first: int) -> int:
    """Return the port ``name`` listens on: the one it had, else the next free one from ``first``.

    The choice is kept in ``run/ports.json``; a move is logged: a BI tool may know the old one.
    """
    known = known_ports(home)
    wanted = known.get(name, first)
    taken = set(known.values()) - {wanted}
    candidates: list[int] = [wanted, *range(first, first + 500)]
    for candidate in candidates:
        if candidate not in taken and free(candidate):
            break
    else:
        raise ResourceError(
            f"{name}: no free port from {first} to {first + 499} on {LOOPBACK}; "
            "end what listens there"
        )
    if candidate != wanted:
        log.warning("port %d is taken by another program: %s uses %d", wanted, name, candidate)
    if known.get(name) != candidate:
        write_json(home / "run" / "ports.json", {**known, name: candidate})
    return candidate


def known_ports(home: Path) -> dict[str, int]:
    """Return the port each server listens on, or listened on when it last ran."""
    ports: dict[str, int] | None = read_json(folder(home, "run") / "ports.json")
    return ports or {}


@contextmanager
def locked(home: Path, name: str) -> Iterator[None]:
    """Hold a lock file while two commands of one checkout would get in each other's way."""
    import fcntl

    with (folder(home, "run") / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
