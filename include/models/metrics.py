"""How good scores are on a later date, beside the obvious, in all and in parts."""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn import metrics

from include.models import gate
from include.models.registry import Metric

THRESHOLD = 0.5
FEWEST_ROWS = 50  # in a slice: fewer say nothing

Numbers = npt.NDArray[np.float64]

# Groups of customers that are measured apart: column -> (name, from, up to) of the profile's value.
SLICES: dict[str, tuple[tuple[str, float, float], ...]] = {
    "order_count": (("1", 1, 1), ("2-3", 2, 3), ("4-9", 4, 9), ("10+", 10, math.inf)),
    "recency_days": (("1-30", 1, 30), ("31-90", 31, 90), ("91+", 91, math.inf)),
}


def measure(
    profiles: pd.DataFrame, labels: pd.Series, scores: pd.Series, naive: pd.Series, *, rate: float
) -> list[Metric]:
    """Every metric of a classifier on the test date, for all and for each slice.

    Parameters
    ----------
    profiles, labels, scores, naive : on one index; labels 0 or 1, scores are probabilities, naive
        is any score that needs no model.
    rate : share of positives that was learned from; the naive answer is the more frequent one.
    """
    parts = {"all": np.ones(len(labels), dtype=bool)}
    for column, bands in SLICES.items():
        for name, low, high in bands:
            parts[f"{column}={name}"] = profiles[column].between(low, high).to_numpy()
    found = []
    for name, rows in parts.items():
        if name == "all" or rows.sum() >= FEWEST_ROWS:
            figures = _figures(
                labels.to_numpy()[rows], scores.to_numpy()[rows], naive.to_numpy()[rows], rate
            )
            found += [
                Metric("test", metric, name, value, baseline)
                for metric, (value, baseline) in figures.items()
            ]
    return found


def auc(labels: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Area under the ROC curve; one half where only one answer occurs, which ranks nothing."""
    return gate.ranking(labels, scores)(np.ones(np.shape(labels)))


def chance(labels: pd.Series) -> float:
    """The AUC that scores without any meaning hardly ever exceed, on this many answers.

    Three deviations of the Mann-Whitney statistic: 1/2 + 3 sqrt((m + n + 1) / (12 m n)).
    """
    positives = int(labels.sum())
    negatives = len(labels) - positives
    if not positives or not negatives:
        return 1.0
    return 0.5 + 3 * math.sqrt((len(labels) + 1) / (12 * positives * negatives))


def _figures(
    labels: npt.NDArray[np.int64], scores: Numbers, naive: Numbers, rate: float
) -> dict[str, tuple[float, float | None]]:
    says = (scores >= THRESHOLD).astype(int)
    always = np.full_like(labels, int(rate >= THRESHOLD))
    figures: dict[str, tuple[float, float | None]] = {
        "base_rate": (float(labels.mean()), None),
        "accuracy": (float((says == labels).mean()), float((always == labels).mean())),
        "brier": (float(((scores - labels) ** 2).mean()), float(((rate - labels) ** 2).mean())),
        "calibration_error": (calibration_error(labels, scores), abs(rate - float(labels.mean()))),
    }
    for name, function in (
        ("precision", metrics.precision_score),
        ("recall", metrics.recall_score),
        ("f1", metrics.f1_score),
    ):
        figures[name] = (
            float(function(labels, says, zero_division=0)),
            float(function(labels, always, zero_division=0)),
        )
    if 0 < labels.mean() < 1:
        for name, function in RANKING.items():
            figures[name] = (float(function(labels, scores)), float(function(labels, naive)))
    return figures


def headline(labels: npt.NDArray[np.int64], scores: Numbers) -> dict[str, float]:
    """What algorithms are compared by; both answers must occur in ``labels``."""
    figures = {name: float(function(labels, scores)) for name, function in RANKING.items()}
    return {**figures, "brier": float(((scores - labels) ** 2).mean())}


def calibration_error(labels: npt.NDArray[np.int64], scores: Numbers) -> float:
    """How far the share foreseen is off from what came, on the average of ten groups by score."""
    groups = np.array_split(np.argsort(scores, kind="stable"), 10)
    gaps = [abs(scores[rows].sum() - labels[rows].sum()) for rows in groups]
    return float(sum(gaps) / len(scores))


def miscalibration(labels: npt.NDArray[np.int64], scores: Numbers) -> float:
    """The calibration error less what chance alone gives right probabilities; 0 or more.

    The mean absolute deviation of a sum of answers is about sqrt(2 / pi) of its standard deviation.
    """
    groups = np.array_split(np.argsort(scores, kind="stable"), 10)
    spread = [np.sqrt(2 / np.pi * (scores[rows] * (1 - scores[rows])).sum()) for rows in groups]
    return max(0.0, calibration_error(labels, scores) - float(sum(spread)) / len(scores))


def _lift(labels: npt.NDArray[np.int64], scores: Numbers) -> float:
    """Share of positives among the highest tenth, against their share in all."""
    tenth = max(1, len(labels) // 10)
    highest = np.argsort(-scores, kind="stable")[:tenth]
    return float(labels[highest].mean() / labels.mean())


RANKING: dict[str, Callable[..., float]] = {
    "auc": auc,
    "average_precision": metrics.average_precision_score,
    "lift_10": _lift,
}
