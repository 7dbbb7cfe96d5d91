"""``make doctor``: what this machine, this state folder and each source lack, one line a check."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from include import connections, sources, warehouse
from include.errors import PortraitError
from include.local import airflow, postgres, processes, source_doctor, state
from include.local.findings import Finding, show
from include.local.probes.postgres import PostgresProbe

NEEDED_GB = 3.0
OWN = {"AIRFLOW_CONN_WAREHOUSE", airflow.METADATA}
SUBJECT_WIDTH = 22


def doctor(home: Path, console: Console) -> int:
    """Print every finding; return how many are bad."""
    settings = airflow.environment(home)
    own = [name for name in sorted(OWN) if os.environ.get(name)]
    console.print(f"set by you: {', '.join(own) or 'neither database, so both are embedded'}")
    os.environ.update(settings)
    bad = sum(show(console, check(home)) for check in CHECKS)
    with warehouse_where_it_answers() as db:
        for name in sources.switched_on():
            console.print()
            bad += show(console, crm(home, name, db), width=SUBJECT_WIDTH)
    return bad


@contextmanager
def warehouse_where_it_answers() -> Iterator[PostgresProbe | None]:
    """The warehouse, open; None where it is not to be reached, which ``database`` has said."""
    try:
        probe = PostgresProbe("warehouse")
    except PortraitError:
        yield None
        return
    try:
        yield probe
    finally:
        probe.close()


def python(_: Path) -> Iterator[Finding]:
    """The version that the lock is made for."""
    version = ".".join(map(str, sys.version_info[:3]))
    good = (3, 11) <= sys.version_info[:2] < (3, 14)
    yield Finding("python", good, version if good else f"{version}; install 3.11, 3.12 or 3.13")


def disk(home: Path) -> Iterator[Finding]:
    """Room for databases, logs and snapshots."""
    existing = next(path for path in (home, *home.parents) if path.exists())
    free_gb = shutil.disk_usage(existing).free / 1e9
    good = free_gb >= NEEDED_GB
    more = "" if good else f"; the demo needs {NEEDED_GB:.0f}: set PORTRAIT_HOME to another disk"
    yield Finding("disk", good, f"{free_gb:.1f} GB free at {existing}{more}")


def ports(home: Path) -> Iterator[Finding]:
    """Whose the ports are that would be asked for first."""
    wanted = {"postgres": postgres.FIRST_PORT, "ui": airflow.FIRST_PORT}
    serving = {"postgres": "postgres", "ui": "api-server"}
    for name, port in (wanted | state.known_ports(home)).items():
        if processes.running(home, serving[name]):
            yield Finding("port", True, f"{port}: {name} of this checkout")
        elif state.free(port):
            yield Finding("port", True, f"{port}: free for {name}")
        else:
            yield Finding("port", None, f"{port}: another program's; {name} will take the next")


def database(home: Path) -> Iterator[Finding]:
    """Whether the warehouse answers, and has the tables of this version."""
    embedded = postgres.known(home).url("warehouse") == connections.address("warehouse").url
    if embedded and not postgres.running(home):
        yield Finding("PostgreSQL", None, "not running; `make run` and `make demo` start it")
        return
    try:
        with connections.connect("warehouse") as db:
            version, where = db.info.server_version // 10000, connections.address("warehouse").where
            yield Finding("PostgreSQL", version >= 14, f"{version} answers at {where}")
            same = warehouse.deployed(db) == warehouse.fingerprint()
    except PortraitError as error:
        yield Finding("PostgreSQL", False, str(error))
        return
    said = "those of this version" if same else "not of this version; the next run deploys them"
    yield Finding("contracts", same or None, said)


def sources_on(_: Path) -> Iterator[Finding]:
    """Which sources there are to look at; each has a block of its own below."""
    on = ", ".join(sources.switched_on())
    names = ", ".join(sources.names()) or "none yet"
    none = f"none is on; set AIRFLOW_CONN_ of one (known: {names})"
    yield Finding("sources", True if on else None, f"on: {on}" if on else none)


def crm(home: Path, name: str, warehouse: PostgresProbe | None) -> Iterator[Finding]:
    """The block of one source; of one in the embedded server, not before that runs."""
    try:
        source = sources.load(name)
        place = connections.address(source.connection)
    except PortraitError as error:
        yield Finding(name, False, str(error))
        return
    embedded = place.dialect == "postgres" and place.url == postgres.known(home).url(place.database)
    if embedded and not postgres.running(home):
        yield Finding(name, None, "the demo's, not running; `make demo` starts it")
    else:
        yield from source_doctor.examine(source, warehouse)


def ui(home: Path) -> Iterator[Finding]:
    """Whether Airflow's parts run."""
    for name in airflow.COMPONENTS:
        process = processes.running(home, name)
        said = f"runs (pid {process.pid})" if process else "not running; `make demo` starts it"
        yield Finding("Airflow", True if process else None, f"{name} {said}")


CHECKS: tuple[Callable[[Path], Iterator[Finding]], ...] = (
    python,
    disk,
    ports,
    database,
    ui,
    sources_on,
)
