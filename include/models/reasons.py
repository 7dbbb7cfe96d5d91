"""Why a score is high or low, in words through the features' contracts.

Exact for linear models: the raw score is the intercept plus the sum of coefficient x standardised
value, and standardised values are 0 on average, so each term says how far a feature moves this
customer from the average one. Their sum says on which side of the average customer of the training
the score lies: above it, what raises the score comes first, below it, what lowers it.
"""

import re

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.pipeline import Pipeline

from include import domains, profile
from include.contracts import Column
from include.models.base import fitted_features, matrix, single_thread

Numbers = npt.NDArray[np.float64]

COUNT = 3
TIME = ("days", "hours")
SMALLEST = 1e-9  # a contribution below this moves nothing


def contributions(pipeline: Pipeline, profiles: pd.DataFrame) -> pd.DataFrame:
    """Log-odds that each feature adds, on the index of ``profiles``, a column a feature.

    A feature's value and the indicator of its absence count as one. Without columns when the
    algorithm has no exact decomposition.
    """
    if profiles.empty or not hasattr(pipeline[-1], "coef_"):
        return pd.DataFrame(index=profiles.index)
    names = fitted_features(pipeline)
    with single_thread():
        terms = pipeline[:-1].transform(matrix(profiles, names)) * pipeline[-1].coef_[0]
    columns = pipeline[:-1].get_feature_names_out()
    position = {name: number for number, name in enumerate(names)}
    total = np.zeros((len(profiles), len(names)))
    for column, term in zip(columns, np.asarray(terms, dtype="float64").T, strict=True):
        total[:, position[str(column).removeprefix("missingindicator_")]] += term
    return pd.DataFrame(total, index=profiles.index, columns=names)


def reasons(pipeline: Pipeline, profiles: pd.DataFrame) -> pd.DataFrame:
    """The three features that say most about each score: reason_1 to reason_3, see ``ranked``."""
    terms = contributions(pipeline, profiles)
    found = pd.DataFrame(
        None,
        index=profiles.index,
        columns=[f"reason_{rank}" for rank in range(1, COUNT + 1)],
        dtype="object",
    )
    if terms.empty:
        return found
    values = terms.to_numpy()
    order = ranked(values)[:, :COUNT]
    for rank in range(order.shape[1]):
        largest = order[:, rank]
        sizes = np.take_along_axis(values, largest[:, None], axis=1)[:, 0]
        found[f"reason_{rank + 1}"] = _words(terms.columns, largest, sizes, profiles)
    return found


def ranked(terms: Numbers) -> npt.NDArray[np.int64]:
    """Columns of each row: those that pull as their sum does by size, then the others by size.

    A score on the average itself counts as above. ``terms`` and the result: (customers, features).
    """
    side = np.where(terms.sum(axis=1, keepdims=True) < 0, -1.0, 1.0)
    against = terms * side <= SMALLEST
    return np.lexsort((-np.abs(terms), against), axis=1)


def _words(
    names: pd.Index, largest: npt.NDArray[np.int64], sizes: Numbers, profiles: pd.DataFrame
) -> npt.NDArray[np.object_]:
    """One sentence a row; texts are made once for each distinct value."""
    words = np.full(len(largest), None, dtype="object")
    contract = {column.name: column for column in profile.features()}
    for number in np.unique(largest):
        name = names[number]
        rows = (largest == number) & (np.abs(sizes) > SMALLEST)
        values = profiles[name].to_numpy(dtype="float64")[rows].round(2)
        distinct, place = np.unique(values, return_inverse=True)
        said = np.array([stated(contract[name], value) for value in distinct], dtype="object")
        direction = np.where(sizes[rows] > 0, " (raises it)", " (lowers it)").astype("object")
        if rows.any():
            words[rows] = said[place] + direction
    return words


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
