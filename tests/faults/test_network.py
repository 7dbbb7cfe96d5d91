"""Servers that restart and networks that fail, in the middle of a load: it fails, within a bound,
with nothing done, and the next one does it all.
"""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.faults import servers
from tests.faults.proxy import Proxy, can_be_silent
from tests.faults.scene import (
    WIRE_BYTES,
    Ended,
    Scene,
    assert_completed_by_the_next,
    chance,
    postgres_url,
    prepare,
    until,
)

GONE = {
    "ResourceError",
    "psycopg.OperationalError",
    "psycopg.errors.AdminShutdown",
    "psycopg.errors.CrashShutdown",
    "pymysql.err.OperationalError",
}
FILLER = 2000  # bytes a row, so that no buffer takes in what the network does not
BOUND_S = 30
QUICK = {  # what a load's own settings take a minute for
    "connect_timeout": 2,
    "keepalives_idle": 1,
    "keepalives_interval": 1,
    "keepalives_count": 1,
    "tcp_user_timeout": 2000,
    "options": "-c tcp_keepalives_idle=1 -c tcp_keepalives_interval=1 -c tcp_keepalives_count=1",
}


@pytest.fixture
def falling_warehouse(
    tmp_path: Path, empty_database: str, own_warehouse: servers.Postgres
) -> Iterator[Scene]:
    """A scene whose warehouse may crash."""
    made = Scene(
        tmp_path,
        lambda: psycopg.connect(empty_database, autocommit=True),
        "postgres",
        postgres_url(empty_database),
        postgres_url(own_warehouse.url(own_warehouse.new_database("warehouse"))),
    )
    yield made
    made.end()


def assert_failed(ended: Ended) -> None:
    """With the error of a database that is gone, and with no other."""
    assert ended.status == 1, ended.said
    found = re.findall(r"^([\w.]+): ", ended.said, re.MULTILINE)
    assert GONE.issuperset(found[-1:]), ended.said


@pytest.mark.fault(
    "F6",
    how="the server is stopped with -m immediate while a COPY stands half way, and started again "
    "before or after the loader sees it",
)
def test_a_warehouse_that_restarts_keeps_nothing_of_the_load(
    form, seed, falling_warehouse, own_warehouse
):
    scene, comes_back_first = falling_warehouse, seed % 4 < 2
    prepare(scene, form, seed)
    before = scene.state()
    with Proxy(scene.ports["crm"]) as network:
        network.fail("stall", after_bytes=amount(seed))
        load = scene.start("run", crm=network.port)
        assert network.failed.wait(BOUND_S), "the load ended before the network stopped"
        own_warehouse.crash()
        if comes_back_first:
            own_warehouse.start()
        network.mend()
        assert_failed(load.wait(BOUND_S))
    if not comes_back_first:
        own_warehouse.start()
    assert_completed_by_the_next(scene, before, form)


@pytest.mark.fault(
    "F7", how="the server is killed and started again while it waits to send the rest of the rows"
)
@pytest.mark.parametrize("kind", ["postgres", "mysql"])
def test_a_source_that_restarts_is_never_read_short(kind, form, seed, request):
    crm = "own_scene" if kind == "postgres" else "mysql_scene"
    server = request.getfixturevalue("own_source" if kind == "postgres" else "mariadb")
    scene: Scene = request.getfixturevalue(crm)
    prepare(scene, form, seed, filler=FILLER)
    before = scene.state()
    with Proxy(scene.ports["crm"]) as network:
        network.fail("stall", after_bytes=amount(seed))
        load = scene.start("run", crm=network.port)
        assert network.failed.wait(BOUND_S), "the load ended before the network stopped"
        until(lambda: is_sending(scene), "the source waits to send")
        server.crash()
        server.start()
        network.mend()
        assert_failed(load.wait(BOUND_S))
    scene.crm = scene.open_crm()
    assert_completed_by_the_next(scene, before, form)


def is_sending(scene: Scene) -> bool:
    """Tell whether the source has rows left that the network does not take."""
    query = {
        "postgres": "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'ClientWrite'",
        "mysql": """SELECT count(*) FROM information_schema.processlist
                    WHERE state IN ('Writing to net', 'Sending data')""",
    }[scene.dialect]
    with scene.crm.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchone() == (1,)


@pytest.mark.fault(
    "F8", how="a proxy resets the connection after a random number of bytes: source or warehouse"
)
@pytest.mark.parametrize("place", ["postgres crm", "mysql crm", "postgres warehouse"])
def test_a_network_that_is_cut_leaves_nothing_of_the_load(place, form, seed, request):
    scene, end = placed(place, request)
    prepare(scene, form, seed)
    before = scene.state()
    with Proxy(scene.ports[end]) as network:
        network.fail("cut", after_bytes=amount(seed), direction=towards(end))
        assert_failed(scene.start("run", **{end: network.port}).wait(BOUND_S))
        assert network.failed.is_set()
    assert_completed_by_the_next(scene, before, form)


@pytest.mark.fault(
    "F8",
    how="or drops every packet unanswered; keepalive, user and read timeouts then end the load",
)
@pytest.mark.parametrize("place", ["postgres crm", "mysql crm", "postgres warehouse"])
@pytest.mark.skipif(not can_be_silent(), reason="only Linux can drop packets unanswered")
def test_a_network_that_goes_silent_ends_the_load_within_a_bound(place, request):
    scene, end = placed(place, request)
    prepare(scene, "next", seed=1)
    before = scene.state()
    direct = scene.crm_url, scene.warehouse_url
    scene.crm_url = quick(scene.crm_url)
    scene.warehouse_url = quick(scene.warehouse_url)
    with Proxy(scene.ports[end]) as network:
        network.fail("silent", after_bytes=amount(1), direction=towards(end))
        assert_failed(scene.start("run", **{end: network.port}).wait(BOUND_S))
        assert network.failed.is_set()
        scene.crm_url, scene.warehouse_url = direct
        assert_completed_by_the_next(scene, before, "next")


@pytest.mark.fault(
    "F8",
    how="or passes nothing on while it still answers; an interrupt, as that of Airflow's "
    "execution_timeout, then ends the load",
)
@pytest.mark.parametrize("crm", ["scene", "mysql_scene"])
def test_a_load_that_waits_for_its_source_can_be_interrupted(crm, request):
    scene: Scene = request.getfixturevalue(crm)
    prepare(scene, "next", seed=1)
    before = scene.state()
    with Proxy(scene.ports["crm"]) as network:
        network.fail("stall", after_bytes=amount(1))
        load = scene.start("run", crm=network.port)
        assert network.failed.wait(BOUND_S), "the load ended before the network stopped"
        os.kill(load.process.pid, signal.SIGINT)
        ended = load.wait(BOUND_S)
    assert ended.status == 1
    assert ended.line == "KeyboardInterrupt"
    assert_completed_by_the_next(scene, before, "next")


def placed(place: str, request: pytest.FixtureRequest) -> tuple[Scene, str]:
    """The scene, and the end of it that the network fails at."""
    kind, end = place.split()
    return request.getfixturevalue("scene" if kind == "postgres" else "mysql_scene"), end


def towards(end: str) -> str:
    """The direction in which rows pass there."""
    return "down" if end == "crm" else "up"


def amount(seed: int) -> int:
    """A number of bytes after which the COPY has begun and has not ended."""
    return chance(seed).randrange(50_000, WIRE_BYTES // 2)


def quick(url: str) -> str:
    """The address with timeouts of a few seconds."""
    if url.startswith("mysql"):
        return f"{url}?connect_timeout=2&read_timeout=2"
    return postgres_url(url.replace("postgres://", "postgresql://"), **QUICK)
