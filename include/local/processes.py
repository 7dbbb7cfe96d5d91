"""Start processes that outlive the command, and end them again; never anybody else's.

Each is the leader of its own session, written down in ``run/<name>.json`` with the time it
started: a process id alone may meanwhile belong to another program. Airflow puts every task into
a process group of its own, but keeps the session, so a session is what is ended.
"""

import logging
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import psutil

from include.local import state

log = logging.getLogger(__name__)

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
SAME_START_S = 0.5


@dataclass(frozen=True)
class Account:
    """Whom a process runs as, when not as us."""

    user: int
    group: int


@dataclass(frozen=True)
class Record:
    """What tells a process from a later one of its id: seconds after boot, and which boot.

    Seconds of the calendar would not do: a clock that is put right moves every start time.
    """

    pid: int
    started_s: float
    boot: str


def start(
    home: Path,
    name: str,
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    log_file: Path,
    account: Account | None = None,
) -> psutil.Process:
    """Start ``command`` in a session of its own and write it down as ``name``.

    Its output is appended to ``log_file``; it starts in "/", which every account may enter.
    """
    log_file.parent.mkdir(parents=True, exist_ok=True)
    with log_file.open("ab") as output:
        child = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(env),
            cwd="/",
            start_new_session=True,
            user=account.user if account else None,
            group=account.group if account else None,
            extra_groups=[] if account else None,
        )
    process = psutil.Process(child.pid)
    write_down(home, name, process)
    return process


def write_down(home: Path, name: str, process: psutil.Process) -> None:
    """Remember a process of ours under ``name``."""
    record = Record(process.pid, _started_s(process), _boot())
    state.write_json(_path(home, name), asdict(record))


def running(home: Path, name: str) -> psutil.Process | None:
    """Return the process written down as ``name`` while it lives; None for anybody else's."""
    record = _record(home, name)
    if record is None or _holder(record) != "ours":
        return None
    process = psutil.Process(record.pid)
    return process if alive(process) else None


def stop(
    home: Path,
    name: str,
    *,
    signals: Sequence[int] = (signal.SIGTERM, signal.SIGKILL),
    patience_s: float = 10.0,
) -> bool:
    """End the session written down as ``name``: each signal in turn, until nothing is left.

    Returns whether there was anything to end. A process that only carries the id of ours is left
    alone, and what was written down is forgotten.
    """
    record = _record(home, name)
    if record is None:
        return False
    members = first = _session(record)
    for number in signals:
        for member in members:
            _send(member, number)
        _wait(members, patience_s)
        members = _session(record)  # what was forked meanwhile too
        if not members:
            break
    _path(home, name).unlink(missing_ok=True)
    return bool(first)


def memory_bytes(home: Path, name: str) -> int:
    """Return the memory of a session and of its leader's children, who may have left it.

    Shared pages count once (PSS), where the system tells.
    """
    record, leader = _record(home, name), running(home, name)
    members = {*(_session(record) if record else [])}
    if leader:
        members |= {*leader.children(recursive=True)}
    return sum(map(proportional_bytes, members))


def proportional_bytes(process: psutil.Process) -> int:
    """Return the proportional set size of a process, 0 when it has ended."""
    try:
        memory = process.memory_full_info()
    except psutil.Error:
        return 0
    return int(getattr(memory, "pss", memory.rss))


def alive(process: psutil.Process) -> bool:
    """Tell whether a process still runs; an ended one that nobody has waited for does not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _path(home: Path, name: str) -> Path:
    return state.folder(home, "run") / f"{name}.json"


def _record(home: Path, name: str) -> Record | None:
    values = state.read_json(_path(home, name))
    return Record(**values) if values else None


def _boot() -> str:
    return BOOT_ID.read_text().strip() if BOOT_ID.exists() else f"{psutil.boot_time():.0f}"


def _started_s(process: psutil.Process) -> float:
    return round(process.create_time() - psutil.boot_time(), 2)


def _holder(record: Record) -> Literal["ours", "nobody", "stranger"]:
    """Tell who has the id now."""
    try:
        process = psutil.Process(record.pid)
        ours = abs(_started_s(process) - record.started_s) < SAME_START_S
    except psutil.NoSuchProcess:
        return "nobody"
    if ours and record.boot == _boot():
        return "ours"
    log.warning("process %d was not started from here: left alone", record.pid)
    return "stranger"


def _session(record: Record) -> list[psutil.Process]:
    """Return the living members; the kernel gives a number to no other while a session has it."""
    if _holder(record) == "stranger" or record.boot != _boot():
        return []
    return [process for process in psutil.process_iter() if _belongs(process, record)]


def _belongs(process: psutil.Process, record: Record) -> bool:
    try:
        return os.getsid(process.pid) == record.pid and alive(process)
    except (ProcessLookupError, PermissionError):
        return False


def _send(process: psutil.Process, number: int) -> None:
    try:
        process.send_signal(number)  # psutil compares the start time once more
    except psutil.NoSuchProcess:
        log.debug("process %d ended by itself", process.pid)


def _wait(members: Sequence[psutil.Process], patience_s: float) -> None:
    deadline = time.monotonic() + patience_s
    while any(map(alive, members)) and time.monotonic() < deadline:
        time.sleep(0.02)
