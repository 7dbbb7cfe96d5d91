"""Probabilities that come true later: checked on a day after those learned from, and mended there.

What a fit foresees of its own days says little of later ones, where fewer or more may answer. So
the log-odds of a fit on earlier days are held against a later day; where they are off by more than
chance, they are stretched and shifted. The order of the scores stays.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import minimize
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.pipeline import Pipeline, make_pipeline

Numbers = npt.NDArray[np.float64]
Answers = npt.NDArray[np.int64]

CHANCE = 9.21  # twice the gain in log-likelihood that 1 in 100 mendings of a right fit would give
SMALLEST = 1e-9  # of a probability: its log-odds stay finite


@dataclass(frozen=True)
class Mending:
    """Log-odds x ``slope`` + ``shift``, as learned from ``rows``."""

    slope: float
    shift: float
    rows: int

    @property
    def card(self) -> dict[str, Any]:
        """JSON-able."""
        return {name: round(value, 6) for name, value in asdict(self).items()}


class Mended(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A fitted classifier of two answers whose log-odds are stretched and shifted."""

    def __init__(self, estimator: Any, slope: float = 1.0, shift: float = 0.0) -> None:
        self.estimator = estimator
        self.slope = slope
        self.shift = shift

    def fit(self, X: Numbers, y: npt.ArrayLike) -> "Mended":
        """Learn anew what is mended; the mending stays."""
        self.estimator.fit(X, y)
        return self

    def __sklearn_is_fitted__(self) -> bool:
        """It is made of a fitted one."""
        return True

    def predict_proba(self, X: Numbers) -> Numbers:
        """The mended probabilities of both answers."""
        raw = log_odds(self.estimator.predict_proba(X)[:, 1])
        yes = 1 / (1 + np.exp(-(self.slope * raw + self.shift)))
        return np.column_stack([1 - yes, yes])


def log_odds(probability: Numbers) -> Numbers:
    """Of probabilities; finite at 0 and 1 too."""
    clipped = np.clip(probability, SMALLEST, 1 - SMALLEST)
    return np.asarray(np.log(clipped / (1 - clipped)), dtype="float64")


def learn(trial: pd.Series, final: pd.Series, labels: pd.Series) -> Mending | None:
    """What mends a fit by what happened on a day; None where chance explains it.

    Parameters
    ----------
    trial : scores of that day by a fit that had not seen it: whether to mend, and the slope.
    final : scores by the fit that is mended. It may have learned from the day too, so the shift is
        such that as many are foreseen as there were; the trial's own would overshoot.
    labels : 0 or 1, on the index of both.
    """
    raw, answers = log_odds(trial.to_numpy()), labels.to_numpy()
    slope, shift = _best(raw, answers, (0.05, 5.0))
    gain = _cost(np.array([1.0, 0.0]), raw, answers) - _cost(np.array([slope, shift]), raw, answers)
    if 2 * gain <= CHANCE:
        return None
    _, shift = _best(log_odds(final.to_numpy()), answers, (slope, slope))
    return Mending(slope, shift, len(answers))


def _best(raw: Numbers, answers: Answers, slopes: tuple[float, float]) -> tuple[float, float]:
    start = np.array([float(np.clip(1.0, *slopes)), 0.0])
    limits = [slopes, (-20.0, 20.0)]
    found = minimize(_cost, start, (raw, answers), method="L-BFGS-B", bounds=limits)
    return float(found.x[0]), float(found.x[1])


def _cost(mending: Numbers, raw: Numbers, answers: Answers) -> float:
    """Minus the log-likelihood."""
    mended = mending[0] * raw + mending[1]
    return float(np.logaddexp(0, mended).sum() - mended[answers == 1].sum())


def mend(pipeline: Pipeline, mending: Mending | None) -> Pipeline:
    """The same pipeline with its probabilities mended; as it was where there is nothing to mend."""
    if mending is None:
        return pipeline
    last = Mended(pipeline[-1], mending.slope, mending.shift)
    return make_pipeline(*(step for _, step in pipeline.steps[:-1]), last)


def card(mending: Mending | None) -> dict[str, Any] | str:
    """What the card of a version says of it."""
    return "not needed: off by no more than chance" if mending is None else mending.card
