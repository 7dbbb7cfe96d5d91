"""A real PostgreSQL for every test that needs one, and the public data sets where they are."""

import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).parent.parent
TOGETHER = {"flow", "bi"}  # folders whose tests share what takes a minute to make


class Together(LoadScopeScheduling):
    """The tests of a file, or of a folder of ``TOGETHER``, run in one of the processes."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        folder = Path(file).parts[1]
        return folder if folder in TOGETHER else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Together:
    """How the processes of `make test` share the tests."""
    return Together(config, log)


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server on loopback: the embedded one, or PORTRAIT_TEST_POSTGRES (a superuser's URL)."""
    if given := os.environ.get("PORTRAIT_TEST_POSTGRES"):
        yield given
        return
    from include.local import postgres

    home = tmp_path_factory.mktemp("home")
    try:
        yield postgres.start(home, durable=False).url_admin
    finally:
        postgres.remove(home)


def _database(postgres_url: str, template: str = "template1") -> tuple[str, str]:
    name = f"portrait_test_{secrets.token_hex(6)}"
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
    return name, psycopg.conninfo.make_conninfo(postgres_url, dbname=name)


def _drop(postgres_url: str, name: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def empty_database(postgres_url: str) -> Iterator[str]:
    """The conninfo of a fresh database without a table."""
    name, url = _database(postgres_url)
    yield url
    _drop(postgres_url, name)


@pytest.fixture(scope="session")
def deployed_template(postgres_url: str) -> Iterator[str]:
    """A database with every contract deployed, to be cloned."""
    from include import warehouse

    name, url = _database(postgres_url)
    with psycopg.connect(url) as db:
        warehouse.deploy(db)
    yield name
    _drop(postgres_url, name)


@pytest.fixture
def warehouse_url(postgres_url: str, deployed_template: str) -> Iterator[str]:
    """The conninfo of a fresh database with every contract deployed."""
    name, url = _database(postgres_url, deployed_template)
    yield url
    _drop(postgres_url, name)


@pytest.fixture
def warehouse(warehouse_url: str) -> Iterator[psycopg.Connection]:
    """A connection to a fresh database with every contract deployed."""
    with psycopg.connect(warehouse_url, options="-c timezone=UTC") as db:
        yield db


@pytest.fixture
def shared_data() -> Callable[[str], Path]:
    """Where a public data set lies; skips the test where it does not."""

    def find(name: str) -> Path:
        path = ROOT.parent / "shared" / "data" / name
        if not path.exists():
            pytest.skip(f"no ../shared/data/{name} beside this checkout")
        return path

    return find
