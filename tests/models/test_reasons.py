from datetime import date

import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMClassifier

from include.models import calibration, reasons, score, store
from include.models.base import fitted_features, highest, matrix
from include.models.calibration import Mending
from include.models.churn import Churn
from include.models.registry import Champion


def start(pipeline, profiles):
    """What a raw score is without any contribution."""
    last = pipeline[-1]
    if isinstance(last, LGBMClassifier):
        made = pipeline[:-1].transform(matrix(profiles, fitted_features(pipeline)))
        return last.predict(made, pred_contrib=True)[:, -1]
    return last.intercept_[0]


@pytest.mark.parametrize("algorithm", ["logistic", "logistic_descent", "boosting"])
def test_contributions_and_the_start_add_up_to_the_log_odds_before_they_are_mended(
    profiles, labels, algorithm
):
    model = Churn(algorithm).fit(profiles, labels, seed=0)
    probability = model.score(profiles)
    raw = np.log(probability / (1 - probability))
    total = reasons.contributions(model.pipeline, profiles).sum(axis=1)
    np.testing.assert_allclose(total + start(model.pipeline, profiles), raw, atol=1e-6)
    mended = calibration.mend(model.pipeline, Mending(slope=0.5, shift=-1.0, rows=400))
    np.testing.assert_array_equal(reasons.contributions(mended, profiles).sum(axis=1), total)


def test_the_feature_that_decides_comes_first_with_boosted_trees_too(profiles, labels):
    model = Churn("boosting").fit(profiles, labels, seed=0)
    found = reasons.reasons(model.pipeline, profiles)["reason_1"]
    assert found.str.startswith("Time since the last order: ").mean() > 0.9


@pytest.mark.parametrize("algorithm", ["svm_linear", "svm_rbf", "tree", "forest", "network"])
def test_an_algorithm_without_an_exact_decomposition_gives_no_reasons(profiles, labels, algorithm):
    model = Churn(algorithm).fit(profiles, labels, seed=0)
    assert reasons.contributions(model.pipeline, profiles).empty
    assert reasons.reasons(model.pipeline, profiles).isna().all(axis=None)


def test_the_feature_that_decides_comes_first_with_its_direction(profiles, labels):
    model = Churn().fit(profiles, labels, seed=0)
    extreme = profiles.assign(recency_days=np.where(labels == 1, 25.0, 1.0)).round(0)
    found = reasons.reasons(model.pipeline, extreme)["reason_1"]
    assert set(found[labels == 1]) == {"Time since the last order: 25 days (raises it)"}
    assert set(found[labels == 0]) == {"Time since the last order: 1 days (lowers it)"}


def test_what_pulls_with_the_score_comes_before_what_pulls_against_it(profiles, labels):
    model = Churn().fit(profiles, labels, seed=0)
    terms = reasons.contributions(model.pipeline, profiles)
    above = terms.sum(axis=1) > 0
    largest = terms.to_numpy()[range(len(terms)), terms.abs().to_numpy().argmax(axis=1)]
    against = (largest < 0) == above
    assert against.sum() > 5  # else this test could not tell
    first = reasons.reasons(model.pipeline, profiles)["reason_1"]
    assert first[above].str.endswith("(raises it)").all()
    assert first[~above].str.endswith("(lowers it)").all()


def test_with_the_score_then_against_it_each_by_size():
    terms = np.array([[-3.0, 1.0, 2.5, 0.0], [3.0, -1.0, -2.5, 0.0], [-3.0, 4.0, 0.0, 0.0]])
    assert reasons.ranked(terms)[:, :3].tolist() == [[2, 1, 0], [2, 1, 0], [1, 0, 2]]


def test_a_missing_value_is_said_to_be_unknown(profiles, labels):
    unknown = profiles["gap_days_mean"].isna()
    model = Churn().fit(profiles, unknown.astype(int), seed=0)
    found = reasons.reasons(model.pipeline, profiles)
    assert set(found.loc[unknown, "reason_1"]) == {
        "Mean time between purchase days: unknown (raises it)"
    }


def test_no_customers_have_no_reasons(profiles, labels):
    model = Churn().fit(profiles, labels, seed=0)
    assert reasons.reasons(model.pipeline, profiles.head(0)).empty


def test_money_is_in_the_currency_of_the_domain():
    assert reasons.amount(1234.5, "currency") == "1,234.5 EUR"


def test_the_top_share_is_rounded_up_and_takes_in_who_is_equal_to_its_last():
    scores = pd.Series([0.1, 0.9, 0.5, 0.5, 0.2])
    for share, expected in (
        (0.2, [False, True, False, False, False]),
        (0.3, [False, True, True, True, False]),
        (1.0, [True] * 5),
    ):
        assert highest(scores, share).tolist() == expected
    assert highest(scores.head(0), 0.2).tolist() == []


def test_only_the_top_share_of_the_eligible_gets_reasons(profiles, labels):
    profiles = profiles.assign(recency_days=np.where(np.arange(400) < 100, 400.0, 10.0))
    model = Churn().fit(profiles, labels, seed=0)
    made_of = {"parameters": {"horizon_days": 90}}
    champion = Champion(
        "churn-1",
        date(2026, 1, 1),
        {"made_of": made_of},
        store.dumps({"published": model.pipeline}),
    )
    table = score.scored_by(Churn(), champion, profiles)
    assert table["eligible"].sum() == 300  # the others are gone for more than 365 days
    told = table[table["reason_1"].notna()]
    assert len(told) == 60
    assert told["score"].min() >= table.loc[table["reason_1"].isna(), "score"].max()
    assert told[["reason_1", "reason_2", "reason_3"]].notna().all(axis=None)
    assert table.loc[table["reason_1"].isna(), ["reason_2", "reason_3"]].isna().all(axis=None)
