"""The algorithms that a model may use: each a pipeline made from a seed, after the gaps are filled.

No algorithm resamples. Where one answer is rare and the loss would overlook it, classes are
weighted, and the probabilities are mended by a sigmoid on rows that the fit did not see.
"""

import logging
from collections.abc import Callable
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from lightgbm import LGBMClassifier
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import QuantileTransformer, StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier

log = logging.getLogger(__name__)

Numbers = npt.NDArray[np.float64]

MOST_RBF_ROWS = 10_000  # the time of an RBF machine grows with the square of its rows


class GradientDescent(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn: no types
    """Logistic regression by steps down the gradient; ``costs_`` keeps the cost before each step.

    The step is the longest that can never overshoot: one over the largest curvature of the cost.
    ``C`` is that of scikit-learn: less is more regularised.
    """

    def __init__(self, C: float = 0.1, steps: int = 500, tolerance: float = 1e-6) -> None:
        self.C = C
        self.steps = steps
        self.tolerance = tolerance

    def fit(self, X: Numbers, y: npt.ArrayLike) -> Self:
        """Learn two classes; stop when a step saves less than ``tolerance`` of the cost."""
        self.classes_, yes = np.unique(np.asarray(y), return_inverse=True)
        values = np.hstack([np.asarray(X, dtype="float64"), np.ones((len(X), 1))])
        pull = np.full(values.shape[1], 1 / (self.C * len(values)))
        pull[-1] = 0.0  # the intercept is free
        steepest = 0.25 * np.linalg.eigvalsh(values.T @ values / len(values))[-1] + pull.max()
        weights, self.costs_ = np.zeros(values.shape[1]), list[float]()
        for _ in range(self.steps):
            raw = values @ weights
            cost = np.logaddexp(0, raw).mean() - raw[yes == 1].sum() / len(raw)
            self.costs_.append(float(cost + 0.5 * (pull * weights**2).sum()))
            if len(self.costs_) > 1 and self._settled():
                break
            slope = values.T @ (_probability(raw) - yes) / len(raw) + pull * weights
            weights = weights - slope / steepest
        self.coef_, self.intercept_ = weights[None, :-1], weights[-1:]
        return self

    def _settled(self) -> bool:
        before, now = self.costs_[-2:]
        return before - now < self.tolerance * before

    def predict_proba(self, X: Numbers) -> Numbers:
        """The probabilities of both classes."""
        yes = _probability(np.asarray(X) @ self.coef_[0] + self.intercept_[0])
        return np.column_stack([1 - yes, yes])

    def predict(self, X: Numbers) -> npt.NDArray[Any]:
        """The likelier class."""
        picked: npt.NDArray[Any] = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return picked


def _probability(raw: Numbers) -> Numbers:
    return 1 / (1 + np.exp(-np.clip(raw, -500, 500)))


class Sampled(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn: no types
    """An estimator that learns from at most ``most`` rows, drawn with every class in its share."""

    def __init__(self, estimator: Any, most: int, seed: int = 0) -> None:
        self.estimator = estimator
        self.most = most
        self.seed = seed

    def fit(self, X: Numbers, y: npt.ArrayLike) -> Self:
        """Draw, say how many, learn; ``rows_`` keeps the number."""
        labels, rows = np.asarray(y), np.arange(len(X))
        if len(rows) > self.most:
            drawn, _ = train_test_split(
                rows, train_size=self.most, stratify=labels, random_state=self.seed
            )
            rows = np.sort(drawn)
        self.rows_ = len(rows)
        name = type(self.estimator).__name__
        log.info("%s learns from a sample of %d of %d rows", name, self.rows_, len(labels))
        self.estimator_ = clone(self.estimator).fit(np.asarray(X)[rows], labels[rows])
        self.classes_ = self.estimator_.classes_
        return self

    def predict_proba(self, X: Numbers) -> Numbers:
        """The probabilities of the classes."""
        return np.asarray(self.estimator_.predict_proba(X), dtype="float64")

    def predict(self, X: Numbers) -> npt.NDArray[Any]:
        """The likeliest class."""
        return np.asarray(self.estimator_.predict(X))


def _ranked(seed: int, *last: Any) -> Pipeline:
    """Ranks tame the few very large buyers of most shops."""
    ranks = QuantileTransformer(n_quantiles=200, random_state=seed)
    return make_pipeline(ranks, StandardScaler(), *last)


def _calibrated(machine: Any, seed: int) -> CalibratedClassifierCV:
    """Probabilities for a machine that gives distances; its folds are drawn, not cut in time."""
    folds = StratifiedKFold(3, shuffle=True, random_state=seed)
    return CalibratedClassifierCV(machine, method="sigmoid", cv=folds, ensemble=False)


def _linear_machine(seed: int) -> Pipeline:
    machine = LinearSVC(C=0.01, class_weight="balanced", dual=False, random_state=seed)
    return _ranked(seed, _calibrated(machine, seed))


def _rbf_machine(seed: int) -> Pipeline:
    machine = SVC(C=1.0, kernel="rbf", class_weight="balanced", cache_size=500, random_state=seed)
    return _ranked(seed, Sampled(_calibrated(machine, seed), MOST_RBF_ROWS, seed))


def _network(seed: int) -> MLPClassifier:
    """Small, held back by weight decay: on few rows early stopping would judge by a handful."""
    return MLPClassifier(
        (32, 16), alpha=1.0, batch_size=256, max_iter=60, n_iter_no_change=5, tol=1e-4,
        random_state=seed,
    )  # fmt: skip


def _boosting(seed: int) -> LGBMClassifier:
    """Many shallow trees at a small rate; one thread, since sums in another order differ."""
    return LGBMClassifier(
        n_estimators=250, learning_rate=0.03, num_leaves=15, min_child_samples=30,
        colsample_bytree=0.5, subsample=0.8, subsample_freq=1, reg_lambda=1.0,
        random_state=seed, n_jobs=1, deterministic=True, force_row_wise=True, verbosity=-1,
    )  # fmt: skip


ALGORITHMS: dict[str, Callable[[int], Pipeline]] = {
    "logistic": lambda seed: _ranked(
        seed, LogisticRegression(C=0.1, max_iter=2000, random_state=seed)
    ),
    "logistic_descent": lambda seed: _ranked(seed, GradientDescent()),
    "svm_linear": _linear_machine,
    "svm_rbf": _rbf_machine,
    "tree": lambda seed: make_pipeline(
        DecisionTreeClassifier(max_depth=6, min_samples_leaf=20, random_state=seed)
    ),
    "forest": lambda seed: make_pipeline(
        RandomForestClassifier(200, min_samples_leaf=5, n_jobs=1, random_state=seed)
    ),
    "boosting": lambda seed: make_pipeline(_boosting(seed)),
    "network": lambda seed: _ranked(seed, _network(seed)),
}

# For an amount instead of a yes or no.
REGRESSIONS: dict[str, Callable[[int], Pipeline]] = {
    "linear": lambda seed: _ranked(seed, LinearRegression()),
}
