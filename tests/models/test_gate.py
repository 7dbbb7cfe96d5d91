import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from include.models import gate
from include.models.gate import Decision, Measured, Requirement


def test_nothing_is_said_when_all_is_there():
    assert gate.readiness([Requirement("history_days", 210, 210)]) is None


def test_every_shortfall_is_named():
    assert gate.readiness([
        Requirement("history_days", 210, 30),
        Requirement("training_dates", 1, 1),
        Requirement("test_positives", 50, 0),
    ]) == Decision(
        False, "not_ready", "history_days: 30 found, 210 needed; test_positives: 0 found, 50 needed"
    )


def around(value, spread=0.0):
    """A figure whose draws lie evenly within ``spread`` of it."""
    return Measured(value, value + np.linspace(-spread, spread, gate.DRAWS))


SURE, BASELINE = around(0.8), {"naive": around(0.7)}


def test_the_first_one_must_beat_every_baseline():
    assert gate.decide(SURE, None, BASELINE).promoted
    refused = gate.decide(SURE, None, {**BASELINE, "chance": around(0.8)})
    assert refused == Decision(
        False,
        "rejected",
        "does not really beat the baseline chance (0.8 against 0.8; better by +0.0000 to +0.0000)",
    )


def test_a_challenger_must_beat_the_champion_too():
    assert gate.decide(SURE, around(0.79), BASELINE).promoted
    worse = gate.decide(SURE, around(0.81), BASELINE)
    assert "does not really beat the champion (0.8 against 0.81" in worse.reason


def test_a_difference_that_may_be_chance_promotes_nothing():
    unsure = around(0.8, spread=0.11)
    assert not gate.decide(unsure, None, BASELINE).promoted
    assert gate.decide(around(0.8, spread=0.09), None, BASELINE).promoted


def test_draws_are_compared_customer_set_by_customer_set():
    wide = around(0.8, spread=0.3)
    always_better = Measured(wide.value + 0.01, wide.draws + 0.01)
    assert gate.decide(always_better, wide, {}).promoted


def test_errors_must_be_smaller():
    rivals = {"mean": around(1.5)}
    assert gate.decide(around(1.0), around(1.2), rivals, higher_is_better=False).promoted
    assert not gate.decide(around(1.3), around(1.2), rivals, higher_is_better=False).promoted


@pytest.mark.parametrize(("value", "promoted"), [(0.80, True), (0.75, False)])
def test_a_worn_champion_gives_way_to_who_is_not_really_worse(value, promoted):
    said = gate.decide(
        around(value), around(0.805, spread=0.01), BASELINE, worn="it is off by 0.20"
    )
    assert said.promoted == promoted
    assert ("it is off by 0.20" in said.reason) == promoted


def test_what_a_person_should_look_at_keeps_a_promotion_waiting():
    won, lost = Decision(True, "promoted", "beats all"), Decision(False, "rejected", "no")
    assert gate.asked(won, []) == won
    assert gate.asked(lost, ["size"]) == lost
    assert gate.asked(won, ["size", "drift"]) == Decision(
        False, "asks", "a person decides: size; drift; it beats all"
    )


def test_the_area_is_that_of_scikit_learn_with_ties_and_weights():
    draw = np.random.default_rng(0)
    labels, scores = draw.integers(0, 2, 200), draw.integers(0, 9, 200)
    weights = draw.integers(0, 4, 200).astype("float64")
    expected = roc_auc_score(labels, scores, sample_weight=weights)
    assert gate.ranking(labels, scores)(weights) == pytest.approx(expected, abs=1e-12)
    assert gate.ranking(labels, scores)(weights * labels) == 0.5  # one answer ranks nothing


def test_an_interval_holds_the_truth_as_often_as_it_says():
    """The mean of 100 drawn from a normal distribution about 3, 200 times."""
    held = []
    for seed in range(200):
        values = np.random.default_rng([1, seed]).normal(3, 1, 100)
        found = gate.measured({"mean": gate.mean(values)}, 100, seed=seed)["mean"]
        low, high = found.interval
        held.append(low <= 3 <= high)
    assert 0.90 <= np.mean(held) <= 0.98


def test_the_same_seed_redraws_the_same_customers_for_every_rival():
    values = np.arange(50.0)
    rivals = {"one": gate.mean(values), "two": gate.mean(values + 1)}
    found = gate.measured(rivals, 50, seed=3)
    assert found["two"].less(found["one"]).draws == pytest.approx(np.ones(gate.DRAWS))
    again = gate.measured(rivals, 50, seed=3)
    assert (again["one"].draws == found["one"].draws).all()


def test_the_root_of_the_mean_squared_error_is_that():
    statistic = gate.error([1.0, 2.0, 3.0], [1.0, 2.0, 5.0])
    assert statistic(np.ones(3)) == pytest.approx((4 / 3) ** 0.5)
    assert statistic(np.array([1.0, 1.0, 0.0])) == 0
