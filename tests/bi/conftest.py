"""A warehouse that two publishes filled, and a Superset that shows it: made once for all tests."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import psycopg
import pytest
from rich.console import Console

from docs import screenshots
from include.errors import ResourceError
from include.local import airflow, bi, crm, postgres, state
from tests.flow import command
from tests.flow.conftest import Place, nothing_set

PUBLISHED = ("2026-02-02", "2026-03-02")
CUSTOMERS, DAYS, LAST_DAY = 2500, 600, date(2026, 3, 1)  # enough for every model to be of use
UNREACHABLE = r"Failed to fetch|error sending request|tcp connect error|dns error|timed out"


@pytest.fixture(scope="package")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The demo's CRM, and what two runs of the whole flow made of it."""
    home = tmp_path_factory.mktemp("filled")
    with nothing_set():
        server = postgres.start(home, durable=False)
        try:
            place = Place(home, server)
            settings = airflow.environment(home, metadata="airflow_run")
            command.warm_up(settings)  # goes on beside the next two
            support = state.folder(home, "demo") / "support.sqlite"
            with psycopg.connect(server.url("shop")) as shop:
                crm.generate(shop, support, customers=CUSTOMERS, days=DAYS, last_day=LAST_DAY)
            state.write_json(home / "run" / "demo.json", {"kind": "generated"})
            airflow.migrate(home, settings)
            for day in PUBLISHED:
                answer = place.run(AS_OF=day)
                assert answer.status == 0, answer
            yield place
        finally:
            postgres.remove(home)


@pytest.fixture(scope="package")
def environment() -> None:
    """Superset's own environment, as `make bi` installs it."""
    try:
        bi.install(Console())
    except ResourceError as error:
        if re.search(UNREACHABLE, str(error)):
            pytest.skip(f"the package index cannot be reached, so no Superset: {error}")
        raise


@pytest.fixture(scope="package")
def dashboard(
    filled: Place, environment: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, bi.Login]]:
    """A state folder with a Superset that runs, showing ``filled`` as `make bi` does."""
    home = tmp_path_factory.mktemp("superset")
    url = filled.server.url("warehouse", postgres.reader())
    try:
        with nothing_set(PORTRAIT_BI_URL=url, AIRFLOW_CONN_WAREHOUSE=filled.server.url()):
            bi.bi(home, Console())
        login = bi.known(home)
        assert login
        yield home, login
    finally:
        bi.stop(home)


@pytest.fixture(scope="package")
def tab(dashboard: tuple[Path, bi.Login]) -> Iterator[screenshots.Command]:
    """A tab of a headless browser."""
    if not any(map(shutil.which, screenshots.BROWSERS)):
        _install_chromium()
    with screenshots.browser() as tab:
        yield tab


def _install_chromium() -> None:
    """On Debian as root, as in CI; elsewhere its owner decides what is installed."""
    if os.geteuid() or not shutil.which("apt-get"):
        pytest.skip(f"none of {', '.join(screenshots.BROWSERS)} is on the PATH; install one")
    quiet = {"check": True, "capture_output": True}
    subprocess.run(["apt-get", "update"], **quiet)
    subprocess.run(
        ["apt-get", "install", "-y", "--no-install-recommends", "chromium"],
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        **quiet,
    )
