"""What every model promises with every algorithm."""

from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

from include import models
from include.errors import InputError, NotFittedError
from include.models import ALGORITHMS, MODELS, store
from include.models.base import fitted_features

SAME = pd.testing.assert_series_equal
NAMES = ["need:Tea" if kind == "need" else kind for kind in MODELS]
# Models differ in what they are asked, which no fit knows, and in what they add of their own: one
# without and one with columns of its own meet every algorithm, the others one.
PAIRS = [
    (name, algorithm)
    for name, algorithm in product(NAMES, ALGORITHMS)
    if name in {"churn", "need:Tea"} or algorithm == "logistic"
]


@pytest.fixture(params=PAIRS, ids="-".join)
def model(request):
    return models.make(*request.param)


@pytest.fixture
def profiles(profiles, model):
    """With what the model adds of its own, where there is something."""
    draw = np.random.default_rng(4)
    own = {column.name: draw.normal(10, 3, len(profiles)) for column in model.own_features}
    return profiles.assign(**own)


def test_the_same_seed_gives_the_same_scores(model, profiles, labels):
    first = model.fit(profiles, labels, seed=7).score(profiles)
    SAME(model.fit(profiles, labels, seed=7).score(profiles), first)


def test_one_or_two_threads_give_the_same_scores(model, profiles, labels):
    with threadpool_limits(2):
        two = model.fit(profiles, labels, seed=7).score(profiles)
    with threadpool_limits(1):
        SAME(model.fit(profiles, labels, seed=7).score(profiles), two, check_exact=True)


def test_a_stored_model_scores_as_before(model, profiles, labels):
    fitted = model.fit(profiles, labels, seed=0)
    copy = replace(model, pipeline=store.loads(store.dumps(fitted.pipeline)))
    SAME(copy.score(profiles), fitted.score(profiles), check_exact=True)


def test_every_row_gets_a_finite_score_in_any_order_of_rows(model, profiles, labels):
    scores = model.fit(profiles, labels, seed=0).score(profiles)
    assert np.isfinite(scores).all()
    SAME(model.score(profiles[::-1])[::-1], scores, rtol=1e-12)


def test_what_is_not_finite_counts_as_missing(model, profiles, labels):
    model.fit(profiles, labels, seed=0)
    odd = profiles.head(1).copy()
    odd["revenue"], odd["gap_days_mean"] = np.inf, np.nan
    assert np.isfinite(model.score(odd)).all()


def test_no_rows_give_no_scores(model, profiles, labels):
    assert model.fit(profiles, labels, seed=0).score(profiles.head(0)).empty


def test_a_planted_habit_is_learned(model, profiles, labels):
    scores = model.fit(profiles, labels, seed=0).score(profiles)
    assert scores[labels == 1].mean() > scores[labels == 0].mean() + 0.3


def test_it_does_not_score_before_it_was_fitted(model, profiles):
    with pytest.raises(NotFittedError, match="fit it or load the champion"):
        model.score(profiles)


def test_an_unknown_algorithm_is_named():
    with pytest.raises(InputError, match="no algorithm 'oracle'; known: logistic"):
        MODELS["churn"]("oracle").fit(pd.DataFrame(), pd.Series(), seed=0)


def test_what_a_model_adds_of_its_own_is_learned_from(model, profiles, labels):
    used = fitted_features(model.fit(profiles, labels, seed=0).pipeline)
    assert {column.name for column in model.own_features} <= set(used)
