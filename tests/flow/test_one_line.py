"""What can go wrong is said in one line (what, where, what to do), and nothing is lost by it."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.flow import corner
from tests.flow.command import ROOT, Answer, clean_environment
from tests.flow.conftest import Place, assert_same

SEVEN = [f"c{number}" for number in range(7)]
ORDERS: list[corner.Order] = [
    (f"o{n}", SEVEN[n % 7], f"2026-0{1 + n % 3}-1{n % 9} 10:00", [(f"p{n % 4}", 1 + n % 3, 2.5)])
    for n in range(60)
]
RETURN: corner.Order = ("r1", "returner", "2026-02-01 10:00", [("p1", -1, 2.5)])
ONE: corner.Order = ("o1", "only", "2026-02-01 10:00", [("p1", 1, 2.5)])


@dataclass(frozen=True)
class Outcome:
    """A run that is over, and what BI read before it."""

    place: Place
    answer: Answer
    before: dict[str, list[str]]

    def assert_refused(self, said: str) -> None:
        """It ended with one line like ``said``, and BI reads what it read before."""
        assert self.answer.status == 1
        assert re.match(said, self.answer.line), self.answer.line
        assert_same(self.place.shown(), self.before)

    def assert_published(self, *notes: str) -> None:
        """It published, and added lines like ``notes``."""
        assert (self.answer.status, self.answer.err) == (0, "")
        said = [line for line in self.answer.out.splitlines() if " tasks " not in line]
        assert len(said) == len(notes), said
        for line, note in zip(said, notes, strict=True):
            assert re.match(note, line), line
        assert self.place.generation() is not None


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with the corner shop's mapping, and with two that name a column wrongly."""
    no_alias = corner.ORDER.replace("ordered AS ordered_at,", "")
    no_column = corner.ORDER.replace("ordered AS", "orderd AS")
    return corner.checkout(
        tmp_path_factory.mktemp("checkout"),
        corner=corner.mapping("corner", corner.CUSTOMER, corner.ORDER, corner.LINE),
        plain=corner.mapping("plain", corner.CUSTOMER, corner.ORDER),
        no_alias=corner.mapping("no_alias", corner.CUSTOMER, no_alias),
        no_column=corner.mapping("no_column", corner.CUSTOMER, no_column),
    )


@pytest.fixture(scope="module")
def cases(prepared, demo_crm, tree, tmp_path_factory) -> dict[str, tuple[bool, dict[str, str]]]:
    """For each case: whether BI reads something before, and the settings."""
    folder, server = tmp_path_factory.mktemp("corner"), prepared.server
    wrong_password = demo_crm["AIRFLOW_CONN_SHOP"].replace(server.passwords["portrait"], "guess")
    away = "postgres://me:secret@127.0.0.1:1/x"

    def crm(*content) -> str:
        return corner.crm(folder / f"{len(list(folder.iterdir()))}.sqlite", *content)

    seven, empty = crm(SEVEN, ORDERS), crm()
    return {
        "wrong password": (True, {"AIRFLOW_CONN_SHOP": wrong_password}),
        "no warehouse": (True, demo_crm | {"AIRFLOW_CONN_WAREHOUSE": away}),
        "no connection": (True, {"AIRFLOW_CONN_SHOP": "my shop"}),
        "no file": (True, {"AIRFLOW_CONN_SUPPORT": "sqlite:////nowhere/desk.sqlite"}),
        "no alias": (True, {"AIRFLOW_CONN_NO_ALIAS": seven}),
        "no column": (True, {"AIRFLOW_CONN_NO_COLUMN": seven}),
        "too early": (True, {"AS_OF": "2001-01-01", "ONLY": "profile"}),
        "no rows, others have": (True, {"AIRFLOW_CONN_CORNER": empty, "ONLY": "ingest"}),
        "no rows": (False, {"AIRFLOW_CONN_CORNER": empty}),
        "returns only": (
            False,
            {"AIRFLOW_CONN_CORNER": crm([*SEVEN, "returner"], [*ORDERS, RETURN])},
        ),
        "one customer": (False, {"AIRFLOW_CONN_CORNER": crm(["only"], [ONE])}),
        "customers and orders": (False, {"AIRFLOW_CONN_PLAIN": seven}),
        "no support": (False, {"AIRFLOW_CONN_SHOP": demo_crm["AIRFLOW_CONN_SHOP"]}),
    }


@pytest.fixture(scope="module")
def outcome(place, tree, cases) -> Iterator[Callable[[str], Outcome]]:
    """What became of a case; all of them are under way at once, two at a time."""

    def run(filled: bool, settings: dict[str, str]) -> Outcome:
        there = place(filled=filled)
        before = there.shown() if filled else {}
        return Outcome(there, there.run(tree=tree, **settings), before)

    with ThreadPoolExecutor(2) as pool:
        begun: dict[str, Future[Outcome]] = {
            name: pool.submit(run, filled, settings) for name, (filled, settings) in cases.items()
        }
        yield lambda name: begun[name].result()


@pytest.mark.parametrize(
    ("case", "said"),
    [
        (
            "wrong password",
            r"ingest_shop\.copy: shop: no connection to 127\.0\.0\.1:\d+/shop: FATAL: password "
            r"authentication failed .*; check AIRFLOW_CONN_SHOP",
        ),
        (
            "no warehouse",
            r"ingest_shop\.begin: warehouse: no connection to 127\.0\.0\.1:1/x: Connection refused"
            r".*; check AIRFLOW_CONN_WAREHOUSE and that the server answers",
        ),
        (
            "no connection",
            r"ingest_shop\.copy: AIRFLOW_CONN_SHOP: '' is no kind of database known here .*; write",
        ),
        (
            "no file",
            r"ingest_support\.copy: support: no file /nowhere/desk\.sqlite; check AIRFLOW_CONN_SUP",
        ),
        (
            "no alias",
            r"ingest_no_alias\.copy: no_alias\.yaml: entities\.customer_order\.select gives no "
            r"column 'ordered_at' \(it gives source_id, customer_source_id, status\); alias one so",
        ),
        (
            "no column",
            r"ingest_no_column\.copy: no_column\.yaml: .*no such column: orderd; mend the select",
        ),
        (
            "too early",
            r"profile\.begin: as_of 2001-01-01 is before any order, the first is of 2024-\d\d-\d\d:"
            r" give a later day or none",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line_and_bi_keeps_the_last_generation(outcome, case, said):
    outcome(case).assert_refused(said)
    assert "secret" not in outcome(case).answer.err


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"SOURCES": "sap"}, r"SOURCES: no source 'sap'; known: .*\bshop\b.*\bsupport\b"),
        ({"AS_OF": "tomorrow"}, "as_of 'tomorrow' is no day: write it as 2026-03-01"),
        (
            {"AS_OF": "2999-01-01"},
            r"as_of 2999-01-01 is after \d{4}-\d\d-\d\d, the day of this run: give an earlier day",
        ),
    ],
)
def test_an_argument_that_cannot_be_used_is_refused_before_anything_starts(
    demo_crm, tmp_path, settings, said
):
    done = subprocess.run(
        [sys.executable, "-m", "include.local", "run"],
        cwd=ROOT,
        env=clean_environment() | demo_crm | settings | {"PORTRAIT_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    answer = Answer(done.returncode, done.stdout, done.stderr)
    assert (answer.status, answer.out) == (1, "")
    assert re.match(said, answer.line), answer.line
    assert not (tmp_path / "postgres").exists()


def test_a_source_without_rows_is_told_and_the_others_stay(outcome):
    done = outcome("no rows, others have")
    done.assert_published(
        r"no rows so far: corner\.customer, corner\.customer_order, corner\.order_line; look at "
        r"the select in corner\.yaml if that is wrong; nothing was lost",
        r"not mapped by corner: product, interaction, ticket, feedback, consent; ",
    )
    assert_same(done.place.shown(), done.before)
    (landed,) = done.place.rows("SELECT count(*) FROM landing.customer WHERE deleted_at IS NULL")
    assert landed[0] > 400


def test_no_rows_at_all_is_an_error_in_one_line(outcome):
    done = outcome("no rows")
    assert done.answer.status == 1
    assert done.answer.line.startswith(
        "profile.begin: landing.customer is empty, so there is nobody to portray: look at the "
        "selects of the sources that are on"
    )


LITTLE = (
    r"too little to learn from: campaign, churn, high_value, (need:[^,;]+, )*purchase, recommend, "
    r"segment, value; everything else is published; bi\.model_readiness says what they need"
)
SHORT = (
    r"too little to learn from: campaign, high_value(, need:[^,;]+)*; everything else is published"
)
NOT_YET = {"audience_export", "lift"}  # nobody took a file, no horizon has passed
UNMAPPED = r"not mapped by {}: {}; what rests on them stays empty; map them in include/sources"


def test_a_customer_with_returns_only_has_a_profile_and_a_segment(outcome):
    done = outcome("returns only")
    unmapped = "product, interaction, ticket, feedback, consent"
    done.assert_published(UNMAPPED.format("corner", unmapped), LITTLE)
    query = """SELECT order_count, revenue::float, recency_days, segment_name
               FROM bi.customer_profile JOIN bi.customer_segment USING (customer_id)
               JOIN bi.customer_key USING (customer_id) WHERE source_id = 'returner'"""
    assert done.place.rows(query, reader=True) == [(0, -2.5, None, "no purchase on record")]


def test_a_company_of_one_customer_is_portrayed(outcome):
    done = outcome("one customer")
    unmapped = "product, interaction, ticket, feedback, consent"
    done.assert_published(UNMAPPED.format("corner", unmapped), LITTLE)
    query = """SELECT order_count, revenue::float, recency_days, customer_share
               FROM bi.customer_profile JOIN bi.customer_segment USING (customer_id)
               JOIN bi.segment USING (segment_key)"""
    assert done.place.rows(query, reader=True) == [(1, 2.5, 1, 1.0)]


def test_customers_and_orders_are_enough_for_portraits(outcome):
    done = outcome("customers and orders")
    unmapped = "product, order_line, interaction, ticket, feedback, consent"
    done.assert_published(UNMAPPED.format("plain", unmapped), LITTLE)
    query = "SELECT count(*), count(sources) FROM bi.customer_profile"
    assert done.place.rows(query, reader=True) == [(7, 7)]


def test_without_support_everything_else_is_there(outcome):
    done = outcome("no support")
    done.assert_published(UNMAPPED.format("shop", "ticket, feedback, consent"), SHORT)
    query = """SELECT count(*) > 300, count(*) FILTER (WHERE ticket_count > 0),
                      count(consent_marketing) FROM bi.customer_profile"""
    assert done.place.rows(query, reader=True) == [(True, 0, 0)]
    shown = done.place.shown()
    assert {view for view, rows in shown.items() if not rows} == NOT_YET
