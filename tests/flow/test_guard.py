"""`make run` when counts jump: nobody is there to be asked, so the old generation stays."""

import pytest

from tests.flow.conftest import AS_OF, Place

HALVED = """WITH gone AS (UPDATE landing.order_line SET deleted_at = now(), landed_at = now()
    WHERE hashtext(order_source_id) % 2 = 0 RETURNING 1) SELECT count(*) FROM gone"""


@pytest.fixture(scope="module")
def jumped(place) -> Place:
    """A warehouse in which half of the orders are gone since it was published."""
    there = place()
    assert there.rows(HALVED)[0][0] > 0
    return there


def test_the_old_generation_stays_and_the_line_says_what_jumped_and_what_to_do(jumped, demo_crm):
    answer = jumped.run(ONLY="profile", AS_OF=AS_OF, **demo_crm)
    assert answer.status == 0, answer
    answer = jumped.run(ONLY="publish", AS_OF=AS_OF, **demo_crm)
    assert answer.status == 1
    assert "publish: the old generation stays: revenue: " in answer.line
    assert "allowed are 30 %" in answer.line
    assert answer.line.endswith("make run ONLY=publish GUARD=publish")
    assert jumped.generation() == 1
    [(stale, reason)] = jumped.rows("SELECT is_stale, stale_reason FROM bi.freshness", reader=True)
    assert stale is True
    assert "the last publish was not shown: revenue: " in reason


def test_who_has_looked_publishes_all_the_same(jumped, demo_crm):
    answer = jumped.run(ONLY="publish", AS_OF=AS_OF, GUARD="publish", **demo_crm)
    assert (answer.status, answer.err) == (0, "")
    assert jumped.generation() == 3
    [(reason,)] = jumped.rows("SELECT stale_reason FROM bi.freshness", reader=True)
    assert "not shown" not in reason  # but the demo's newest order is old


def test_another_word_is_refused(jumped, demo_crm):
    answer = jumped.run(ONLY="publish", GUARD="yes", **demo_crm)
    assert answer.line.endswith("GUARD=yes: must be keep or publish; give one or none")
