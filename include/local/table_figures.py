"""How good what was foreseen of an outside table is, beside what needs no model.

``labels`` are the number of each row's class, or its amount; ``foreseen`` has a row each, and a
column a class with its probability, or one column with the amount.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn import metrics as scores

from include.models import gate, metrics
from include.models.base import single_thread
from include.models.gate import Statistic

Numbers = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
Labels = npt.NDArray[Any]


def leading(classes: list[str]) -> tuple[str, int]:
    """The figure that algorithms are ranked by, and 1 if higher is better, else -1."""
    return ("auc", 1) if classes else ("rmse", -1)


def measure(labels: Labels, foreseen: Numbers) -> dict[str, float]:
    """The figures of one fold, the leading one first; each class must occur in it.

    Of three and more classes the AUC is the mean of each class against the others.
    """
    classes = foreseen.shape[1]
    if classes == 1:
        off = foreseen[:, 0] - labels
        rest = float(((labels - labels.mean()) ** 2).mean())
        return {
            "rmse": float(np.sqrt((off**2).mean())),
            "mae": float(np.abs(off).mean()),
            "r2": 1 - float((off**2).mean()) / rest if rest else 0.0,
        }
    if classes == 2:
        return metrics.headline(labels, foreseen[:, 1])
    each = [metrics.auc(labels == one, foreseen[:, one]) for one in range(classes)]
    return {
        "auc": float(np.mean(each)),
        "log_loss": float(scores.log_loss(labels, foreseen, labels=list(range(classes)))),
        "accuracy": float((foreseen.argmax(axis=1) == labels).mean()),
    }


def naive(labels: Labels, classes: list[str]) -> dict[str, float]:
    """The same figures of who foresees for every row how often each class occurs, or the mean."""
    if not classes:
        off = labels - labels.mean()
        found = {"rmse": np.sqrt((off**2).mean()), "mae": np.abs(off).mean(), "r2": 0.0}
    else:
        shares = np.bincount(labels.astype("int64")) / len(labels)
        rate = shares[-1]
        if len(classes) == 2:
            found = {"average_precision": rate, "lift_10": 1.0, "brier": rate * (1 - rate)}
        else:
            found = {"log_loss": -(shares * np.log(shares)).sum(), "accuracy": shares.max()}
        found = {"auc": 0.5, **found}
    return {name: round(float(value), 4) for name, value in found.items()}


def interval(labels: Labels, parts: list[tuple[Rows, Numbers]]) -> tuple[float, float]:
    """Between what the leading figure lies with 95 %: the gate's bootstrap of the rows.

    ``parts`` are the rows of each fold and what was foreseen of them; as in ``measure``, the figure
    is the mean of the folds.
    """
    each = [(rows, _statistic(labels[rows], foreseen)) for rows, foreseen in parts]

    def statistic(weights: Numbers) -> float:
        return float(np.mean([of_fold(weights[rows]) for rows, of_fold in each]))

    with single_thread():
        found = gate.measured({"figure": statistic}, len(labels), seed=0)["figure"]
    low, high = found.interval
    return round(low, 4), round(high, 4)


def _statistic(labels: Labels, foreseen: Numbers) -> Statistic:
    """The leading figure of one fold by how often each of its rows counts."""
    classes = foreseen.shape[1]
    if classes == 1:
        return gate.error(foreseen[:, 0], labels)
    asked = [1] if classes == 2 else range(classes)
    each = [gate.ranking(labels == one, foreseen[:, one]) for one in asked]
    return lambda weights: float(np.mean([auc(weights) for auc in each]))
