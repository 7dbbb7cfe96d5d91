"""The real Airflow: on loopback only, nothing without a login, the same flow by its assets."""

import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass

import psutil
import psycopg
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from include.local import airflow, processes
from include.local.flow import Flow, Run, RunFailed
from include.local.rest import Client, Refused
from tests.flow.conftest import AS_OF, Place, assert_same, nothing_set

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
    there = place()
    before = there.shown()
    set_paused(there, "publish", True)  # by assets it would start whenever a profile is new
    with nothing_set(
        PORTRAIT_HOME=str(there.home), PORTRAIT_CRON="off", **there.settings, **demo_crm
    ):
        try:
            yield Running(there, airflow.start(there.home), before)
        finally:
            airflow.stop(there.home)


def of_airflow(place: Place) -> set[psutil.Process]:
    """Every process of the sessions that were started from this state folder."""
    leaders = [processes.running(place.home, name) for name in airflow.COMPONENTS]
    sessions = {leader.pid for leader in leaders if leader}
    return {process for process in psutil.process_iter() if _session(process) in sessions}


def _session(process: psutil.Process) -> int | None:
    try:
        return os.getsid(process.pid)
    except ProcessLookupError:
        return None


def listening(process: psutil.Process) -> set[tuple[str, int]]:
    try:
        found = process.net_connections(kind="tcp")
    except psutil.NoSuchProcess:  # a task that has ended meanwhile
        return set()
    return {tuple(socket.laddr) for socket in found if socket.status == psutil.CONN_LISTEN}


def set_paused(place: Place, dag_id: str, paused: bool) -> None:
    with psycopg.connect(place.server.url(f"{place.database}_airflow")) as db:
        db.execute("UPDATE dag SET is_paused = %s WHERE dag_id = %s", [paused, dag_id])


def test_a_fresh_source_is_followed_by_the_same_profile(running):
    flow = Flow(running.client, Console(quiet=True))
    flow.ready(["ingest_shop", "ingest_support", "profile", "train", "publish"])
    ingest = flow.trigger("ingest_support")
    flow.wait([ingest])
    profiles = flow.followers([ingest], "profile")
    assert len(profiles) == 1
    flow.wait(profiles)
    (old, new) = running.place.rows("SELECT as_of, folder FROM ops.profile_build ORDER BY built_at")
    assert (str(old[0]), old[0]) == (AS_OF, new[0])
    old_profile, new_profile = (
        pq.read_table(f"{folder}/profile_{AS_OF}.parquet") for _, folder in (old, new)
    )
    assert new_profile.equals(old_profile)


@pytest.mark.slow
def test_the_scheduler_publishes_what_make_run_publishes(running):
    set_paused(running.place, "publish", False)
    flow = Flow(running.client, Console(quiet=True))
    flow.wait([flow.trigger("publish")])
    assert running.place.generation() > 1
    assert_same(running.place.shown(), running.shown)


HALVED = """UPDATE landing.order_line SET deleted_at = now(), landed_at = now()
    WHERE hashtext(order_source_id) % 2 = 0"""


def asked(running: Running) -> Run:
    """Publish, and wait until the run asks a person."""
    flow = Flow(running.client, Console(quiet=True))
    run = flow.trigger("publish")
    with pytest.raises(RunFailed, match=r"publish\.ask waits for your answer"):
        flow.wait([run])
    time.sleep(8)  # Airflow 3.3.2 may lose an answer until its executor has reported the task
    return run


def answer(running: Running, run: Run, option: str | None) -> None:
    """Choose, or let the time for it pass; and wait for the end of the run."""
    if option is None:
        with psycopg.connect(running.place.server.url(f"{running.place.database}_airflow")) as db:
            db.execute(
                """UPDATE task_instance SET trigger_timeout = now()
                   WHERE run_id = %s AND task_id = %s""",
                [run.run_id, "ask"],
            )
    else:
        path = f"{run.path}/taskInstances/ask/-1/hitlDetails"
        running.client.patch(path, {"chosen_options": [option], "params_input": {}})
    run.waiting = []
    flow = Flow(running.client, Console(quiet=True))
    deadline = time.monotonic() + 120
    while running.client.get(run.path)["state"] not in {"success", "failed"}:
        assert time.monotonic() < deadline
        time.sleep(0.3)  # the API gives no event to wait for
    flow.wait([run])


def told(running: Running) -> str:
    return running.place.rows("SELECT stale_reason FROM bi.freshness", reader=True)[0][0]


def test_a_publish_whose_counts_jump_asks_a_person_and_without_an_answer_nothing_changes(running):
    there = running.place
    with there.connect() as db:
        db.execute(HALVED)
    flow = Flow(running.client, Console(quiet=True))
    with flow.held("publish"):
        flow.wait([flow.trigger("profile", as_of=AS_OF)])
    before = there.shown()
    run = asked(running)
    path = f"{run.path}/taskInstances/ask/-1/hitlDetails"
    detail = running.client.get(path)
    assert detail["options"] == ["Publish", "Keep the old one"]
    assert re.search(
        r"- revenue: [\d,]+ before, [\d,]+ now \(-\d+ %, allowed are 30 %\)", detail["body"]
    )
    assert "a publish waits: an answer to: revenue: " in told(running)
    answer(running, run, None)
    assert "nobody said that it may be shown" in told(running)
    assert_same(there.shown(), before)


def test_who_is_asked_may_publish_and_the_answer_is_kept_with_the_run(running):
    before = running.place.generation()
    answer(running, asked(running), "Keep the old one")
    assert running.place.generation() == before
    assert "admin kept the old one" in told(running)
    answer(running, asked(running), "Publish")
    assert running.place.generation() == before + 3
    assert "not shown" not in told(running)


def test_every_port_is_on_the_loopback_address(running, prepared):
    postgres = processes.running(prepared.home, "postgres")
    members = {*of_airflow(running.place), postgres, *postgres.children(recursive=True)}
    ports = set().union(*map(listening, members))
    assert {address for address, _ in ports} <= LOOPBACK
    expected = {running.client.url.rpartition(":")[2], str(prepared.server.port)}
    assert {str(port) for _, port in ports} >= expected


@pytest.mark.parametrize("path", PUBLIC)
def test_nothing_is_told_without_a_login(running, path):
    anybody = Client(running.client.url, "", "")
    with pytest.raises(Refused) as refused:
        anybody.get(path, login=False)
    assert refused.value.status == 401


def test_health_is_told_to_anybody(running):
    health = running.client.get("/api/v2/monitor/health", login=False)
    assert {part: health[part]["status"] for part in airflow.HEARTBEATS} == dict.fromkeys(
        airflow.HEARTBEATS, "healthy"
    )


def test_nothing_is_left_after_the_stop(running):
    members = of_airflow(running.place)
    members |= {child for member in members for child in member.children(recursive=True)}
    assert len(members) > len(airflow.COMPONENTS)
    with nothing_set(PORTRAIT_HOME=str(running.place.home)):
        assert set(airflow.stop(running.place.home)) == set(airflow.COMPONENTS)
    assert [process for process in members if processes.alive(process)] == []
    assert not (running.place.home / "run" / "ui.json").exists()
