"""What stands in for a missing value: the median of rows alike, or a line along another feature.

The rules median and mean alone are scikit-learn's; these need a second column, the last one.
"""

from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin

Numbers = npt.NDArray[np.float64]

BINS = 10  # of a line: as many points as it may bend at, each the mean of a tenth of the rows


class _Filled(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Fill all columns but the last; add an indicator for those that had a gap when fitted."""

    def fit(self, given: pd.DataFrame, _: Any = None) -> Self:
        """Learn what rows have whose last column is alike."""
        self.feature_names_in_ = np.array(given.columns, dtype="object")
        values, by = given[given.columns[:-1]].astype("float64"), given[given.columns[-1]]
        self.gaps_ = np.array(values.isna().any(), dtype="bool")
        self._learn(values, by)
        return self

    def transform(self, given: pd.DataFrame) -> Numbers:
        """The columns filled, then 1.0 where a column of ``gaps_`` was missing."""
        values, by = given[given.columns[:-1]].astype("float64"), given[given.columns[-1]]
        numbers = values.to_numpy()
        filled = np.where(np.isnan(numbers), self._expected(by), numbers)
        return np.hstack([filled, np.isnan(numbers[:, self.gaps_]).astype("float64")])

    def get_feature_names_out(self, _: Any = None) -> npt.NDArray[np.object_]:
        """The columns' names, then those of their indicators."""
        names = self.feature_names_in_[:-1]
        marks = [f"missingindicator_{name}" for name in names[self.gaps_]]
        return np.array([*names, *marks], dtype="object")

    def _learn(self, values: pd.DataFrame, by: pd.Series) -> None:
        raise NotImplementedError

    def _expected(self, by: pd.Series) -> Numbers:
        raise NotImplementedError


class GroupMedian(_Filled):
    """The median of the rows with the same text in the last column; without one, of all."""

    def _learn(self, values: pd.DataFrame, by: pd.Series) -> None:
        medians = values.groupby(by.astype("object")).median().sort_index()
        overall = values.median().fillna(0.0)
        self.groups_ = [str(group) for group in medians.index]
        self.medians_ = np.vstack([medians.fillna(overall).to_numpy(), overall.to_numpy()])

    def _expected(self, by: pd.Series) -> Numbers:
        places = {group: place for place, group in enumerate(self.groups_)}
        at = by.astype("object").map(places).fillna(len(places)).to_numpy(dtype="int64")
        return np.asarray(self.medians_[at], dtype="float64")


class Interpolated(_Filled):
    """A line through the means of each tenth of the rows, in the order of the last column.

    Beyond its ends it is level; where the last column is missing too, the mean of all.
    """

    def _learn(self, values: pd.DataFrame, by: pd.Series) -> None:
        along = by.astype("float64")
        self.points_, self.overall_ = [], values.mean().fillna(0.0).to_numpy()
        for name in values.columns:
            known = pd.DataFrame({"x": along, "y": values[name]}).dropna()
            tenth = np.ceil(known["x"].rank(pct=True) * BINS).rename("tenth")
            means = known.groupby(tenth).mean().sort_values("x")
            self.points_.append(means.to_numpy().T if len(means) else np.zeros((2, 0)))

    def _expected(self, by: pd.Series) -> Numbers:
        along = by.to_numpy(dtype="float64", na_value=np.nan)
        columns = []
        for (x, y), mean in zip(self.points_, self.overall_, strict=True):
            line = np.interp(along, x, y) if len(x) else np.full(len(along), mean)
            columns.append(np.where(np.isnan(along), mean, line))
        return np.column_stack(columns)
