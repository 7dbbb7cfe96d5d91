"""The real Airflow: on loopback only, nothing without a login, the same flow by its assets."""

import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass

import psutil
import pytest
from rich.console import Console

from include.local import airflow, processes
from include.local.flow import Flow
from include.local.rest import Client
from tests.flow.conftest import Place, nothing_set

LOOPBACK = {"127.0.0.1", "::1"}
PUBLIC = ["/api/v2/dags", "/api/v2/connections", "/portrait/", "/portrait/api/summary"]


@dataclass(frozen=True)
class Running:
    place: Place
    client: Client
    shown: dict[str, list[str]]


@pytest.fixture(scope="module")
def running(prepared, place, demo_crm) -> Iterator[Running]:
    """Airflow's four processes over a copy of the prepared warehouse and its metadata."""
    there = place(metadata="quiet")
    before = there.shown()
    with nothing_set(PORTRAIT_HOME=str(there.home), PORTRAIT_CRON="off", **there.settings, **demo_crm):
        try:
            yield Running(there, airflow.start(there.home), before)
        finally:
            airflow.stop(there.home)


def of_airflow(place: Place) -> list[psutil.Process]:
    """Every process that was told to use this state folder."""
    told = str(place.home / "airflow")
    return [process for process in psutil.process_iter() if told in _airflow_home(process)]


def _airflow_home(process: psutil.Process) -> str:
    try:
        return process.environ().get("AIRFLOW_HOME", "")
    except psutil.Error:
        return ""


def listening(process: psutil.Process) -> set[tuple[str, int]]:
    found = process.net_connections(kind="tcp")
    return {tuple(socket.laddr) for socket in found if socket.status == psutil.CONN_LISTEN}


def status(client: Client, path: str) -> int:
    try:
        with urllib.request.urlopen(client.url + path, timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_a_run_of_the_scheduler_shows_what_make_run_shows(running):
    flow = Flow(running.client, Console(quiet=True))
    flow.ready(["ingest_shop", "ingest_support", "profile", "publish"])
    ingests = [flow.trigger("ingest_shop"), flow.trigger("ingest_support")]
    flow.wait(ingests)
    profiles = flow.followers(ingests, "profile")
    flow.wait(profiles)
    flow.wait(flow.followers(profiles, "publish"))
    assert running.place.generation() > 1
    assert running.place.shown() == running.shown


def test_every_port_is_on_the_loopback_address(running, prepared):
    postgres = processes.running(prepared.home, "postgres")
    members = [*of_airflow(running.place), postgres, *postgres.children(recursive=True)]
    ports = set().union(*map(listening, members))
    assert {address for address, _ in ports} <= LOOPBACK
    expected = {running.client.url.rpartition(":")[2], str(prepared.server.port)}
    assert {str(port) for _, port in ports} >= expected


@pytest.mark.parametrize("path", PUBLIC)
def test_nothing_is_told_without_a_login(running, path):
    assert status(running.client, path) == 401


def test_health_is_told_to_anybody(running):
    health = running.client.get("/api/v2/monitor/health", login=False)
    assert {part: health[part]["status"] for part in airflow.HEARTBEATS} == dict.fromkeys(
        airflow.HEARTBEATS, "healthy"
    )


def test_nothing_is_left_after_the_stop(running):
    assert len(of_airflow(running.place)) >= 4
    with nothing_set(PORTRAIT_HOME=str(running.place.home)):
        assert set(airflow.stop(running.place.home)) == set(airflow.COMPONENTS)
    assert of_airflow(running.place) == []
    assert not (running.place.home / "run" / "ui.json").exists()
