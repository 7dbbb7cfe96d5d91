"""``make bi``: a dashboard on the published tables, in Apache Superset on this machine.

Superset has an environment of its own (``.venv-bi``): it needs other versions of nearly all that
Airflow needs. It reads the warehouse as BI's role, and listens on the loopback address only.
"""

import hashlib
import io
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx
import psycopg
import yaml
from rich.console import Console

from include.errors import InputError, ResourceError
from include.local import postgres, processes, state

log = logging.getLogger(__name__)

FOLDER = state.ROOT / "bi"
DASHBOARD = FOLDER / "dashboard"
LOCK, CONFIG = FOLDER / "requirements.txt", FOLDER / "superset_config.py"
ENVIRONMENT = state.ROOT / ".venv-bi"
PYTHON = ENVIRONMENT / "bin" / "python"
DATABASE = "databases/warehouse.yaml"
NAME = "superset"  # of the process
FIRST_PORT = 8088
PATIENCE_S = 180.0
PYTHONS = ("3.11", "3.12")  # what Superset 6.1.0 pins has no wheels for a later one
SERVER = (
    "superset.app:create_app()",
    "--workers=1",  # one person's; its own database is a file
    "--threads=8",
    "--worker-class=gthread",
    "--timeout=120",
)
NOT_PASSED_ON = ("AIRFLOW", "PORTRAIT", "PYTHON", "SUPERSET", "FLASK")


@dataclass(frozen=True)
class Login:
    """Where Superset answers, and who may enter."""

    url: str
    user: str
    password: str = field(repr=False)


def bi(home: Path, console: Console) -> None:
    """Start Superset with the dashboard of ``bi/dashboard``; a second call changes nothing.

    Raises
    ------
    PortraitError
        In one line: nothing is published yet, no address of the warehouse, or what Superset said.
    """
    with state.locked(home, "bi"):
        warehouse = address(home)
        _refuse_empty(warehouse)
        install(console)
        login, started = serve(home, console)
        imported = _import_if_new(home, login, warehouse)
    if not (imported or started):
        console.print("nothing to do: the dashboard is there and as in bi/dashboard")
    for line in (
        f"dashboard {login.url}/superset/dashboard/portrait/",
        f"Superset  {login.url}  user {login.user}  password {login.password}",
    ):
        console.print(line, soft_wrap=True, highlight=False)


def stop(home: Path) -> bool:
    """End Superset; tell whether it ran."""
    (home / "run" / "bi.json").unlink(missing_ok=True)
    return processes.stop(home, NAME)


def address(home: Path) -> str:
    """Return the URL of the warehouse for BI's role: PORTRAIT_BI_URL, else the embedded one.

    Raises
    ------
    InputError
        If the warehouse is another one and no URL is given.
    """
    if given := os.environ.get("PORTRAIT_BI_URL"):
        return re.sub(r"^postgres(ql)?(\+\w+)?:", "postgresql:", given)
    if os.environ.get("AIRFLOW_CONN_WAREHOUSE"):
        raise InputError(
            "PORTRAIT_BI_URL is not set, and the warehouse is that of AIRFLOW_CONN_WAREHOUSE; "
            f"set it to postgresql://{postgres.reader()}:PASSWORD@HOST/DATABASE"
        )
    return postgres.start(home).url("warehouse", postgres.reader())


def _refuse_empty(warehouse: str) -> None:
    try:
        with psycopg.connect(warehouse) as db:
            found = db.execute("SELECT count(*) FROM bi.freshness").fetchone()
    except psycopg.errors.UndefinedTable:
        found = None
    except psycopg.Error as error:
        said = " ".join(str(error).split())
        raise InputError(f"warehouse: {said}; PORTRAIT_BI_URL is BI's address of it") from error
    if not found or not found[0]:
        raise InputError(
            "bi: nothing is published yet; `make demo` or `make run` first, with the same warehouse"
        )


def install(console: Console) -> None:
    """Bring the environment of Superset to its lock, unless it is there.

    Raises
    ------
    ResourceError
        If no Python is new and old enough, or with the last lines of the installer.
    """
    wanted, mark = _hash(LOCK.read_bytes()), ENVIRONMENT / "installed"
    with state.locked(ENVIRONMENT, "install"):
        if mark.exists() and mark.read_text() == wanted:
            return
        console.print("installing Superset into .venv-bi (650 MB, once)", highlight=False)
        uv = _tool()
        _run([uv, "venv", "--allow-existing", "--python", _python(), ENVIRONMENT], "uv venv")
        _run([uv, "pip", "sync", "--python", PYTHON, "--require-hashes", LOCK], "uv pip sync")
        mark.write_text(wanted)


def _tool() -> str:
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if not uv:
        raise ResourceError("bi: no uv beside this Python; call it as `make bi`")
    return uv


def _python() -> str:
    """Return a Python that Superset runs on: this one, else one on the PATH."""
    if f"{sys.version_info.major}.{sys.version_info.minor}" in PYTHONS:
        return sys.executable
    found = next(filter(None, (shutil.which(f"python{version}") for version in PYTHONS)), None)
    if found is None:
        raise ResourceError(f"bi: Superset runs on Python {' or '.join(PYTHONS)}; install one")
    return found


def _run(command: Sequence[str | Path], name: str, env: dict[str, str] | None = None) -> None:
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, env=env
    )
    if done.returncode:
        said = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        reason = " ".join(said[-4:])[:500] or "no output"
        raise ResourceError(f"{name}: {reason}; mend that, then `make bi` again")


def serve(home: Path, console: Console) -> tuple[Login, bool]:
    """Start Superset unless it runs; return how to enter, and whether it was started now.

    Raises
    ------
    ResourceError
        If it ends, or does not answer within three minutes; the message names its log.
    """
    key, password = state.secret(home, "bi_key"), state.secret(home, "bi_admin")
    wanted = _hash(LOCK.read_bytes(), CONFIG.read_bytes(), key.encode(), password.encode())
    mark = state.folder(home, "bi", mode=0o700) / "prepared"
    prepared = mark.exists() and mark.read_text() == wanted
    if prepared and processes.running(home, NAME) and (login := known(home)):
        return login, False
    stop(home)
    env = {name: value for name, value in os.environ.items() if not name.startswith(NOT_PASSED_ON)}
    env |= {
        "SUPERSET_HOME": str(home / "bi"),
        "SUPERSET_SECRET_KEY": key,
        "SUPERSET_CONFIG_PATH": str(CONFIG),
    }
    if not prepared:
        console.print("preparing Superset's own database", highlight=False)
        _run([PYTHON, FOLDER / "prepare.py"], "Superset", env | {"PORTRAIT_BI_PASSWORD": password})
        mark.write_text(wanted)
    return _launch(home, env, password), True


def _launch(home: Path, env: dict[str, str], password: str) -> Login:
    port = state.port(home, "bi", FIRST_PORT)
    log_file = home / "log" / "superset.log"
    command: list[str | Path] = [
        PYTHON,
        "-m",
        "gunicorn",
        f"--bind={state.LOOPBACK}:{port}",
        *SERVER,
    ]
    processes.start(home, NAME, command, env=env, log_file=log_file)
    login = Login(f"http://{state.LOOPBACK}:{port}", "admin", password)
    _wait(home, login, log_file)
    state.write_json(home / "run" / "bi.json", asdict(login))
    return login


def known(home: Path) -> Login | None:
    """Return how to enter the Superset that was started from here; None when it was stopped."""
    values = state.read_json(home / "run" / "bi.json")
    return Login(**values) if values else None


def charts() -> int:
    """Return how many charts the dashboard has."""
    return len(list((DASHBOARD / "charts").glob("*.yaml")))


def _wait(home: Path, login: Login, log_file: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if processes.running(home, NAME) is None:
            raise ResourceError(f"Superset ended; its log is {log_file}")
        try:
            if httpx.get(f"{login.url}/health", trust_env=False).text == "OK":
                return
        except httpx.TransportError:
            time.sleep(0.2)
    raise ResourceError(f"Superset: no answer within {PATIENCE_S:.0f} s; its log is {log_file}")


@contextmanager
def session(login: Login) -> Iterator[httpx.Client]:
    """Sign in as a browser does; what is sent carries the token against forged requests.

    Raises
    ------
    ResourceError
        If Superset does not know the password.
    """
    with httpx.Client(base_url=login.url, trust_env=False, timeout=120) as client:
        token = _token(client)
        form = {"username": login.user, "password": login.password, "csrf_token": token}
        client.post("/login/", data=form)
        if client.get("/api/v1/me/").status_code != httpx.codes.OK:
            raise ResourceError(f"Superset: {login.url} refuses {login.user}; `make clean` first")
        answer = client.get("/api/v1/security/csrf_token/").json()["result"]
        client.headers.update({
            "X-CSRFToken": answer,
            "Referer": login.url,
            "Accept": "application/json",
        })
        yield client


def _token(client: httpx.Client) -> str:
    page = client.get("/login/").text
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
    return found[1] if found else ""


def _import_if_new(home: Path, login: Login, warehouse: str) -> bool:
    """Import the dashboard when it or the warehouse's address is not what it was."""
    files = sorted(DASHBOARD.rglob("*.yaml"))
    parts = [part for path in files for part in (path.name.encode(), path.read_bytes())]
    wanted = _hash(*parts, warehouse.encode())
    mark = home / "bi" / "imported"
    if mark.exists() and mark.read_text() == wanted:
        return False
    with session(login) as client:
        import_dashboard(client, warehouse)
    mark.write_text(wanted)
    return True


def import_dashboard(client: httpx.Client, warehouse: str, folder: Path = DASHBOARD) -> None:
    """Send the files to Superset: they replace those of the same uuid, and nothing else.

    Raises
    ------
    ResourceError
        If Superset refuses them: it tells its log what is wrong with which file, and nobody else.
    """
    parts = urlsplit(warehouse)
    password = {DATABASE: unquote(parts.password or "")}
    masked = parts._replace(netloc=f"{parts.username}:XXXXXXXXXX@{parts.netloc.split('@')[-1]}")
    answer = client.post(
        "/api/v1/assets/import/",
        files={"bundle": ("portrait.zip", bundle(folder, masked.geturl()), "application/zip")},
        data={"passwords": json.dumps(password)},
    )
    if answer.status_code != httpx.codes.OK:
        said = " ".join(answer.text.split())[:300]
        raise ResourceError(
            f"Superset refuses {folder}: {said}; log/superset.log in the state folder says why"
        )


def bundle(folder: Path, warehouse: str) -> bytes:
    """Return the files as the zip that Superset imports, with this address of the warehouse."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*.yaml")):
            name, text = path.relative_to(folder).as_posix(), path.read_text()
            if name == DATABASE:
                text = yaml.safe_dump({**yaml.safe_load(text), "sqlalchemy_uri": warehouse})
            archive.writestr(f"portrait/{name}", text)
    return packed.getvalue()


def _hash(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()
