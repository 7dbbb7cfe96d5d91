"""What a model loses when a feature says nothing any more."""

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

from include.models import ALGORITHMS, importance
from include.models.base import groups
from include.models.churn import Churn
from include.models.registry import Metric

FEW = ["recency_days", "revenue", "order_count", "gap_days_mean"]


@pytest.fixture
def few(profiles):
    """400 profiles of four features: recency_days decides, the others are noise."""
    return profiles[[*FEW, *groups()]]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_feature_that_decides_has_nearly_all_of_it_with_every_algorithm(few, labels, algorithm):
    fitted = Churn(algorithm).fit(few, labels, seed=0)
    lost = importance.permutation(fitted.pipeline, few, labels, seed=0)
    assert lost.index[0] == "recency_days"
    assert lost["recency_days"] > 0.35  # of one half; boosting knows some rows by heart
    assert lost.drop("recency_days").abs().max() < 0.05
    assert set(lost.index) == set(FEW)


def test_what_a_tree_does_not_ask_for_loses_nothing_at_all(few, labels):
    fitted = Churn("tree").fit(few, labels, seed=0)
    lost = importance.permutation(fitted.pipeline, few, labels, seed=0)
    assert lost["recency_days"] == pytest.approx(0.5, abs=0.05)
    assert lost.drop("recency_days").tolist() == [0, 0, 0]


def test_a_duplicate_shares_with_the_feature_that_decides(few, labels):
    twice = few.assign(revenue=few["recency_days"])
    alone, shared = (
        importance.permutation(
            Churn().fit(given, labels, seed=0).pipeline, given, labels, seed=0, repeats=20
        )
        for given in (few, twice)
    )
    assert 0.05 < shared["revenue"] < alone["recency_days"] / 2
    assert shared["revenue"] == pytest.approx(shared["recency_days"], abs=0.02)


def test_of_a_model_of_noise_no_feature_matters(profiles):
    chance = pd.Series(np.random.default_rng(1).integers(0, 2, len(profiles)), profiles.index)
    past, later = np.arange(400) < 200, np.arange(400) >= 200
    fitted = Churn().fit(profiles[past], chance[past], seed=0)
    lost = importance.permutation(fitted.pipeline, profiles[later], chance[later], seed=0)
    assert abs(lost.mean()) < 0.005
    assert lost.abs().max() < 0.05


def test_the_mark_of_a_gap_counts_for_the_feature_that_has_it(few):
    unknown = few["gap_days_mean"].isna().astype("int64")
    fitted = Churn("tree").fit(few, unknown, seed=0)
    lost = importance.permutation(fitted.pipeline, few, unknown, seed=0, repeats=20)
    assert lost["gap_days_mean"] == pytest.approx(0.5, abs=0.05)


def test_the_same_seed_draws_the_same_rows_and_shuffles_in_any_number_of_threads(few, labels):
    fitted = Churn("network").fit(few, labels, seed=0)
    found = []
    for seed, threads in ((0, 1), (0, 2), (1, 1)):
        with threadpool_limits(threads):
            found.append(
                importance.permutation(fitted.pipeline, few, labels, seed=seed, most_rows=100)
            )
    pd.testing.assert_series_equal(found[0], found[1], check_exact=True)
    assert found[0].tolist() != found[2].tolist()


def test_the_profiles_stay_as_they_were(few, labels):
    fitted, before = Churn("boosting").fit(few, labels, seed=0), few.copy()
    importance.permutation(fitted.pipeline, few, labels, seed=0)
    pd.testing.assert_frame_equal(few, before)


def test_where_only_one_answer_occurs_nothing_can_be_lost(few, labels):
    fitted = Churn().fit(few, labels, seed=0)
    lost = importance.permutation(fitted.pipeline, few, labels * 0, seed=0)
    assert lost.tolist() == [0, 0, 0, 0]


def test_each_feature_is_a_slice():
    lost = pd.Series({"recency_days": 0.25, "revenue": -0.001})
    assert importance.metrics(lost) == [
        Metric("importance", "auc_lost", "feature=recency_days", 0.25, None),
        Metric("importance", "auc_lost", "feature=revenue", -0.001, None),
    ]
