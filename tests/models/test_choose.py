"""A person chooses which version is used."""

from datetime import date

import pytest

from include.errors import InputError
from include.models import registry
from include.models.choose import choose
from include.models.registry import ModelRun
from include.models.train import train
from tests.models.conftest import AS_OF

WHO = {"by": "ana, champion/manual__1", "run_id": "champion/manual__1"}


@pytest.fixture
def versions(warehouse):
    """a and b were promoted, c asks for a person, d was refused."""
    decisions = {"a": "promoted", "b": "promoted", "c": "asks", "d": "rejected"}
    for day, (version, decision) in enumerate(decisions.items(), start=1):
        made = ModelRun(
            model="churn",
            model_version=version,
            as_of=date(2026, 1, day),
            window="w",
            card={},
            artifact=b"fitted",
            promoted=decision == "promoted",
            decision=decision,
            reason="because",
        )
        registry.record(warehouse, made, run_id="r")
        warehouse.commit()
    return warehouse


def in_use(db):
    return db.execute("SELECT model_version FROM bi.model_run WHERE champion").fetchall()


def test_without_a_name_it_goes_back_to_the_one_before_and_forth_again(versions):
    assert choose(versions, "churn", **WHO) == "a"
    assert in_use(versions) == [("a",)]
    assert registry.champion(versions, "churn", as_of=date(2026, 1, 9)).model_version == "a"
    versions.commit()
    assert choose(versions, "churn", **WHO) == "b"


def test_of_versions_from_before_it_was_noted_the_newest_is_the_one_before(versions):
    versions.execute("UPDATE ops.model_version SET in_use_since = NULL")
    assert choose(versions, "churn", **WHO) == "a"


def test_a_version_that_asked_is_used_on_a_yes_and_who_said_so_is_kept(versions):
    assert choose(versions, "churn", "c", **WHO) == "c"
    assert in_use(versions) == [("c",)]
    assert versions.execute(
        "SELECT decision, chosen_by FROM ops.model_version WHERE model_version = 'c'"
    ).fetchall() == [("promoted", "ana, champion/manual__1")]
    versions.commit()
    assert choose(versions, "churn", **WHO) == "b"


@pytest.mark.parametrize(
    ("model", "version", "said"),
    [
        ("churn", "d", "d: rejected: because; choose one that the gate let pass"),
        ("churn", "e", "churn: no version 'e'; bi.model_run lists them"),
        ("purchase", "a", "purchase: no version 'a'; bi.model_run lists them"),
        ("purchase", None, "purchase: no version was in use before the champion"),
    ],
)
def test_what_cannot_be_chosen_is_refused_and_nothing_changes(versions, model, version, said):
    with pytest.raises(InputError, match=said):
        choose(versions, model, version, **WHO)
    assert in_use(versions) == [("b",)]


def test_the_backtest_of_a_version_that_waited_is_shown_once_it_is_used(warehouse, habits, asks):
    asks(calibration_error=1e-6)
    made = train(warehouse, habits, "purchase", as_of=AS_OF, run_id="r")
    outcomes = "SELECT count(*), min(model_version) FROM bi.score_outcome"
    assert warehouse.execute(outcomes).fetchone() == (0, None)
    warehouse.commit()
    choose(warehouse, "purchase", made["model_version"], **WHO)
    count, version = warehouse.execute(outcomes).fetchone()
    assert count > 5
    assert version == made["model_version"]
