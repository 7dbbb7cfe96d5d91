"""The page of the matrix says what the tests came to, and nothing more."""

import pytest

from tests.faults import matrix


def report(outcome: str, *, when: str = "call", reason: str = "") -> pytest.TestReport:
    longrepr = ("test_x.py", 1, f"Skipped: {reason}") if outcome == "skipped" else None
    return pytest.TestReport("test_x", ("test_x.py", 1, "x"), {}, outcome, longrepr, when)


def verdict(*reports: pytest.TestReport) -> str:
    results = matrix.Results()
    for one in reports:
        results.add("F1", how="by hand", report=one)
    return results.cases["F1"].verdict


def test_a_case_is_passed_as_often_as_its_tests_are():
    assert verdict(report("passed", when="setup"), report("passed")) == "passed once"
    assert verdict(report("passed"), report("passed")) == "passed 2 times"


def test_one_failure_of_a_call_a_setup_or_a_teardown_fails_its_case():
    assert verdict(report("passed"), report("failed")) == "**failed** 1 of 2 times"
    assert verdict(report("failed", when="setup")) == "**failed** 1 of 1 times"
    assert verdict(report("passed"), report("failed", when="teardown")) == "**failed** 1 of 2 times"


def test_a_case_that_was_left_out_is_not_shown():
    left_out = report("skipped", when="setup", reason="MariaDB is not installed")
    assert verdict(left_out, left_out) == "**not shown**: MariaDB is not installed"
    assert verdict(report("passed"), left_out) == "passed once, left out once"
    assert verdict() == "**not shown**: no test"


def test_every_case_has_a_row_and_those_without_a_test_are_told():
    results = matrix.Results()
    results.add("F1", how="kill -9 | again", report=report("passed"))
    results.add("F2", how="never", report=report("skipped", when="setup", reason="no Linux"))
    page = results.page().splitlines()
    assert [line.split(" | ")[0] for line in page[-49:]] == [f"| F{n}" for n in range(1, 50)]
    assert page[-49].endswith(f"| {matrix.CASES['F1']} | passed once | kill -9 \\| again |")
    assert results.not_run() == [f"F{n}" for n in range(3, 50)]
    assert results.unshown() == [f"F{n}" for n in range(2, 50)]
