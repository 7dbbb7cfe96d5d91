"""Airflow on this machine: its environment, and its four processes in the background.

Every port is on the loopback address. Airflow's log servers cannot be bound to it (3.3.2 listens
on all interfaces), so they are not run: the API server reads the log files of this machine itself.
The scheduler's health server is off for the same reason; the heartbeats tell.
"""

import base64
import hashlib
import json
import logging
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from include import sources
from include.errors import ResourceError
from include.local import postgres, processes, state
from include.local.rest import Client, NotAnswering, Refused

log = logging.getLogger(__name__)

METADATA = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
COMPONENTS = {
    "api-server": ["api-server"],
    "scheduler": ["scheduler", "--skip-serve-logs"],
    "dag-processor": ["dag-processor"],
    "triggerer": ["triggerer", "--skip-serve-logs"],
}
HEARTBEATS = ("scheduler", "dag_processor", "triggerer")
FIRST_PORT = 8080
PATIENCE_S = 240.0
TUNED = {  # measured: 6 tasks in 6 s instead of 13 s, 12 processes instead of 40
    "AIRFLOW__CORE__PARALLELISM": "4",
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1",
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "10",
    "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
    "AIRFLOW__CORE__DAGS_FOLDER": str(state.ROOT / "dags"),
    "AIRFLOW__CORE__PLUGINS_FOLDER": str(state.ROOT / "plugins"),
}
FIXED = {
    "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__EXECUTE_TASKS_NEW_PYTHON_INTERPRETER": "False",
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
    "AIRFLOW__DATABASE__LOAD_DEFAULT_CONNECTIONS": "False",
    "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
    "AIRFLOW__API__HOST": state.LOOPBACK,
    "AIRFLOW__API__WORKERS": "1",
    "GX_ANALYTICS_ENABLED": "false",
}


def environment(home: Path, *, metadata: str = "airflow") -> dict[str, str]:
    """Return everything that Airflow and the library need to be told, beside ``os.environ``.

    The databases are the embedded ones unless the environment names others; the demo's CRM is on
    when it was made and no other source is. ``metadata`` is the embedded database of Airflow.
    """
    embedded = postgres.known(home)
    port = state.known_ports(home).get("ui", FIRST_PORT)
    address = f"http://{state.LOOPBACK}:{port}"
    defaults = TUNED | {
        METADATA: embedded.url(metadata).replace("postgresql:", "postgresql+psycopg2:", 1),
        "AIRFLOW_CONN_WAREHOUSE": _airflow_uri(embedded.url("warehouse")),
    }
    return {
        **{name: os.environ.get(name) or value for name, value in defaults.items()},
        **FIXED,
        **_secrets(home),
        **_demo(home, embedded),
        "AIRFLOW_HOME": str(home / "airflow"),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "secrets" / "ui.json"),
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": address,
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{address}/execution/",
        "PYTHONPATH": _joined(str(state.ROOT), os.environ.get("PYTHONPATH")),
        "NO_PROXY": _joined(f"{state.LOOPBACK},localhost", os.environ.get("NO_PROXY"), by=","),
    }


def needs_embedded() -> bool:
    """Tell whether the warehouse or Airflow's metadata are in the embedded PostgreSQL."""
    return not (os.environ.get("AIRFLOW_CONN_WAREHOUSE") and os.environ.get(METADATA))


def _joined(first: str, rest: str | None, *, by: str = os.pathsep) -> str:
    return first if not rest or first in rest.split(by) else f"{first}{by}{rest}"


def _airflow_uri(url: str) -> str:
    return url.replace("postgresql:", "postgres:", 1)


def fernet_key() -> str:
    """Return a new key of the kind that Airflow encrypts connections with."""
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def _secrets(home: Path) -> dict[str, str]:
    return {
        "AIRFLOW__CORE__FERNET_KEY": state.secret(home, "fernet", make=fernet_key()),
        "AIRFLOW__API__SECRET_KEY": state.secret(home, "api"),
        "AIRFLOW__API_AUTH__JWT_SECRET": state.secret(home, "jwt"),
    }


def _demo(home: Path, embedded: postgres.Server) -> dict[str, str]:
    """Switch the demo's CRM on: made here, nothing said otherwise, no other source on."""
    made = state.read_json(home / "run" / "demo.json")
    if not made or sources.switched_on():
        return {}
    connections = {
        "AIRFLOW_CONN_SHOP": _airflow_uri(embedded.url("shop")),
        "AIRFLOW_CONN_SUPPORT": f"sqlite:///{home / 'demo' / 'support.sqlite'}",
    }
    if made["kind"] == "file":  # the real shop: long past, and British
        connections |= {"PORTRAIT_CRON": "off", "PORTRAIT_DOMAIN": "british_gifts"}
    return connections


def migrate(home: Path, env: Mapping[str, str]) -> None:
    """Bring Airflow's metadata database to this version; once a version and database.

    Raises
    ------
    ResourceError
        With the last line that Airflow said.
    """
    from importlib.metadata import version

    wanted = f"{version('apache-airflow')} {hashlib.sha256(env[METADATA].encode()).hexdigest()}"
    path = home / "airflow" / "migrated.json"
    done: list[str] = state.read_json(path) or []
    if wanted in done:
        return
    command = [sys.executable, "-m", "airflow", "db", "migrate"]
    told = subprocess.run(
        command, env={**os.environ, **env}, capture_output=True, text=True, check=False
    )
    log_file = state.folder(home, "log") / "migrate.log"
    log_file.write_text(told.stdout + told.stderr)
    if told.returncode:
        last = (told.stderr.strip() or told.stdout.strip() or "no output").splitlines()[-1]
        raise ResourceError(f"Airflow's metadata database: {last}; all of it is in {log_file}")
    state.write_json(path, [*done, wanted])


def start(home: Path) -> Client:
    """Start Airflow in the background and wait until every part of it is alive.

    What still runs of an earlier start from here is ended first.

    Raises
    ------
    ResourceError
        If a part ends, or is not alive within four minutes; the message names its log.
    """
    try:
        client = _launch(home)
    except ResourceError:
        port = state.known_ports(home)["ui"]
        stop(home)
        if state.free(port):
            raise
        client = _launch(home)  # another program took the port while Airflow was starting
    login = {"url": client.url, "user": client.user, "password": client.password}
    state.write_json(home / "run" / "ui.json", login)
    log.info("Airflow answers at %s", client.url)
    return client


def _launch(home: Path) -> Client:
    stop(home)
    port = state.port(home, "ui", FIRST_PORT)
    env = {**os.environ, **environment(home)}
    password = state.secret(home, "admin")
    state.write_private(home / "secrets" / "ui.json", json.dumps({"admin": password}))
    migrate(home, env)
    began = datetime.now(UTC)
    for name, arguments in COMPONENTS.items():
        command = [sys.executable, "-m", "airflow", *arguments]
        processes.start(home, name, command, env=env, log_file=home / "log" / f"{name}.log")
    client = Client(f"http://{state.LOOPBACK}:{port}", "admin", password)
    _wait(home, client, began)
    return client


def _wait(home: Path, client: Client, began: datetime) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while missing := _missing(client, began):
        for name in COMPONENTS:
            if processes.running(home, name) is None:
                raise ResourceError(f"Airflow's {name} ended: {_last_error(home, name)}")
        if time.monotonic() > deadline:
            raise ResourceError(
                f"Airflow: no {', '.join(missing)} after {PATIENCE_S:.0f} s; "
                f"see {home / 'log'}, then `make demo` again"
            )
        time.sleep(0.2)


def _missing(client: Client, began: datetime) -> list[str]:
    """Return the parts without a heartbeat since ``began``: older ones are of an earlier start."""
    try:
        health = client.get("/api/v2/monitor/health")
    except (NotAnswering, Refused):  # refused: another checkout's Airflow took the port meanwhile
        return ["api-server"]
    return [part for part in HEARTBEATS if not _fresh(health.get(part) or {}, part, began)]


def _fresh(part: dict[str, str], name: str, began: datetime) -> bool:
    beat = part.get(f"latest_{name}_heartbeat")
    return (
        part.get("status") == "healthy"
        and beat is not None
        and (datetime.fromisoformat(beat) > began)
    )


def _last_error(home: Path, name: str) -> str:
    path = home / "log" / f"{name}.log"
    lines = [line.strip() for line in path.read_text(errors="replace").splitlines()]
    errors = [line for line in lines if "error" in line.lower()] or lines or ["no output"]
    return f"{errors[-1][:300]}; all of it is in {path}"


def stop(home: Path) -> list[str]:
    """End what runs of Airflow, all parts at once; return the names of those that ran."""
    with ThreadPoolExecutor(len(COMPONENTS)) as pool:
        ended = list(pool.map(lambda name: processes.stop(home, name), COMPONENTS))
    (home / "run" / "ui.json").unlink(missing_ok=True)
    return [name for name, ran in zip(COMPONENTS, ended, strict=True) if ran]
