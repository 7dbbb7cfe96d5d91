"""The fault matrix's frame: the marker ``fault``, the seeds, and the page of what was shown.

    @pytest.mark.fault("F13", how="an open transaction with an early stamp, then two loads")
    def test_...(seed): ...

``PORTRAIT_FAULT_SEEDS`` is how many seeds a seeded test runs with (2; `make faults`: 20), and
``PORTRAIT_FAULTS_REPORT`` the page to write when every row of the matrix was run.
"""

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import psycopg
import pytest

from include import warehouse
from tests.faults import matrix, servers
from tests.faults.crms import BILL, GOODS, load
from tests.faults.scene import Scene, postgres_url
from tests.profile.test_engines import engines  # noqa: F401  fixtures, here for all tests
from tests.snapshot.conftest import company, empty_company  # noqa: F401

RESULTS = pytest.StashKey[matrix.Results]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "fault(case, how): shows a row of the fault matrix, F1 to F49; how, in a sentence",
    )
    config.stash[RESULTS] = matrix.Results()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" in metafunc.fixturenames:
        seeds = int(os.environ.get("PORTRAIT_FAULT_SEEDS", "2"))
        metafunc.parametrize("seed", range(1, seeds + 1))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    for marker in item.iter_markers("fault"):
        item.config.stash[RESULTS].add(*marker.args, **marker.kwargs, report=report)
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    page = os.environ.get("PORTRAIT_FAULTS_REPORT")
    if not page or session.config.option.collectonly:
        return
    results = session.config.stash[RESULTS]
    if missing := results.not_run():
        print(f"\n{page} is not written: no test of {', '.join(missing)} was run")
    else:
        Path(page).write_text(results.page())
    if results.unshown():
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture
def form(seed: int) -> str:
    """By turns: it happens to the first load of a table, or to a next one."""
    return "first" if seed % 2 else "next"


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.MariaDB]:
    """A MariaDB of our own; skips where it is not installed."""
    with servers.own_mariadb(tmp_path_factory.mktemp("mariadb")) as server:
        yield server


@pytest.fixture
def scene(tmp_path: Path, empty_database: str, warehouse_url: str) -> Iterator[Scene]:
    """A CRM in PostgreSQL, a warehouse, and the mapping between them."""
    made = Scene(
        tmp_path,
        lambda: psycopg.connect(empty_database, autocommit=True),
        "postgres",
        postgres_url(empty_database),
        postgres_url(warehouse_url),
    )
    yield made
    made.end()


@pytest.fixture
def mysql_scene(tmp_path: Path, mariadb: servers.MariaDB, warehouse_url: str) -> Iterator[Scene]:
    """The same with the CRM in MariaDB."""
    database = mariadb.new_database()
    made = Scene(
        tmp_path,
        lambda: mariadb.connect(database),
        "mysql",
        mariadb.url(database),
        postgres_url(warehouse_url),
    )
    yield made
    made.end()


@pytest.fixture(scope="session")
def own_warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Postgres]:
    """A server that may crash, its database ``warehouse`` deployed."""
    with servers.own_postgres(tmp_path_factory.mktemp("own_warehouse")) as server:
        with psycopg.connect(server.url("warehouse")) as db:
            warehouse.deploy(db)
        yield server


@pytest.fixture(scope="session")
def own_source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Postgres]:
    """A server for CRMs that may crash, asks for passwords, and can prepare transactions."""
    with servers.own_postgres(tmp_path_factory.mktemp("own_source")) as server:
        yield server


@pytest.fixture
def own_scene(tmp_path: Path, own_source: servers.Postgres, warehouse_url: str) -> Iterator[Scene]:
    """A scene whose CRM is on that server, and read by its owner."""
    crm_url = own_source.url(own_source.new_database())
    made = Scene(
        tmp_path,
        lambda: psycopg.connect(crm_url, autocommit=True),
        "postgres",
        postgres_url(crm_url),
        postgres_url(warehouse_url),
    )
    yield made
    made.end()


@pytest.fixture(params=["first", "later"])
def later(request):
    """Whether the load is the first of its table: then it takes another way."""
    return request.param == "later"


@pytest.fixture
def goods(crm, warehouse, later):
    """An empty table of goods."""
    crm.create("goods", sku="key", title="text", price="money", kind="text")
    if later:
        load(warehouse, GOODS, run_id="r0")
    return crm


@pytest.fixture
def bills(crm, warehouse, later):
    """An empty table of bills."""
    crm.create("bills", id="key", at="moment", total="money")
    if later:
        load(warehouse, BILL, "customer_order", run_id="r0")
    return crm
