"""The search for parameters: what is drawn, what is chosen, and on which days it is judged."""

import json
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from include.errors import InputError
from include.models import ALGORITHMS, compare, search
from include.models.algorithms import SPACES, made
from include.models.churn import Churn
from include.models.examples import Examples

FIRST = date(2026, 1, 1)
DAYS = [FIRST + timedelta(days=30 * number) for number in range(6)]


def examples(answer, days=DAYS, customers=600):
    """Each customer on each day; ``answer`` gives the labels of their recency."""
    draw = np.random.default_rng(8)
    rows = pd.MultiIndex.from_product([days, range(customers)], names=["as_of", "customer_id"])
    recency = draw.uniform(0, 100, len(rows))
    order_count = draw.integers(1, 9, len(rows))
    profiles = pd.DataFrame({"recency_days": recency, "order_count": order_count}, index=rows)
    return Examples(profiles, pd.Series(answer(recency), index=rows).astype("int64"))


class Seen(Churn):
    """Churn that notes which days each fit learned from and then foresaw, and how many rows."""

    def __init__(self, noted):
        super().__init__("tree")
        self.noted = noted

    def fit(self, profiles, labels, *, seed):
        self.learned = profiles
        return super().fit(profiles, labels, seed=seed)

    def score(self, profiles):
        days = [sorted({day for day, _ in each.index}) for each in (self.learned, profiles)]
        self.noted.append((*days, len(self.learned), len(profiles)))
        return super().score(profiles)


def late(recency):
    return recency > 50


def test_a_day_is_foreseen_from_days_whose_windows_end_by_it_and_only_the_newest_three_are():
    noted = []
    search.best(lambda: Seen(noted), examples(late), 60, trials=1, seed=0)
    first, second, third, fourth, fifth, sixth = DAYS
    assert [(learned, judged) for learned, judged, *_ in noted[:3]] == [
        ([first, second, third, fourth], [sixth]),
        ([first, second, third], [fifth]),
        ([first, second], [fourth]),
    ]
    assert noted[3:] == noted[:3]  # the trial has the same folds as the algorithm's own parameters


def test_a_fold_has_no_more_rows_than_are_allowed(monkeypatch):
    monkeypatch.setattr(compare, "MOST_ROWS", 250)
    noted = []
    search.best(lambda: Seen(noted), examples(late, DAYS[:2]), 30, trials=1, seed=0)
    assert [rows for *_, learned, judged in noted for rows in (learned, judged)] == [250] * 4


def test_of_forty_stripes_a_deeper_tree_is_found_and_measured_beside_its_own():
    past = examples(lambda recency: recency // 2.5 % 2)
    parameters, metrics = search.best(lambda: Churn("tree"), past, 60, trials=20, seed=0)
    assert parameters["max_depth"] > 6
    assert json.loads(json.dumps(parameters)) == parameters
    assert [(each.split, each.metric, each.slice) for each in metrics] == [
        ("cross_validated", "auc", f"as_of={day}") for day in DAYS[:2:-1]
    ]
    assert all(each.value > each.baseline + 0.05 for each in metrics)


def test_where_the_past_says_nothing_more_the_algorithms_own_parameters_stay():
    parameters, metrics = search.best(
        lambda: Churn("tree"), examples(late), 60, trials=20, seed=0
    )  # one threshold: any tree finds it
    assert parameters == {}
    assert [(each.value, each.baseline) for each in metrics] == [
        pytest.approx((1.0, 1.0), abs=0.005)
    ] * 3


def test_the_same_seed_finds_the_same():
    past = examples(lambda recency: recency // 2.5 % 2)
    first, second = (
        search.best(lambda: Churn("tree"), past, 60, trials=3, seed=5) for _ in range(2)
    )
    assert first == second


@pytest.mark.parametrize(
    ("days", "horizon_days", "trials", "said"),
    [
        (DAYS, 60, 0, "churn: no search, 0 trials on 0 days"),
        (DAYS[:2], 60, 9, "churn: no search, 9 trials on 0 days"),
    ],
    ids=["no trials", "too few days"],
)
def test_where_nothing_can_be_searched_the_log_says_so(days, horizon_days, trials, said, caplog):
    with caplog.at_level("INFO", logger=search.__name__):
        found = search.best(Churn, examples(late, days), horizon_days, trials=trials, seed=0)
    assert found == ({}, [])
    assert caplog.messages == [said]


def test_days_with_too_few_of_an_answer_are_no_folds():
    rare = examples(lambda recency: recency > 97.5, DAYS[:2])  # one in forty of 600
    assert search.best(Churn, rare, 30, trials=9, seed=0) == ({}, [])


@pytest.mark.parametrize(
    ("shallow", "chosen"),
    [
        ([0.83, 0.82, 0.83], {3}),
        ([0.804, 0.804, 0.804], set()),  # by less than the margin
        ([0.90, 0.79, 0.79], set()),  # on one day of three: by less than a standard error
        ([0.70, 0.70, 0.70], set()),
    ],
)
def test_its_own_parameters_stay_unless_others_are_really_better(shallow, chosen):
    def judge(parameters):
        return shallow if parameters.get("max_depth") == 3 else [0.8, 0.8, 0.8]

    found = search.pick("tree", judge, trials=24, seed=1)
    assert {found.parameters[name] for name in found.parameters if name == "max_depth"} == chosen
    assert found.own == [0.8, 0.8, 0.8]
    assert found.figures == (shallow if chosen else found.own)


def test_with_one_day_the_margin_alone_decides():
    def judge(parameters):
        return [0.8 if parameters else 0.79]

    assert search.pick("logistic", judge, trials=1, seed=0).parameters.keys() == {"C"}


def test_five_trials_that_bring_nothing_end_the_search():
    tried = []

    def judge(parameters):
        tried.append(parameters)
        return [0.8 + 0.01 * (len(tried) == 3)]  # the second trial is better than all others

    found = search.pick("boosting", judge, trials=50, seed=0)
    assert tried[0] == {}
    assert len(tried) == 8
    assert (found.tried, found.parameters) == (7, tried[2])


def test_no_setting_is_drawn_twice_and_none_that_is_the_algorithms_own():
    drawn = search.settings("logistic", 100, 0)
    assert sorted(each["C"] for each in drawn) == [0.001, 0.003, 0.01, 0.03, 0.3, 1.0, 3.0]
    own = {"alpha": 1.0, "hidden_layer_sizes": [32, 16], "learning_rate_init": 0.001}
    assert own not in search.settings("network", 100, 0)
    assert len(search.settings("boosting", 4, 0)) == 4


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_setting_of_a_space_can_be_learned_with_and_kept_as_json(algorithm):
    for parameters in search.settings(algorithm, 100, 0):
        assert json.loads(json.dumps(parameters)) == parameters
        made(algorithm, 0, parameters)
    assert all(len(set(map(str, values))) == len(values) for values in SPACES[algorithm].values())


@pytest.mark.parametrize("depth", [1, 2, 9])
def test_the_parameters_given_are_those_learned_with(profiles, depth):
    coins = pd.Series(np.random.default_rng(1).integers(0, 2, 400), index=profiles.index)
    model = Churn("tree", parameters={"max_depth": depth, "min_samples_leaf": 1})
    assert model.fit(profiles, coins, seed=0).pipeline[-1].get_depth() == depth


def test_a_parameter_that_the_algorithm_does_not_have_is_named(profiles, labels):
    model = Churn("tree", parameters={"depth": 3})
    with pytest.raises(InputError, match="tree: no parameter depth; give some of max_depth, min_"):
        model.fit(profiles, labels, seed=0)


def by_size(recency):
    return recency > 50


def in_stripes(recency):
    return recency // 12.5 % 2


@pytest.mark.parametrize(("answer", "chosen"), [(by_size, "logistic"), (in_stripes, "boosting")])
def test_of_two_algorithms_the_simpler_stays_unless_the_other_foresees_past_days_better(
    answer, chosen
):
    name, metrics = search.algorithm(Churn, examples(answer), 60, seed=0)
    assert name == chosen
    assert {each.slice.partition(" ")[0] for each in metrics} == {
        "algorithm=logistic",
        "algorithm=boosting",
    }


def test_without_a_day_to_foresee_the_simpler_algorithm_is_taken():
    assert search.algorithm(Churn, examples(by_size, DAYS[:1]), 60, seed=0) == ("logistic", [])
