"""The algorithms that a model may use: each a pipeline made from a seed, after the gaps are filled.

No algorithm resamples. Where one answer is rare and the loss would overlook it, classes are
weighted, and the probabilities are learned from the distances of rows that the fit did not see.
"""

import logging
from collections.abc import Callable
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from lightgbm import LGBMClassifier, LGBMRegressor
from scipy.special import expit, logsumexp, softmax
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict, train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import QuantileTransformer, StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier

from include.errors import InputError

log = logging.getLogger(__name__)

Numbers = npt.NDArray[np.float64]

SOFT = 10.0  # C of what learns from distances: holds back only where nothing is between classes
MOST_RBF_ROWS = 10_000  # the time of an RBF machine grows with the square of its rows


class GradientDescent(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn: no types
    """Logistic regression by steps down the gradient; ``costs_`` keeps the cost before each step.

    Of three or more classes it is the multinomial one (softmax). The step is the longest that can
    never overshoot: one over the largest curvature of the cost (Boehning 1992). ``C`` is that of
    scikit-learn: less is more regularised.
    """

    def __init__(self, C: float = 0.1, steps: int = 500, tolerance: float = 1e-6) -> None:
        self.C = C
        self.steps = steps
        self.tolerance = tolerance

    def fit(self, X: Numbers, y: npt.ArrayLike) -> Self:
        """Learn the classes; stop when a step saves less than ``tolerance`` of the cost."""
        self.classes_, number = np.unique(np.asarray(y), return_inverse=True)
        answers = np.eye(len(self.classes_))[number]
        answers = answers[:, 1:] if len(self.classes_) == 2 else answers
        values = np.hstack([np.asarray(X, dtype="float64"), np.ones((len(X), 1))])
        pull = np.full((values.shape[1], 1), 1 / (self.C * len(values)))
        pull[-1] = 0.0  # the intercept is free
        curved = 0.25 if answers.shape[1] == 1 else 0.5  # at most, in the raw scores
        steepest = curved * np.linalg.eigvalsh(values.T @ values / len(values))[-1] + pull.max()
        weights, self.costs_ = np.zeros((values.shape[1], answers.shape[1])), list[float]()
        for _ in range(self.steps):
            raw = values @ weights
            cost = (_log_total(raw).sum() - (raw * answers).sum()) / len(raw)
            self.costs_.append(float(cost + 0.5 * (pull * weights**2).sum()))
            if len(self.costs_) > 1 and self._settled():
                break
            slope = values.T @ (_shares(raw) - answers) / len(raw) + pull * weights
            weights = weights - slope / steepest
        self.coef_, self.intercept_ = weights[:-1].T.copy(), weights[-1].copy()
        return self

    def _settled(self) -> bool:
        before, now = self.costs_[-2:]
        return before - now < self.tolerance * before

    def predict_proba(self, X: Numbers) -> Numbers:
        """The probabilities of the classes."""
        shares = _shares(np.asarray(X) @ self.coef_.T + self.intercept_)
        return np.hstack([1 - shares, shares]) if len(self.classes_) == 2 else shares

    def predict(self, X: Numbers) -> npt.NDArray[Any]:
        """The likeliest class."""
        picked: npt.NDArray[Any] = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return picked


def _shares(raw: Numbers) -> Numbers:
    """Probabilities from raw scores: a column a class, of two classes that of the second only."""
    return np.asarray(expit(raw) if raw.shape[1] == 1 else softmax(raw, axis=1))


def _log_total(raw: Numbers) -> Numbers:
    """The logarithm of what the exponentials of all classes add up to, a row each."""
    return np.asarray(np.logaddexp(0, raw) if raw.shape[1] == 1 else logsumexp(raw, axis=1))


class Calibrated(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn: no types
    """Probabilities for a machine that gives distances, learned from rows that it did not see.

    Of two classes a sigmoid of the distance (Platt 1999); of more a softmax of all distances, since
    a class between two others is neither near nor far. The folds are drawn, not cut in time.
    """

    def __init__(self, estimator: Any, seed: int = 0) -> None:
        self.estimator = estimator
        self.seed = seed

    def fit(self, X: Numbers, y: npt.ArrayLike) -> Self:
        """Learn the probabilities from the distances of three folds, then the machine from all."""
        folds = StratifiedKFold(3, shuffle=True, random_state=self.seed)
        unseen = cross_val_predict(self.estimator, X, y, cv=folds, method="decision_function")
        self.sigmoid_ = LogisticRegression(C=SOFT, max_iter=2000).fit(_columns(unseen), y)
        self.estimator_ = clone(self.estimator).fit(X, y)
        self.classes_ = self.estimator_.classes_
        return self

    def predict_proba(self, X: Numbers) -> Numbers:
        """The probabilities of the classes."""
        distances = _columns(self.estimator_.decision_function(X))
        return np.asarray(self.sigmoid_.predict_proba(distances), dtype="float64")

    def predict(self, X: Numbers) -> npt.NDArray[Any]:
        """The likeliest class."""
        return np.asarray(self.sigmoid_.predict(_columns(self.estimator_.decision_function(X))))


def _columns(distances: Numbers) -> Numbers:
    return distances.reshape(len(distances), -1)


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


def _linear_machine(seed: int) -> Pipeline:
    machine = LinearSVC(C=0.01, class_weight="balanced", dual=False, random_state=seed)
    return _ranked(seed, Calibrated(machine, seed))


def _rbf_machine(seed: int) -> Pipeline:
    machine = SVC(
        C=1.0, kernel="rbf", class_weight="balanced", cache_size=500, random_state=seed,
        decision_function_shape="ovo",  # the distances themselves: ovr counts votes
    )  # fmt: skip
    return _ranked(seed, Sampled(Calibrated(machine, seed), MOST_RBF_ROWS, seed))


def _network(seed: int) -> MLPClassifier:
    """Small, held back by weight decay: on few rows early stopping would judge by a handful."""
    return MLPClassifier(
        (32, 16), alpha=1.0, batch_size=256, max_iter=60, n_iter_no_change=5, tol=1e-4,
        random_state=seed,
    )  # fmt: skip


def _boosting(kind: Callable[..., Any], seed: int) -> Any:
    """Many shallow trees at a small rate; one thread, since sums in another order differ."""
    return kind(
        n_estimators=250, learning_rate=0.03, num_leaves=15, min_child_samples=30,
        colsample_bytree=0.5, subsample=0.8, subsample_freq=1, reg_lambda=1.0,
        random_state=seed, n_jobs=1, deterministic=True, force_col_wise=True, verbosity=-1,
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
    "boosting": lambda seed: make_pipeline(_boosting(LGBMClassifier, seed)),
    "network": lambda seed: _ranked(seed, _network(seed)),
}

# For an amount instead of a yes or no.
REGRESSIONS: dict[str, Callable[[int], Pipeline]] = {
    "linear": lambda seed: _ranked(seed, LinearRegression()),
    "boosting_amount": lambda seed: make_pipeline(_boosting(LGBMRegressor, seed)),
}

# What a search may set, by the learner's own names; a few values each, around its own. Classes are
# weighted only where the probabilities are mended after it.
STRENGTHS = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0]
SPACES: dict[str, dict[str, list[Any]]] = {
    "logistic": {"C": STRENGTHS},
    "logistic_descent": {"C": STRENGTHS, "steps": [500, 2000]},
    "svm_linear": {"C": STRENGTHS, "class_weight": [None, "balanced"]},
    "svm_rbf": {"C": [0.1, 0.3, 1.0, 3.0, 10.0], "gamma": ["scale", 0.003, 0.01, 0.03, 0.1]},
    "tree": {"max_depth": [3, 4, 6, 8, 12], "min_samples_leaf": [5, 10, 20, 50, 100]},
    "forest": {
        "min_samples_leaf": [1, 2, 5, 10, 20, 50],
        "max_features": ["sqrt", 0.1, 0.3, 0.6],
        "max_depth": [None, 8, 14],
    },
    "boosting": {
        "n_estimators": [100, 250, 500],
        "learning_rate": [0.01, 0.03, 0.06],
        "num_leaves": [4, 8, 15, 31, 63],
        "min_child_samples": [10, 30, 100],
        "colsample_bytree": [0.3, 0.5, 0.8],
        "reg_lambda": [0.0, 1.0, 10.0],
    },
    "network": {
        "alpha": [0.03, 0.1, 0.3, 1.0, 3.0, 10.0],
        "hidden_layer_sizes": [[16], [32, 16], [64, 32]],
        "learning_rate_init": [0.0003, 0.001, 0.003],
    },
}


def made(algorithm: str, seed: int, parameters: dict[str, Any] | None = None) -> Pipeline:
    """An unfitted pipeline of ``ALGORITHMS`` with some of the parameters of ``SPACES`` set.

    Raises
    ------
    InputError
        If the algorithm is unknown, or has no such parameter.
    """
    if algorithm not in ALGORITHMS:
        known = ", ".join(ALGORITHMS)
        raise InputError(f"no algorithm {algorithm!r}; known: {known}")
    if unknown := (parameters or {}).keys() - SPACES[algorithm].keys():
        raise InputError(
            f"{algorithm}: no parameter {', '.join(sorted(unknown))}; "
            f"give some of {', '.join(SPACES[algorithm])}"
        )
    pipeline = ALGORITHMS[algorithm](seed)
    learner(pipeline).set_params(**(parameters or {}))
    return pipeline


def learner(pipeline: Pipeline) -> Any:
    """What learns at the end of a pipeline, inside what samples and calibrates it."""
    found = pipeline[-1]
    while isinstance(found, Calibrated | Sampled):
        found = found.estimator
    return found
