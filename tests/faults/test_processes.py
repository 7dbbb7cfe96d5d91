"""A load that is killed: nothing or everything of it is there, and the next one completes it."""

import pytest

from tests.faults.proxy import Proxy
from tests.faults.scene import (
    ROWS,
    WIRE_BYTES,
    Scene,
    assert_completed_by_the_next,
    chance,
    goods,
    news,
    prepare,
)

ATTACH = "ONLY landing.product IN SHARE UPDATE EXCLUSIVE"
APPLYING = {
    "attaching the first load's partition": ("first", ATTACH),
    "setting rows aside": ("next", "ops.quarantine IN SHARE ROW EXCLUSIVE"),
    "keeping the old versions": ("next", "landing.product_history IN SHARE ROW EXCLUSIVE"),
    "writing the new versions": ("next", "landing.product__crm IN SHARE ROW EXCLUSIVE"),
}
SETTLING = {
    "moving the first load's watermark": ("first", "ops.watermark IN SHARE ROW EXCLUSIVE"),
    "moving the watermark": ("next", "ops.watermark IN SHARE ROW EXCLUSIVE"),
    "writing the first load's ledger": ("first", "ops.load IN SHARE ROW EXCLUSIVE"),
    "writing the ledger": ("next", "ops.load IN SHARE ROW EXCLUSIVE"),
}


def new_rows(scene: Scene, run_id: str) -> list[tuple]:
    """How many rows were new, of each line that the ledger has for a run."""
    return scene.ask(f"SELECT rows_inserted FROM ops.load WHERE run_id = '{run_id}'")


@pytest.mark.fault(
    "F1",
    how="the network between source and loader stops after a random number of bytes, and kill -9",
)
@pytest.mark.parametrize("crm", ["scene", "mysql_scene"])
def test_a_load_killed_while_it_reads_leaves_nothing(crm, form, seed, request):
    scene: Scene = request.getfixturevalue(crm)
    prepare(scene, form, seed)
    before = scene.state()
    with Proxy(scene.ports["crm"]) as network:
        network.fail("stall", after_bytes=chance(seed).randrange(10_000, WIRE_BYTES // 2))
        load = scene.start("run", crm=network.port)
        assert network.failed.wait(30), "the load ended before the network stopped"
        load.kill()
    assert_completed_by_the_next(scene, before, form)


@pytest.mark.fault(
    "F2",
    how="the network to the warehouse stops after a random number of bytes of COPY, and kill -9",
)
def test_a_load_killed_while_it_copies_leaves_nothing(form, seed, scene):
    prepare(scene, form, seed)
    before = scene.state()
    with Proxy(scene.ports["warehouse"]) as network:
        amount = chance(seed).randrange(50_000, WIRE_BYTES // 2)
        network.fail("stall", after_bytes=amount, direction="up")
        load = scene.start("run", warehouse=network.port)
        assert network.failed.wait(30), "the load ended before the network stopped"
        assert scene.ask(
            "SELECT command FROM pg_stat_progress_copy WHERE datname = current_database()"
        ) == [("COPY FROM",)]
        load.kill()
    assert_completed_by_the_next(scene, before, form)


@pytest.mark.fault("F3", how="a lock stops the loader at each step of the apply, and kill -9")
@pytest.mark.parametrize("step", APPLYING)
def test_a_load_killed_while_it_applies_leaves_nothing(step, scene):
    killed_at_a_lock(scene, *APPLYING[step])


@pytest.mark.fault("F4", how="a lock stops the loader at the watermark and the ledger, and kill -9")
@pytest.mark.parametrize("step", SETTLING)
def test_a_load_killed_before_its_commit_leaves_nothing(step, scene):
    killed_at_a_lock(scene, *SETTLING[step])


def killed_at_a_lock(scene: Scene, form: str, lock: str) -> None:
    prepare(scene, form, seed=2)
    before = scene.state()
    with scene.locked(lock):
        load = scene.start("run")
        scene.until_waiting()
        load.kill()
    assert_completed_by_the_next(scene, before, form)


@pytest.mark.fault(
    "F5", how="kill -9 after the commit; the repeated run writes no row version and one ledger line"
)
def test_a_load_killed_after_its_commit_is_not_done_twice(form, seed, scene):
    prepare(scene, form, seed)
    load = scene.start("run")
    load.reach("loaded")
    load.kill()
    scene.assert_same()
    tables = ("landing.product", "landing.product_history", "ops.quarantine")
    versions = [scene.versions(table) for table in tables]
    ((new,),) = new_rows(scene, "run")
    scene.load("run")
    assert [scene.versions(table) for table in tables] == versions
    assert new_rows(scene, "run") == [(new,)]


RANDOMLY = "kill -9 at random moments, again and again, in one read or in batches"


@pytest.mark.fault("F1", how=RANDOMLY)
@pytest.mark.fault("F2", how=RANDOMLY)
@pytest.mark.fault("F3", how=RANDOMLY)
@pytest.mark.fault("F4", how=RANDOMLY)
@pytest.mark.parametrize("crm", ["scene", "mysql_scene"])
def test_loads_killed_at_random_moments_lose_and_double_nothing(crm, seed, request):
    scene: Scene = request.getfixturevalue(crm)
    pick = chance(seed)
    if seed % 2:
        scene.mapping["batch_rows"] = 700
    scene.add(goods(seed))
    for number in range(6):
        load = scene.start(f"run {number}")
        load.process.join(pick.uniform(0, 0.4))
        load.kill()
        scene.change(news(pick.randrange(10**6), pick.randrange(ROWS), 300))
    scene.load("last")
    scene.assert_same()
