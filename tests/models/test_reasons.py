import numpy as np
import pytest

from include.models import reasons
from include.models.churn import Churn


def test_contributions_and_the_intercept_add_up_to_the_raw_score(profiles, labels):
    model = Churn().fit(profiles, labels, seed=0)
    total = reasons.contributions(model.pipeline, profiles).sum(axis=1)
    probability = model.score(profiles)
    raw = np.log(probability / (1 - probability))
    np.testing.assert_allclose(total + model.pipeline[-1].intercept_[0], raw, atol=1e-9)


def test_contributions_of_boosted_trees_differ_from_the_raw_score_by_one_constant(profiles, labels):
    model = Churn("boosting").fit(profiles, labels, seed=0)
    total = reasons.contributions(model.pipeline, profiles).sum(axis=1)
    probability = model.score(profiles)
    constant = np.log(probability / (1 - probability)) - total
    np.testing.assert_allclose(constant, constant.iloc[0], atol=1e-9)
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
