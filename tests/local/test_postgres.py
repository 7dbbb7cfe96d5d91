"""The embedded PostgreSQL: who may come in, from where, and what survives."""

import logging
import os
import pwd
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import psycopg
import pytest

from include.local import cluster, postgres, processes, state

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs it as another account")


@pytest.fixture(scope="module")
def home():
    """A state folder that every account may enter, as a checkout usually is."""
    path = Path(tempfile.mkdtemp(prefix="portrait-"))
    path.chmod(0o755)
    yield path
    postgres.remove(path)
    shutil.rmtree(path)


@pytest.fixture
def server(home):
    return postgres.start(home, durable=False)


def one(url: str, query: str):
    with psycopg.connect(url) as db:
        return db.execute(query).fetchone()[0]


def pid(home: Path) -> int:
    return processes.running(home, "postgres").pid


@pytest.mark.parametrize("role", ["postgres", "portrait", "bi_reader"])
@pytest.mark.parametrize("password", ["", ":wrong"])
def test_nobody_comes_in_without_the_password(server, role, password):
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(f"postgresql://{role}{password}@127.0.0.1:{server.port}/warehouse")


def test_passwords_are_kept_as_scram_and_readable_by_their_owner_only(home, server):
    kinds = "SELECT bool_and(rolpassword LIKE 'SCRAM-SHA-256$%') FROM pg_authid WHERE rolcanlogin"
    assert one(server.url_admin, kinds) is True
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (home / "secrets").iterdir()}
    assert modes == {0o600}
    assert not any(password in repr(server) for password in server.passwords.values())


def test_it_listens_on_the_loopback_address_and_on_no_socket_file(home, server):
    process = psutil.Process(pid(home))
    listening = [link for link in process.net_connections("all") if link.status == "LISTEN"]
    assert {link.laddr.ip for link in listening if link.family != socket.AF_UNIX} == {"127.0.0.1"}
    assert one(server.url_admin, "SHOW unix_socket_directories") == ""


def test_the_owner_makes_tables_and_lets_the_reader_read(server):
    with psycopg.connect(server.url()) as db:
        db.execute("CREATE SCHEMA bi; CREATE TABLE bi.segment AS SELECT 'loyal' AS name")
        db.execute("GRANT USAGE ON SCHEMA bi TO bi_reader; GRANT SELECT ON bi.segment TO bi_reader")
        db.execute("ALTER ROLE bi_reader SET statement_timeout = '60s'")
    assert one(server.url(role="bi_reader"), "SELECT name FROM bi.segment") == "loyal"


@pytest.mark.parametrize("statement", ["CREATE TEMP TABLE t (a int)", "CREATE SCHEMA mine"])
def test_the_reader_cannot_write_even_when_it_switches_read_only_off(server, statement):
    with psycopg.connect(server.url(role="bi_reader")) as db:
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            db.execute("CREATE TABLE public.t (a int)")
        db.rollback()
        db.execute("SET default_transaction_read_only = off")
        db.commit()
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            db.execute(statement)


@pytest.mark.parametrize("database", ["airflow", "shop", "postgres"])
def test_the_reader_enters_the_warehouse_only(server, database):
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(server.url(database, "bi_reader"))


def test_a_second_start_finds_the_first(home, server):
    before = pid(home)
    assert postgres.start(home, durable=False) == server
    assert pid(home) == before


def test_a_restart_keeps_data_port_and_passwords(home, server):
    with psycopg.connect(server.url()) as db:
        db.execute("CREATE TABLE kept AS SELECT 7 AS n")
    assert postgres.stop(home) is True
    assert postgres.running(home) is False
    assert postgres.start(home, durable=False) == server
    assert one(server.url(), "SELECT n FROM kept") == 7


def test_it_comes_back_after_kill_minus_nine(home, server):
    with psycopg.connect(server.url()) as db:
        db.execute("SET synchronous_commit = on; CREATE TABLE committed AS SELECT 8 AS n")
    killed = processes.running(home, "postgres")
    killed.kill()
    killed.wait()
    assert one(postgres.start(home, durable=False).url(), "SELECT n FROM committed") == 8


def test_a_pid_file_whose_number_went_to_another_program_is_stale(home, server):
    postgres.stop(home)
    account = cluster.account()  # PostgreSQL fears a process of its own account only
    stranger = subprocess.Popen(["sleep", "60"], user=account.user if account else None)
    try:
        lines = [str(stranger.pid), str(cluster.data(home)), "1", str(server.port), "", "", "", ""]
        (cluster.data(home) / "postmaster.pid").write_text("\n".join(lines))
        assert postgres.start(home, durable=False) == server
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_server_whose_record_was_lost_is_still_ours(home, server):
    (home / "run" / "postgres.json").unlink()
    assert postgres.running(home) is True
    assert postgres.stop(home) is True
    assert postgres.running(home) is False


def test_a_taken_port_is_left_for_the_next_free_one_and_said(home, server, caplog):
    postgres.stop(home)
    with socket.create_server(("127.0.0.1", server.port)), caplog.at_level(logging.WARNING):
        moved = postgres.start(home, durable=False)
        postgres.stop(home)
    assert moved.port != server.port
    assert f"port {server.port} is taken by another program" in caplog.text
    assert one(postgres.start(home, durable=False).url(), "SELECT 1") == 1
    assert postgres.known(home).port == moved.port


@ROOT_ONLY
def test_as_root_the_server_is_nobodys_and_no_account_is_added(home, server):
    nobody = pwd.getpwnam("nobody")
    assert set(psutil.Process(pid(home)).uids()) == {nobody.pw_uid}
    assert cluster.place(home) == home / "postgres"


@ROOT_ONLY
def test_where_nobody_cannot_enter_the_files_lie_outside_and_that_is_said(caplog):
    closed = Path(tempfile.mkdtemp(prefix="portrait-"))  # 0700
    try:
        with caplog.at_level(logging.WARNING):
            server = postgres.start(closed / "var", durable=False)
        outside = cluster.place(closed / "var")
        assert outside.parent == cluster.OUTSIDE
        assert str(outside) in caplog.text
        assert one(server.url(), "SELECT 1") == 1
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    finally:
        postgres.remove(closed / "var")
        shutil.rmtree(closed)
    assert not outside.exists()


UNPRIVILEGED = """
import os, sys
from pathlib import Path
from include.local import cluster, postgres
server = postgres.start(Path(sys.argv[1]), durable=False)
import psycopg
with psycopg.connect(server.url()) as db:
    print(os.geteuid(), db.execute("SELECT 1").fetchone()[0], cluster.place(Path(sys.argv[1])))
postgres.stop(Path(sys.argv[1]))
"""


@ROOT_ONLY
def test_an_ordinary_user_needs_no_copy_and_no_other_account():
    nobody = pwd.getpwnam("nobody")
    home = Path(tempfile.mkdtemp(prefix="portrait-"))
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    try:
        done = subprocess.run(
            [enterable_python(), "-c", UNPRIVILEGED, home],
            env={"PYTHONPATH": f"{state.ROOT}:{Path(psycopg.__file__).parents[1]}"},
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
            user=nobody.pw_uid,
            group=nobody.pw_gid,
            extra_groups=[],
        )
        assert done.stdout.split() == [str(nobody.pw_uid), "1", str(home / "postgres")], done.stderr
        assert [path.name for path in (home / "postgres").iterdir()] == ["data"]
    finally:
        shutil.rmtree(home)


def enterable_python() -> str:
    """An interpreter of this version that every account may run; root's own may lie in /root."""
    own = Path(sys.executable).resolve()
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for path in (own, Path("/usr/local/bin", name), Path("/usr/bin", name)):
        if path.exists() and all(above.stat().st_mode & 0o001 for above in path.resolve().parents):
            return str(path)
    pytest.skip(f"no {name} that another account may run")
