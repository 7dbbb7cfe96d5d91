from datetime import date

import pytest

from include.models import registry
from include.models.registry import Metric, ModelRun, Requirement


def run(version, day, promoted=True, **more):
    return ModelRun(
        model="churn",
        model_version=version,
        as_of=date(2026, 1, day),
        window="w",
        card={"n": day},
        artifact=b"fitted",
        promoted=promoted,
        decision="promoted" if promoted else "rejected",
        reason="because",
        **more,
    )


def champions(db):
    return db.execute("SELECT model_version FROM bi.model_run WHERE champion").fetchall()


def test_a_version_is_recorded_once(warehouse):
    first = run("a", 1, metrics=[Metric("test", "auc", "all", 0.7, 0.6)])
    assert registry.record(warehouse, first, run_id="r1")
    assert not registry.record(warehouse, first, run_id="r2")
    assert warehouse.execute("SELECT run_id, value, baseline FROM bi.model_metric").fetchall() == [
        ("r1", 0.7, 0.6)
    ]


def test_a_promotion_moves_the_mark_and_a_refusal_does_not(warehouse):
    registry.record(warehouse, run("a", 1), run_id="r")
    registry.record(warehouse, run("b", 2), run_id="r")
    registry.record(warehouse, run("c", 3, promoted=False), run_id="r")
    assert champions(warehouse) == [("b",)]
    champion = registry.champion(warehouse, "churn")
    assert (champion.model_version, champion.card, champion.artifact) == ("b", {"n": 2}, b"fitted")


def test_a_past_day_sees_the_champion_of_its_time(warehouse):
    registry.record(warehouse, run("a", 10), run_id="r")
    registry.record(warehouse, run("b", 20), run_id="r")
    registry.record(warehouse, run("past", 15), run_id="r")
    assert champions(warehouse) == [("b",)]
    assert registry.champion(warehouse, "churn", as_of=date(2026, 1, 16)).model_version == "past"
    assert registry.champion(warehouse, "churn", as_of=date(2026, 1, 12)).model_version == "a"
    assert registry.champion(warehouse, "churn", as_of=date(2026, 1, 9)) is None


def test_readiness_keeps_the_newest_day(warehouse):
    for version, day, found in (("a", 10, 30), ("b", 5, 20)):
        ready = [Requirement("history_days", 210, found)]
        registry.record(warehouse, run(version, day, False, readiness=ready), run_id="r")
    assert warehouse.execute(
        "SELECT model, requirement, needed, found, gap FROM bi.model_readiness"
    ).fetchall() == [("churn", "history_days", 210, 30, 180)]


def test_readiness_forgets_what_the_newest_training_no_longer_asks_for(warehouse):
    for version, day, name in (("a", 10, "old name"), ("b", 10, "days"), ("c", 5, "past")):
        ready = [Requirement(name, 210, 30)]
        registry.record(warehouse, run(version, day, False, readiness=ready), run_id="r")
    found = warehouse.execute("SELECT requirement FROM bi.model_readiness").fetchall()
    assert found == [("days",)]


def test_a_failure_leaves_nothing(warehouse):
    broken = run("a", 1, metrics=[Metric("test", "auc", "all", None, None)])
    with pytest.raises(registry.psycopg.errors.NotNullViolation):
        registry.record(warehouse, broken, run_id="r")
    assert registry.champion(warehouse, "churn") is None


def test_the_name_of_a_version_follows_from_what_it_is_made_of():
    day = date(2026, 1, 1)
    assert registry.version("churn", day, seed=0) == registry.version("churn", day, seed=0)
    assert registry.version("churn", day, seed=0) != registry.version("churn", day, seed=1)
