"""A person says who is who: the form runs for real, and what comes after keeps to the answer."""

import multiprocessing
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.flow import command
from tests.flow.conftest import AS_OF, Place

ANSWERED, LATER = "2026-03-03", "2026-03-04"
"""The days of the first profile after the answers, and of the next."""
DOUBTFUL = """SELECT r.source || ':' || r.source_id, other_source || ':' || other_source_id,
        least(a.customer_id, b.customer_id), greatest(a.customer_id, b.customer_id)
    FROM bi.identity_review AS r
    JOIN bi.customer_key AS a ON (a.source, a.source_id) = (r.source, r.source_id)
    JOIN bi.customer_key AS b ON (b.source, b.source_id) = (other_source, other_source_id)
    WHERE status = 'open' AND a.rule = 'alone' AND b.rule = 'alone'
    ORDER BY r.probability DESC, 1, 2 LIMIT 1"""
LINKED = """SELECT min(source || ':' || source_id), max(source || ':' || source_id), customer_id
    FROM bi.customer_key GROUP BY customer_id
    HAVING count(*) = 2 AND bool_and(rule = 'email') ORDER BY customer_id LIMIT 1"""
PROFILE = """SELECT record_count, order_count, revenue FROM bi.customer_profile
    WHERE customer_id = {}"""
HISTORY = """SELECT from_as_of::text, to_as_of::text, record_count, order_count, revenue
    FROM bi.customer_profile_history WHERE customer_id = {} ORDER BY from_as_of"""
WHOSE = """SELECT customer_id, rule FROM bi.customer_key
    WHERE source || ':' || source_id IN ('{}', '{}') ORDER BY customer_id"""
BEFORE = """SELECT customer_id, rule FROM core.identity_history
    WHERE source || ':' || source_id IN ('{}', '{}') ORDER BY customer_id"""
EVENTS = """SELECT event, customer_id, other_customer_id, records FROM core.identity_event
    ORDER BY event"""


@dataclass(frozen=True)
class Answered:
    """A warehouse after two answers and two more days, and what was there before them."""

    there: Place
    doubtful: tuple[str, str]  # records of two customers that were said to be one person
    older: int
    newer: int
    linked: tuple[str, str]  # records of one customer that were said to be two people
    torn: int
    before: dict[int, tuple]  # customer -> records, orders, revenue
    said: list[str]  # by the form

    def rows(self, query: str, *values: object) -> list[tuple]:
        return self.there.rows(query.format(*values))


def answer(env: Mapping[str, str], said: str, answers: list[dict[str, str]]) -> None:
    """Send the form with each of ``answers``, then work out and publish two days; in a fork."""
    os.environ.clear()
    os.environ.update(env)
    command._configure_airflow(str(command.ROOT))
    sys.path.insert(0, f"{command.ROOT}/dags")  # as Airflow's own processes do
    from airflow.dag_processing.dagbag import DagBag
    from airflow.sdk.exceptions import ParamValidationError

    from include.local import commands

    with Path(said).open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    form = DagBag(dag_folder=f"{command.ROOT}/dags/operate.py").dags["review"]
    for given in answers:
        try:
            print("form:", form.test(run_conf=given).state, flush=True)
        except ParamValidationError as error:  # the API makes no run then, and says so
            print("form:", str(error).splitlines()[0], flush=True)
    for day in (ANSWERED, LATER):
        for stage in ("profile", "publish"):
            os.environ |= {"AS_OF": day, "ONLY": stage}
            if commands.main(["run"]):
                sys.exit(f"{stage} of {day} failed")


@pytest.fixture(scope="module")
def answered(place, demo_crm) -> Answered:
    there = place()
    [(*doubtful, older, newer)], [(*linked, torn)] = there.rows(DOUBTFUL), there.rows(LINKED)
    before = {each: there.rows(PROFILE.format(each))[0] for each in (older, newer, torn)}
    one, other = linked
    answers = [
        {"record": doubtful[0], "other": doubtful[1], "decision": "confirmed"},
        {"record": f" {other} ", "other": one, "decision": "split"},
        {"record": one, "other": other, "decision": "perhaps"},
        {"record": one, "decision": "split"},
        {"record": one, "other": "shop:nobody", "decision": "split"},
    ]
    output = there.home / "answered"
    env = command.clean_environment() | {"PORTRAIT_HOME": str(there.home)}
    process = multiprocessing.get_context("forkserver").Process(
        target=answer, args=(env | there.settings | demo_crm, str(output), answers)
    )
    process.start()
    process.join(command.PATIENCE_S)
    assert process.exitcode == 0, output.read_text()
    said = [line for line in output.read_text().splitlines() if line.startswith("form: ")]
    return Answered(there, tuple(doubtful), older, newer, tuple(linked), torn, before, said)


def test_one_person_is_one_customer_with_the_records_and_orders_of_both(answered):
    assert answered.rows(WHOSE, *answered.doubtful) == [(answered.older, "confirmed")] * 2
    one, other = answered.before[answered.older], answered.before[answered.newer]
    both = tuple(map(sum, zip(one, other, strict=True)))
    assert both[0] == 2
    assert answered.rows(PROFILE, answered.older) == [both]
    assert answered.rows(PROFILE, answered.newer) == []


def test_two_people_are_two_customers_who_share_what_was_one_customers(answered):
    (old, old_rule), (new, new_rule) = answered.rows(WHOSE, *answered.linked)
    assert (old, old_rule, new_rule) == (answered.torn, "alone", "alone")
    (kept,), (parted,) = answered.rows(PROFILE, old), answered.rows(PROFILE, new)
    assert (kept[0], parted[0]) == (1, 1)
    assert tuple(map(sum, zip(kept, parted, strict=True))) == answered.before[old]


def test_the_history_tells_when_who_became_whom(answered):
    was, now = answered.before, {
        each: answered.rows(PROFILE, each) for each in (answered.older, answered.torn)
    }  # fmt: skip
    for customer, [row] in now.items():
        assert answered.rows(HISTORY, customer) == [
            (AS_OF, ANSWERED, *was[customer]),
            (ANSWERED, None, *row),
        ]
    assert answered.rows(HISTORY, answered.newer) == [(AS_OF, ANSWERED, *was[answered.newer])]
    alone = [(answered.older, "alone"), (answered.newer, "alone")]
    assert answered.rows(BEFORE, *answered.doubtful) == alone
    assert answered.rows(BEFORE, *answered.linked) == [(answered.torn, "email")] * 2


def test_each_answer_is_one_event_and_the_later_run_makes_no_more(answered):
    new = answered.rows(WHOSE, *answered.linked)[1][0]
    assert answered.rows(EVENTS) == [
        ("merged", answered.newer, answered.older, 1),
        ("split", answered.torn, new, 1),
    ]
    reason = "SELECT reason FROM core.identity_event WHERE event = 'merged'"
    assert answered.rows(reason) == [("joined by confirmed",)]


def test_an_answer_is_kept_with_who_gave_it_which_bi_does_not_see(answered):
    assert answered.rows(
        """SELECT source || ':' || source_id, other_source || ':' || other_source_id, status,
                  decided_by ~ '^dag_test, review/manual__'
           FROM ops.identity_review WHERE status <> 'open' ORDER BY status"""
    ) == [(*answered.doubtful, "confirmed", True), (*answered.linked, "split", True)]
    assert answered.rows(
        """SELECT count(*) FROM information_schema.columns
           WHERE table_schema = 'bi' AND column_name = 'decided_by'"""
    ) == [(0,)]


def test_what_the_form_cannot_use_changes_nothing_and_says_why(answered):
    assert answered.said == [
        "form: success",
        "form: success",
        "form: Invalid input for param decision: 'perhaps' is not one of ['confirmed', 'split']",
        "form: Invalid input for param other: No value passed",
        "form: failed",
    ]
    message = "SELECT message FROM bi.pipeline_run WHERE dag = 'review' AND status = 'failed'"
    said = "review: {} and shop:nobody are not two records: give source:source_id"
    assert answered.rows(message) == [(said.format(answered.linked[0]),)]
