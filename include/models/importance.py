"""What a fitted model rests on: the AUC that it loses when a feature says nothing any more.

The values of a feature are shuffled between the customers, and the scores are ranked anew
(Breiman, Random Forests, 2001; Fisher, Rudin and Dominici, All Models are Wrong, but Many are
Useful, 2019). Of features that tell the same, one stands in for the other: each loses little.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.pipeline import Pipeline

from include.models.base import DIGITS, fitted_features, matrix, single_thread
from include.models.metrics import auc
from include.models.reasons import feature_of
from include.models.registry import Metric

Numbers = npt.NDArray[np.float64]


def permutation(
    pipeline: Pipeline,
    profiles: pd.DataFrame,
    labels: pd.Series,
    *,
    seed: int,
    most_rows: int = 2000,
    repeats: int = 2,
) -> pd.Series:
    """AUC lost, by feature, the largest loss first: a mean of ``repeats`` shuffles.

    Shuffled is what the pipeline made of a feature, with the mark of a gap that goes with it, so
    that the profiles are worked out once. What a feature tells of another one's gaps stays.

    Parameters
    ----------
    pipeline : a fitted one of any algorithm; mending does not change an order, so nor the AUC.
    profiles, labels : of a date that the fit has not seen, on one index; labels 0 or 1.
    most_rows : more are drawn from.
    """
    draw = np.random.default_rng(seed)
    rows = np.arange(len(labels))
    if len(rows) > most_rows:
        rows = np.sort(draw.choice(rows, most_rows, replace=False))
    answers = labels.to_numpy()[rows]
    orders = [draw.permutation(len(rows)) for _ in range(repeats)]
    with single_thread():
        values = matrix(profiles.iloc[rows], fitted_features(pipeline))
        made = np.array(pipeline[:-1].transform(values), dtype="float64")
        whole = auc(answers, pipeline[-1].predict_proba(made)[:, 1])
        lost = {
            feature: whole - np.mean([_without(pipeline, made, answers, at, new) for new in orders])
            for feature, at in _places(pipeline).items()
        }
    found = pd.Series(lost, dtype="float64", name="auc_lost").round(DIGITS)
    return found.sort_values(ascending=False, kind="stable")


def metrics(lost: pd.Series) -> list[Metric]:
    """As they are recorded: split ``importance``, slice ``feature=<name>``."""
    return [
        Metric("importance", "auc_lost", f"feature={name}", float(value), None)
        for name, value in lost.items()
    ]


def _places(pipeline: Pipeline) -> dict[str, list[int]]:
    """Where what was made of each feature stands among the columns of the last step."""
    found: dict[str, list[int]] = {}
    for place, column in enumerate(pipeline[:-1].get_feature_names_out()):
        found.setdefault(feature_of(str(column)), []).append(place)
    return found


def _without(
    pipeline: Pipeline,
    made: Numbers,
    answers: npt.NDArray[np.int64],
    places: list[int],
    order: npt.NDArray[np.int64],
) -> float:
    """The AUC with some columns in another order; ``made`` is left as it was."""
    kept = made[:, places].copy()
    made[:, places] = kept[order]
    scores = pipeline[-1].predict_proba(made)[:, 1]
    made[:, places] = kept
    return auc(answers, scores)
