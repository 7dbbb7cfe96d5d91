"""Why a score is high or low, in words through the features' contracts.

Exact for boosted trees, whose own contributions add up to the raw score, and for linear models:
there the raw score is the intercept plus the sum of coefficient x standardised value, and
standardised values are 0 on average, so each term says how far a feature moves this customer from
the average one. Their sum says on which side of the average customer of the training the score
lies: above it, what raises the score comes first, below it, what lowers it.
"""

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from lightgbm import LGBMClassifier
from sklearn.pipeline import Pipeline

from include import domains, profile
from include.contracts import Column
from include.models.base import fitted_features, matrix, single_thread
from include.models.calibration import Mended

Numbers = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Words = npt.NDArray[np.object_]

COUNT = 3
TIME = ("days", "hours")
SMALLEST = 1e-9  # a contribution below this moves nothing


def contributions(pipeline: Pipeline, profiles: pd.DataFrame) -> pd.DataFrame:
    """Log-odds that each feature adds, on the index of ``profiles``, a column a feature.

    With the intercept of a linear model, or the average that trees start from, they add up to the
    raw score: the log-odds before they are mended. Without columns when the algorithm has no exact
    decomposition.
    """
    if profiles.empty:
        return pd.DataFrame(index=profiles.index)
    return added(pipeline, matrix(profiles, fitted_features(pipeline)), feature_of)


def added(pipeline: Pipeline, values: pd.DataFrame, feature: Callable[[str], str]) -> pd.DataFrame:
    """What each column of ``values`` adds to the raw score, on their index.

    ``feature`` tells from the name of a column that the pipeline made the one it was made of;
    all that is made of one counts as one.
    """
    with single_thread():
        terms = _terms(pipeline[-1], pipeline[:-1].transform(values))
    if terms is None:
        return pd.DataFrame(index=values.index)
    position = {name: number for number, name in enumerate(values.columns)}
    total = np.zeros(values.shape)
    columns = pipeline[:-1].get_feature_names_out()
    for column, term in zip(columns, terms.T, strict=True):
        total[:, position[feature(str(column))]] += term
    return pd.DataFrame(total, index=values.index, columns=values.columns)


def feature_of(column: str) -> str:
    """The feature that a column which the pipeline made tells of, or whose gaps it marks."""
    return column.removeprefix("missingindicator_")


def _terms(estimator: Any, values: Numbers) -> Numbers | None:
    """What each column adds: coefficient x value, or a boosted tree's own (Shapley) sums.

    A mended score moves with the raw one, which is what adds up.
    """
    if isinstance(estimator, Mended):
        return _terms(estimator.estimator, values)
    if hasattr(estimator, "coef_"):
        return np.asarray(values * estimator.coef_[0], dtype="float64")
    if isinstance(estimator, LGBMClassifier):  # the last column is the average of the training
        said = estimator.predict(values, pred_contrib=True)
        return np.asarray(said, dtype="float64")[:, :-1]
    return None


def reasons(
    pipeline: Pipeline, profiles: pd.DataFrame, own: tuple[Column, ...] = ()
) -> pd.DataFrame:
    """The three features that say most about each score: reason_1 to reason_3, see ``ranked``.

    ``own`` says what the columns mean that no profile has.
    """
    contract = {column.name: column for column in (*profile.features(), *own)}
    return worded(contributions(pipeline, profiles), partial(_said, contract, profiles))


def worded(terms: pd.DataFrame, say: Callable[[str, Mask], Words]) -> pd.DataFrame:
    """reason_1 to reason_3 of each row of ``terms``; empty where there are no terms.

    ``say`` gives the name and value of a column in words, for each of the rows that are marked.
    """
    names = [f"reason_{rank}" for rank in range(1, COUNT + 1)]
    found = pd.DataFrame(None, index=terms.index, columns=names, dtype="object")
    if terms.empty:
        return found
    values = terms.to_numpy()
    for name, largest in zip(names, ranked(values)[:, :COUNT].T, strict=False):
        sizes = np.take_along_axis(values, largest[:, None], axis=1)[:, 0]
        found[name] = _words(terms.columns, largest, sizes, say)
    return found


def ranked(terms: Numbers) -> npt.NDArray[np.int64]:
    """Columns of each row: those that pull as their sum does by size, then the others by size.

    A score on the average itself counts as above. ``terms`` and the result: (customers, features).
    """
    side = np.where(terms.sum(axis=1, keepdims=True) < 0, -1.0, 1.0)
    against = terms * side <= SMALLEST
    return np.lexsort((-np.abs(terms), against), axis=1)


def _words(
    names: pd.Index,
    largest: npt.NDArray[np.int64],
    sizes: Numbers,
    say: Callable[[str, Mask], Words],
) -> Words:
    words = np.full(len(largest), None, dtype="object")
    for number in np.unique(largest):
        rows = (largest == number) & (np.abs(sizes) > SMALLEST)
        if rows.any():
            direction = np.where(sizes[rows] > 0, " (raises it)", " (lowers it)").astype("object")
            words[rows] = say(str(names[number]), rows) + direction
    return words


def _said(contract: dict[str, Column], profiles: pd.DataFrame, name: str, rows: Mask) -> Words:
    """A feature through its contract; texts are made once for each distinct value."""
    values = profiles[name].to_numpy(dtype="float64")[rows].round(2)
    distinct, place = np.unique(values, return_inverse=True)
    said = np.array([stated(contract[name], value) for value in distinct], dtype="object")
    return np.asarray(said[place])


def label(description: str) -> str:
    """The first clause of a column's description, which names it."""
    return re.split(r"[;:.]", description)[0].strip()


def amount(value: float, unit: str | None) -> str:
    """A figure with its unit as a person writes it: money in the domain's currency."""
    shown = {"currency": domains.load().currency, "ratio": "", "share": ""}.get(unit or "", unit)
    return f"{value:,.10g} {shown or ''}".rstrip()


def stated(column: Column, *values: float) -> str:
    """A feature and its value, or its span, in words: ``Time since the last order: 3 days``."""
    name = label(column.description)
    counted = column.unit not in TIME and (column.unit or "") in name.lower()
    unit = None if counted else column.unit  # "Orders: 3", not "Orders: 3 orders"
    if any(np.isnan(values)):
        return f"{name}: unknown"
    span = [f"{value:,.10g}" for value in values[:-1] if value != values[-1]]
    return f"{name}: {' to '.join([*span, amount(values[-1], unit)])}"
