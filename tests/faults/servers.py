"""Database servers of our own, to be killed and started again: never those of the machine."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pymysql
import pytest

from include.local import postgres, processes

LOOPBACK = "127.0.0.1"
PATIENCE_S = 60
OWNER = "portrait"
ZONE = "Asia/Kolkata"  # of the server, and not that of any session: hours after UTC


@dataclass
class Postgres:
    """The embedded PostgreSQL in a state folder of its own.

    It commits as in production, but for the kernel's own cache, which outlives its crash.
    """

    home: Path
    server: postgres.Server = field(init=False)

    def __post_init__(self) -> None:
        self.server = postgres.start(self.home)
        with self.admin() as admin:
            admin.execute("ALTER SYSTEM SET fsync = off")
            admin.execute("ALTER SYSTEM SET max_prepared_transactions = 5")
        self.crash()
        self.start()

    def url(self, database: str) -> str:
        """The address of a database for its owner."""
        return self.server.url(database, OWNER)

    def admin(self, database: str = "postgres") -> psycopg.Connection:
        """A superuser's session, in autocommit."""
        url = psycopg.conninfo.make_conninfo(self.server.url_admin, dbname=database)
        return psycopg.connect(url, autocommit=True)

    def new_database(self, template: str = "template1") -> str:
        """The name of a database of our own, made from a template."""
        name = f"d_{secrets.token_hex(6)}"
        with self.admin() as admin:
            admin.execute(
                psycopg.sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {}").format(
                    *map(psycopg.sql.Identifier, (name, template, OWNER))
                )
            )
        return name

    def crash(self) -> None:
        """End it as ``pg_ctl stop -m immediate`` does: no goodbye, no checkpoint."""
        process = processes.running(self.home, "postgres")
        assert process is not None, "the server is to be crashed, but it does not run"
        process.send_signal(signal.SIGQUIT)
        process.wait(PATIENCE_S)

    def start(self) -> None:
        """Start it on the port it had; it recovers first."""
        port = self.server.port
        self.server = postgres.start(self.home)
        assert self.server.port == port, f"port {port} was taken meanwhile"


@contextmanager
def own_postgres(home: Path) -> Iterator[Postgres]:
    """A PostgreSQL until the end of the block."""
    try:
        server = Postgres(home)
        yield server
        server.crash()
    finally:
        postgres.remove(home)


def program(*names: str) -> str:
    """Where the first of these programs is; skips the test where none is."""
    places = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])
    for name in names:
        if found := shutil.which(name, path=places):
            return found
    pytest.skip(f"no {' or '.join(names)} on this machine: MariaDB is not installed")


class MariaDB:
    """A MariaDB server in a folder of its own; root has no password, only loopback listens."""

    def __init__(self, home: Path) -> None:
        self.data, self.log = home / "data", home / "mariadb.log"
        self.socket = home / "mariadb.sock"
        self.port = _free_port()
        self._server: subprocess.Popen[bytes] | None = None
        install = program("mariadb-install-db", "mysql_install_db")
        self._program = program("mariadbd", "mysqld")
        self._account = ["--user=root"] if os.geteuid() == 0 else []
        done = subprocess.run(
            [
                *(install, "--no-defaults", f"--datadir={self.data}", "--skip-test-db"),
                *("--auth-root-authentication-method=normal", *self._account),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{install}: {(done.stderr or done.stdout)[-500:]}"
        self.start()

    def start(self) -> None:
        """Start it on its port and wait until it answers."""
        with self.log.open("ab") as log:
            self._server = subprocess.Popen(
                [
                    *(self._program, "--no-defaults", f"--datadir={self.data}", *self._account),
                    *(f"--port={self.port}", f"--bind-address={LOOPBACK}"),
                    *(f"--socket={self.socket}", f"--pid-file={self.data}/server.pid"),
                    *("--skip-name-resolve", "--innodb-buffer-pool-size=64M"),
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=os.environ | {"TZ": ZONE},
            )
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            assert self._server.poll() is None, f"MariaDB ended; its log is {self.log}"
            try:
                self.connect().close()
            except pymysql.err.OperationalError:
                time.sleep(0.05)  # it offers no event to wait for
            else:
                return
        raise AssertionError(f"MariaDB: no answer in {PATIENCE_S} s; its log is {self.log}")

    def crash(self) -> None:
        """kill -9."""
        assert self._server is not None
        self._server.kill()
        self._server.wait(PATIENCE_S)

    def stop(self) -> None:
        """End it, if it runs."""
        if self._server and self._server.poll() is None:
            self.crash()

    def connect(self, database: str | None = None) -> "pymysql.Connection[pymysql.cursors.Cursor]":
        """root's session, in autocommit, in UTC, without locks on gaps between rows."""
        return pymysql.connect(
            **{"host": LOOPBACK, "port": self.port, "user": "root", "database": database},
            **{"charset": "utf8mb4", "autocommit": True, "connect_timeout": 10},
            init_command="SET time_zone = '+00:00', tx_isolation = 'READ-COMMITTED'",
        )

    def new_database(self) -> str:
        """The name of a new, empty database."""
        name = f"d_{secrets.token_hex(6)}"
        with self.connect() as admin, admin.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {name}")
        return name

    def url(self, database: str) -> str:
        """The address of a database as AIRFLOW_CONN_<ID> takes it."""
        return f"mysql://root@{LOOPBACK}:{self.port}/{database}"


@contextmanager
def own_mariadb(home: Path) -> Iterator[MariaDB]:
    """A MariaDB until the end of the block; skips the test where it is not installed."""
    server = MariaDB(home)
    try:
        yield server
    finally:
        server.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])
