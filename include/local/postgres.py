"""The embedded PostgreSQL: the binaries of a wheel, on the loopback address, with passwords.

The wheel's own launcher listens on a socket without passwords and, as root, adds an account and
opens every folder above the data to everybody; hence this one.

    server = start(state.home())              # at once while it runs
    server.url("warehouse")                   # as the owner of the databases
    server.url("warehouse", "bi_reader")
"""

import logging
import os
import shutil
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql

from include.errors import ResourceError
from include.local import cluster, processes, state

log = logging.getLogger(__name__)

ADMIN, OWNER = "postgres", "portrait"
DATABASES = ("warehouse", "airflow", "airflow_run", "shop")  # airflow_run: that of `make run`
FIRST_PORT = 54321
PATIENCE_S = 60.0
SETTINGS = {
    "listen_addresses": state.LOOPBACK,
    "unix_socket_directories": "",
    "shared_buffers": "512MB",
    "work_mem": "64MB",
    "maintenance_work_mem": "256MB",
    "jit": "off",
    "max_wal_size": "4GB",
    "wal_level": "minimal",  # nothing replicates it, and new tables then need no log
    "max_wal_senders": "0",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
TEMPORARY = {  # nothing has to survive a power cut
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "128MB",
}
PASSING = ("pre-existing shared memory block", "lock file")  # until a killed one's rest is gone


@dataclass(frozen=True)
class Server:
    """A server that answers; ``repr`` shows no password."""

    port: int
    url_admin: str = field(repr=False)
    passwords: dict[str, str] = field(repr=False)

    def url(self, database: str = "warehouse", role: str = OWNER) -> str:
        """Return the address of a database for its owner or for the reader of BI."""
        return _url(role, self.passwords[role], self.port, database)


def reader() -> str:
    """Return the name of the role that BI reads with."""
    return os.environ.get("PORTRAIT_BI_ROLE") or "bi_reader"


def start(home: Path, *, durable: bool = True) -> Server:
    """Start the server of this state folder, made at the first time, and return how to reach it.

    Parameters
    ----------
    home : the state folder; data, port and passwords are kept in it over restarts.
    durable : False for tests: faster, and a power cut may cost the data.

    Raises
    ------
    ResourceError
        If it does not answer within a minute, or its files do not fit this version.
    """
    with state.locked(home, "postgres"):
        if not running(home):
            cluster.initialise(home, password=state.secret(home, ADMIN), durable=durable)
            _launch(home, SETTINGS if durable else SETTINGS | TEMPORARY)
            prepare(known(home))
        return known(home)


def stop(home: Path) -> bool:
    """End the server after its last checkpoint; tell whether it ran."""
    _adopt(home)
    signals = (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL)
    return processes.stop(home, "postgres", signals=signals, patience_s=30)


def running(home: Path) -> bool:
    """Tell whether the server of this state folder runs and answers."""
    _adopt(home)
    process = processes.running(home, "postgres")
    return process is not None and _ready(home, process)


def remove(home: Path) -> None:
    """Stop the server and delete its files, those outside ``home`` included."""
    stop(home)
    shutil.rmtree(cluster.place(home), ignore_errors=True)


def known(home: Path) -> Server:
    """Return how the server is reached, whether or not it runs."""
    passwords = {role: state.secret(home, role) for role in (ADMIN, OWNER, reader())}
    port = state.known_ports(home).get("postgres", FIRST_PORT)
    return Server(port, _url(ADMIN, passwords[ADMIN], port, "postgres"), passwords)


def _url(role: str, password: str, port: int, database: str) -> str:
    return f"postgresql://{quote(role)}:{quote(password)}@{state.LOOPBACK}:{port}/{database}"


def _pid_file(home: Path) -> list[str]:
    """Return the lines of postmaster.pid: the first is the process id, the eighth its state."""
    try:
        return (cluster.data(home) / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []


def _ready(home: Path, process: psutil.Process) -> bool:
    lines = [line.strip() for line in _pid_file(home)]
    return lines[:1] == [str(process.pid)] and lines[7:8] == ["ready"]


def _numbered(home: Path) -> psutil.Process | None:
    """Return the living process that has the number in postmaster.pid, whatever it is."""
    lines = _pid_file(home)
    if not lines or not lines[0].strip().isdigit():
        return None
    try:
        process = psutil.Process(int(lines[0]))
    except psutil.NoSuchProcess:
        return None
    return process if processes.alive(process) else None


def _serving(home: Path) -> psutil.Process | None:
    """Return the process that postmaster.pid names, if it is a server of this very data.

    After a machine's restart the number may have gone to any other program, and PostgreSQL
    itself asks only whether it is in use.
    """
    process = _numbered(home)
    try:
        ours = process is not None and str(cluster.data(home)) in process.cmdline()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None
    return process if ours else None


def _adopt(home: Path) -> None:
    """Write a server of this data down again, when only what was written down is lost."""
    process = _serving(home)
    if process and processes.running(home, "postgres") is None:
        processes.write_down(home, "postgres", process)


def _launch(home: Path, settings: dict[str, str]) -> None:
    """Start the server on a free port and wait until it answers."""
    deadline = time.monotonic() + PATIENCE_S
    log_file = home / "log" / "postgres.log"
    options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
    while True:
        if _numbered(home) and _serving(home) is None:
            (cluster.data(home) / "postmaster.pid").unlink()  # its number went to another program
        port = state.port(home, "postgres", FIRST_PORT)
        start = log_file.stat().st_size if log_file.exists() else 0
        process = processes.start(
            home,
            "postgres",
            [cluster.programs(home) / "postgres", "-D", cluster.data(home), f"-p{port}", *options],
            env=cluster.ENVIRONMENT,
            log_file=log_file,
            account=cluster.account(),
        )
        while processes.alive(process) and time.monotonic() < deadline:
            if _ready(home, process):
                log.info("PostgreSQL answers on %s:%d", state.LOOPBACK, port)
                return
            time.sleep(0.02)
        _give_up_unless_passing(log_file, start, deadline)
        time.sleep(0.2)


def _give_up_unless_passing(log_file: Path, start: int, deadline: float) -> None:
    """Raise what a start that failed says, unless the next try may succeed."""
    with log_file.open("rb") as file:
        file.seek(start)
        said = file.read().decode(errors="replace")
    taken = "Address already in use" in said  # by someone quicker than us: try the next port
    if time.monotonic() < deadline and (taken or any(reason in said for reason in PASSING)):
        return
    fatal = [line for line in said.splitlines() if "FATAL" in line or "PANIC" in line]
    reason = fatal[0].split("] ", 1)[-1] if fatal else f"no answer within {PATIENCE_S:.0f} s"
    raise ResourceError(f"PostgreSQL: {reason}; its log is {log_file}")


def prepare(server: Server) -> None:
    """Make the roles and databases that are missing; reset passwords that were made anew."""
    try:
        db = psycopg.connect(server.url_admin, autocommit=True)
    except psycopg.OperationalError as error:
        raise ResourceError(
            f"PostgreSQL: {' '.join(str(error).split())}; when var/secrets was lost, "
            "`make clean` starts anew"
        ) from error
    with db:
        for role, rights in ((OWNER, "LOGIN CREATEROLE"), (reader(), "LOGIN NOINHERIT")):
            if not _exists(db, "SELECT 1 FROM pg_roles WHERE rolname = %s", role):
                db.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))
            password = db.pgconn.encrypt_password(  # so that no log ever holds it
                server.passwords[role].encode(), role.encode(), b"scram-sha-256"
            )
            db.execute(
                sql.SQL("ALTER ROLE {} " + rights + " PASSWORD {}").format(
                    sql.Identifier(role), sql.Literal(password.decode())
                )
            )
        for name in DATABASES:
            if not _exists(db, "SELECT 1 FROM pg_database WHERE datname = %s", name):
                owned = sql.SQL("CREATE DATABASE {} OWNER {}")
                db.execute(owned.format(sql.Identifier(name), sql.Identifier(OWNER)))
        _restrict(db)


def _restrict(db: psycopg.Connection) -> None:
    """Let BI's role into the warehouse only, and read only; let its owner grant to it."""
    names = {"reader": sql.Identifier(reader()), "owner": sql.Identifier(OWNER)}
    statements = [
        "ALTER ROLE {reader} SET default_transaction_read_only = on",
        "GRANT {reader} TO {owner} WITH ADMIN TRUE, INHERIT FALSE, SET TRUE",
        "GRANT CONNECT ON DATABASE warehouse TO {reader}",
    ]
    revoke = "REVOKE ALL ON DATABASE {} FROM PUBLIC"
    for statement in statements:
        db.execute(sql.SQL(statement).format(**names))
    for name in (*DATABASES, "postgres"):
        db.execute(sql.SQL(revoke).format(sql.Identifier(name)))


def _exists(db: psycopg.Connection, query: str, name: str) -> bool:
    return db.execute(query, (name,)).fetchone() is not None
