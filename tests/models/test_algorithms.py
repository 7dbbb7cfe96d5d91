"""What single algorithms promise beyond what every model does."""

import logging

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from include.models import algorithms
from include.models.algorithms import ALGORITHMS, REGRESSIONS, GradientDescent, Sampled
from include.models.base import learning


def drawn(rows=400, kinds=2):
    """Five columns; the first decides the class, with some noise."""
    draw = np.random.default_rng(5)
    values = draw.normal(size=(rows, 5))
    raw = values[:, 0] + 0.5 * draw.normal(size=rows)
    return values, np.digitize(raw, np.quantile(raw, np.arange(1, kinds) / kinds))


def test_each_step_down_the_gradient_costs_less_and_the_first_cost_is_that_of_knowing_nothing():
    values, labels = drawn()
    costs = GradientDescent().fit(values, labels).costs_
    assert costs[0] == pytest.approx(np.log(2))
    assert (np.diff(costs) < 0).all()
    assert costs[-1] < 0.5


def test_gradient_descent_arrives_where_the_solver_does():
    values, labels = drawn()
    stepped = GradientDescent(C=0.1, steps=5000, tolerance=1e-12).fit(values, labels)
    solved = LogisticRegression(C=0.1, tol=1e-10).fit(values, labels)
    np.testing.assert_allclose(stepped.coef_, solved.coef_, atol=1e-4)
    np.testing.assert_allclose(stepped.intercept_, solved.intercept_, atol=1e-4)


def test_the_steps_are_bounded():
    values, labels = drawn()
    assert len(GradientDescent(steps=7).fit(values, labels).costs_) == 7


@pytest.mark.parametrize("algorithm", ["svm_linear", "svm_rbf", "tree", "forest", "boosting"])
def test_of_three_classes_each_gets_a_probability_and_most_are_right(algorithm):
    values, labels = drawn(rows=600, kinds=3)
    fitted = ALGORITHMS[algorithm](0).fit(values, labels)
    shares = fitted.predict_proba(values)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert (shares.argmax(axis=1) == labels).mean() > 0.6
    assert (fitted.predict(values) == labels).mean() > 0.6


@pytest.mark.parametrize("algorithm", ["svm_linear", "svm_rbf"])
def test_a_rare_answer_is_foreseen_as_often_as_it_comes_though_classes_are_weighted(algorithm):
    values, labels = drawn(rows=1500, kinds=10)
    rare = (labels == 9).astype(int)
    fitted = ALGORITHMS[algorithm](0).fit(values, rare)
    assert fitted.predict_proba(values)[:, 1].mean() == pytest.approx(0.1, abs=0.02)


def test_a_sample_keeps_the_shares_of_the_classes_and_says_its_size(caplog):
    values, labels = drawn(kinds=4)
    with caplog.at_level(logging.INFO, logger=algorithms.__name__):
        fitted = Sampled(SVC(), most=40, seed=1).fit(values, labels)
    assert fitted.rows_ == 40
    assert caplog.messages == ["SVC learns from a sample of 40 of 400 rows"]
    assert Sampled(SVC(), most=999).fit(values, labels).rows_ == 400


def test_an_amount_is_foreseen_by_a_line():
    values, _ = drawn()
    amounts = 10 + 3 * values[:, 0]
    with learning():
        guessed = REGRESSIONS["linear"](0).fit(values, amounts).predict(values)
    assert np.corrcoef(guessed, amounts)[0, 1] > 0.95
