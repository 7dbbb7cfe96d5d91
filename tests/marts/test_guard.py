"""Which publish a person is asked about."""

from datetime import date, timedelta
from pathlib import Path

import psycopg
import pytest

from include.marts import MARTS, checks, fill, generations, guard
from tests.marts.test_generations import DAY, publish, work

NEXT = DAY + timedelta(days=1)


@pytest.fixture
def db(warehouse_url):
    with psycopg.connect(warehouse_url, autocommit=True) as db:
        yield db


def of(tmp_path: Path, customers: int, day: date = DAY) -> Path:
    return work(tmp_path / f"{customers}_{day}", dict.fromkeys(range(customers), "s1"), day)


def reasons(db, folder: Path, day: date = NEXT) -> list[str]:
    """Why a person is asked about a generation that is complete, but not shown."""
    number = generations.begin(db, as_of=day, run_id="publish/x", data_to=None, stale_reason=None)
    for table in MARTS:
        fill.fill(db, table, generation=number, as_of=day, work=folder, folder=folder)
    checks.check(db, generation=number, as_of=day, run_id="publish/x")
    generations.attach(db, generation=number, tables=MARTS)
    return guard.reasons(db, generation=number, as_of=day)


def test_the_first_publish_is_compared_with_nothing(db, tmp_path):
    assert reasons(db, of(tmp_path, 10, NEXT)) == []


@pytest.mark.parametrize("customers", [8, 12])
def test_a_change_within_the_band_asks_nobody(db, tmp_path, customers):
    publish(db, of(tmp_path, 10), "publish/1")
    assert reasons(db, of(tmp_path, customers, NEXT)) == []


def test_a_jump_says_before_and_after(db, tmp_path):
    publish(db, of(tmp_path, 10), "publish/1")
    assert reasons(db, of(tmp_path, 6, NEXT)) == [
        "customers: 10 before, 6 now (-40 %, allowed are 20 %)",
        "revenue: 100 before, 60 now (-40 %, allowed are 30 %)",
    ]


def test_a_past_day_was_asked_for_and_is_compared_with_no_later_one(db, tmp_path):
    publish(db, of(tmp_path, 100), "publish/1")
    past = DAY - timedelta(days=3)
    assert reasons(db, of(tmp_path, 10, past), past) == []


def test_a_day_is_compared_with_the_nearest_one_that_is_kept(db, tmp_path):
    publish(db, of(tmp_path, 100), "publish/1")
    past = DAY - timedelta(days=200)
    publish(db, of(tmp_path, 10, past), "publish/2", past)
    assert reasons(db, of(tmp_path, 100, NEXT)) == []


def test_a_day_far_from_every_other_may_count_what_it_likes(db, tmp_path):
    publish(db, of(tmp_path, 10), "publish/1")
    later = DAY + timedelta(days=32)
    assert reasons(db, of(tmp_path, 100, later), later) == []


def test_after_a_rollback_the_next_publish_asks(db, tmp_path):
    publish(db, of(tmp_path, 10), "publish/1")
    publish(db, of(tmp_path, 10), "publish/2")
    generations.rollback(db, run_id="rollback/1")
    assert reasons(db, of(tmp_path, 10, NEXT)) == [
        "BI was rolled back from generation 2 to 1, and stays there until you say so"
    ]


def test_a_generation_that_was_not_wanted_leaves_no_table(db, tmp_path):
    from include.marts import retire

    publish(db, of(tmp_path, 10), "publish/1")
    assert reasons(db, of(tmp_path, 6, NEXT))
    generations.give_up(db, 2)
    assert retire.retire(db) == [2]
    assert db.execute("SELECT DISTINCT generation FROM bi.customer_profile").fetchall() == [(1,)]
