"""What single algorithms promise beyond what every model does."""

import logging

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from include.models import algorithms
from include.models.algorithms import (
    ALGORITHMS,
    REGRESSIONS,
    GradientDescent,
    Sampled,
    learner,
    made,
)
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


def blobs(seed, rows=900):
    """Half lie about (6, 0), three in ten about (0, 6), two in ten about (-6, -6); 9 apart."""
    draw = np.random.default_rng(seed)
    labels = draw.choice(3, rows, p=[0.5, 0.3, 0.2])
    return np.array([[6, 0], [0, 6], [-6, -6]])[labels] + draw.normal(size=(rows, 2)), labels


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_three_separated_blobs_are_told_apart_by_probabilities_that_add_up_to_one(algorithm):
    with learning():
        fitted = ALGORITHMS[algorithm](0).fit(*blobs(seed=1))
    values, labels = blobs(seed=2)
    shares = fitted.predict_proba(values)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert (shares.argmax(axis=1) == labels).mean() > 0.99
    assert (fitted.predict(values) == labels).mean() > 0.99
    np.testing.assert_allclose(shares.mean(axis=0), [0.5, 0.3, 0.2], atol=0.05)


@pytest.mark.parametrize("algorithm", [name for name in ALGORITHMS if name != "tree"])
def test_of_three_classes_that_overlap_as_many_come_on_a_later_draw_as_were_foreseen(algorithm):
    """Where the probability of a class is highest, lowest and between: three groups of 1,000."""
    values, labels = drawn(rows=6000, kinds=3)
    with learning():
        fitted = ALGORITHMS[algorithm](0).fit(values[:3000], labels[:3000])
    shares = fitted.predict_proba(values[3000:])
    for kind in range(3):
        for rows in np.array_split(np.argsort(shares[:, kind]), 3):
            came = (labels[3000:][rows] == kind).mean()
            assert shares[rows, kind].mean() == pytest.approx(came, abs=0.08)


def test_gradient_descent_of_three_classes_arrives_where_the_solver_does():
    values, labels = drawn(kinds=3)
    stepped = GradientDescent(C=0.1, steps=5000, tolerance=1e-12).fit(values, labels)
    solved = LogisticRegression(C=0.1, tol=1e-10).fit(values, labels)
    assert stepped.costs_[0] == pytest.approx(np.log(3))
    assert (np.diff(stepped.costs_) < 0).all()
    np.testing.assert_allclose(stepped.coef_, solved.coef_, atol=1e-4)
    np.testing.assert_allclose(stepped.intercept_, solved.intercept_, atol=1e-4)


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


@pytest.mark.parametrize("algorithm", REGRESSIONS)
def test_an_amount_that_lies_on_a_line_is_foreseen(algorithm):
    values, _ = drawn()
    amounts = 10 + 3 * values[:, 0]
    with learning():
        guessed = REGRESSIONS[algorithm](0).fit(values, amounts).predict(values)
    assert np.corrcoef(guessed, amounts)[0, 1] > 0.95


@pytest.mark.parametrize(
    ("algorithm", "name"),
    [("svm_linear", "LinearSVC"), ("svm_rbf", "SVC"), ("forest", "RandomForestClassifier")],
)
def test_what_learns_is_found_inside_what_samples_and_calibrates_it(algorithm, name):
    assert type(learner(made(algorithm, 0))).__name__ == name
