"""The whole flow with its snapshots in a bucket, on machines that share nothing else."""

import shutil

import pytest

from tests.bucket import bucket, serving
from tests.flow.conftest import AS_OF, assert_same, nothing_set


@pytest.fixture(scope="module")
def elsewhere(place, demo_crm):
    """A warehouse that was filled by way of a bucket, what BI read before, and the settings."""
    there = place()
    shown = there.shown()
    with serving() as settings, nothing_set(**settings), bucket("snapshots") as url:
        told = settings | {"PORTRAIT_SNAPSHOTS": f"{url}/shop"}
        answer = there.run(AS_OF=AS_OF, **demo_crm, **told)
        assert answer.status == 0, answer
        yield there, shown, told


def test_snapshots_in_a_bucket_give_bi_the_same(elsewhere):
    there, shown, _ = elsewhere
    assert there.generation() == 2
    assert_same(there.shown(), shown)
    assert not (there.home / "snapshots").exists()


def test_a_machine_that_has_nothing_yet_publishes_from_the_bucket(elsewhere):
    there, shown, told = elsewhere
    shutil.rmtree(there.home / "fetched")
    answer = there.run(ONLY="publish", AS_OF=AS_OF, **told)
    assert (answer.status, there.generation()) == (0, 3), answer
    assert_same(there.shown(), shown)
