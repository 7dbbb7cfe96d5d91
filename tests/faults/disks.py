"""Small disks to fill up, and an embedded PostgreSQL that has its files on them."""

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from include import warehouse
from include.local import cluster, postgres

MB = 1 << 20
PATIENCE_S = 60


@dataclass(frozen=True)
class Disk:
    """A mounted tmpfs."""

    folder: Path

    @contextmanager
    def full(self, *, but_bytes: int) -> Iterator[None]:
        """Take all of its room but a rest; give it back at the end."""
        room, ballast = os.statvfs(self.folder), self.folder / "ballast"
        with ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, room.f_bavail * room.f_frsize - but_bytes)
        try:
            yield
        finally:
            ballast.unlink()


@contextmanager
def small_disk(size_bytes: int) -> Iterator[Disk]:
    """Mount an empty disk that every account may enter; skip the test where nobody may mount."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount a small tmpfs")
    folder = Path(tempfile.mkdtemp(prefix="portrait_disk_"))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes},mode=755", "portrait", str(folder)]
    try:
        folder.chmod(0o755)
        mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
        if mounted.returncode:
            pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.strip()}")
        try:
            yield Disk(folder)
        finally:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
    finally:
        folder.rmdir()


@dataclass(frozen=True)
class Cluster:
    """A server whose WAL and catalogues lie on one disk, and room for tables on another."""

    server: postgres.Server
    home: Disk
    space: Disk

    def admin(self) -> psycopg.Connection:
        """A connection outside any transaction."""
        return psycopg.connect(self.server.url_admin, autocommit=True)

    def create(self, database: str, *, tables_in_space: bool) -> str:
        """Make a warehouse; its tables, or else its temporary files, lie in the space."""
        tables, temporary = ("space", "") if tables_in_space else ("pg_default", "space")
        self.recover()  # where a test before this one broke off
        name = sql.Identifier(database)
        with self.admin() as db:
            db.execute(
                sql.SQL("CREATE DATABASE {} TABLESPACE {}").format(name, sql.Identifier(tables))
            )
            db.execute(
                sql.SQL("ALTER DATABASE {} SET temp_tablespaces = {}").format(
                    name, sql.Literal(temporary)
                )
            )
        url = self.server.url(database, postgres.ADMIN)
        with psycopg.connect(url) as db:
            warehouse.deploy(db)
        return url

    def recover(self) -> None:
        """Wait until a server that went down answers again."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            postgres.start(self.home.folder, durable=False)
            try:
                return self.admin().close()
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.1)


@contextmanager
def cluster_on_small_disks(*, home_bytes: int, space_bytes: int) -> Iterator[Cluster]:
    """Start a server on two disks of its own; it and they are gone at the end."""
    with small_disk(home_bytes) as home, small_disk(space_bytes) as space:
        tables = space.folder / "tables"
        tables.mkdir(mode=0o700)
        account = cluster.account()
        assert account is not None
        os.chown(tables, account.user, account.group)
        try:
            server = postgres.start(home.folder, durable=False)
            with psycopg.connect(server.url_admin, autocommit=True) as db:
                db.execute(
                    sql.SQL("CREATE TABLESPACE space LOCATION {}").format(sql.Literal(str(tables)))
                )
            yield Cluster(server, home, space)
        finally:
            postgres.stop(home.folder)
