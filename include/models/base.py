"""What every per-customer score has in common: the promise, the algorithms, the features."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from threadpoolctl import threadpool_limits

from include import domains, profile
from include.domains import Domain
from include.errors import InputError, NotFittedError
from include.models.algorithms import ALGORITHMS as ALGORITHMS
from include.models.fill import GroupMedian, Interpolated

NUMERIC = ("smallint", "integer", "bigint", "real", "double precision", "numeric")
DIGITS = 6  # what differs beyond is noise of summation, and must not make another version


class Model(Protocol):
    """Learns from dated profiles, gives one score a customer. Have these members; inherit none."""

    name: ClassVar[str]  # also its key in bi.customer_score: never change it
    algorithm: str
    pipeline: Pipeline | None  # None until fitted; the only part that is stored

    def horizon_days(self, domain: Domain) -> int:
        """Return how far the score looks from as_of on."""

    def labels(self, folder: Path, customers: pd.Index, as_of: date, days: int) -> pd.Series:
        """Return 1 where it happened in [as_of, as_of + days), else 0, on ``customers``."""

    def ineligible(self, profiles: pd.DataFrame) -> pd.Series:
        """Return why the question makes no sense for a customer, in words; None where it does."""

    def naive(self, profiles: pd.DataFrame) -> pd.Series:
        """Return the obvious score that needs no model: higher is more likely."""

    def fit(self, profiles: pd.DataFrame, labels: pd.Series, *, seed: int) -> Self:
        """Learn from one row a customer and as_of, and labels on the same index."""

    def score(self, profiles: pd.DataFrame) -> pd.Series:
        """Return a finite number for each row, on the same index: higher is more likely."""


def features() -> list[str]:
    """The profile's numeric columns: a new feature takes part as soon as its contract is there."""
    return [
        column.name
        for column in profile.features()
        if column.type.partition("(")[0] in NUMERIC and column.missing != "null"
    ]


def groups() -> list[str]:
    """The columns that say whose median or line stands in for a missing value, but no features."""
    named = [_rule(column.missing)[1] for column in profile.features()]
    return sorted({name for name in named if name} - set(features()))


def left_out() -> list[str]:
    """The features whose absence leaves a row out of training, never out of the profile."""
    return [column.name for column in profile.features() if column.missing == "leave_out"]


def ordinary(profiles: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    """Of whom models learn, and how many the domain leaves out of it, by flag of noise.

    Who has two flags counts for both.
    """
    flags = profiles[domains.load().noise.left_out].fillna(value=False).astype("bool")
    counts = {str(flag): int(count) for flag, count in flags.sum().items()}
    return profiles[~flags.any(axis=1)], counts


def _rule(missing: str | None) -> tuple[str, str | None]:
    """``median by price_band`` -> the rule and the other column it needs."""
    rule, _, by = (missing or "median").partition(" by ")
    return rule if rule in {"mean", "interpolated"} else "median", by or None


def imputer(names: list[str]) -> ColumnTransformer:
    """Fill gaps by the rule of each feature's contract, and tell where there was one.

    A feature that had a gap when fitted gets an indicator column; zero is filled in the profile.
    """
    contract = {column.name: _rule(column.missing) for column in profile.features()}
    rules: dict[tuple[str, str | None], list[str]] = {}
    for name in names:
        if name not in groups():
            rules.setdefault(contract.get(name, ("median", None)), []).append(name)
    steps: list[tuple[str, Any, list[str]]] = []
    for (rule, by), columns in sorted(rules.items(), key=str):
        if by is None:
            simple = SimpleImputer(strategy=rule, add_indicator=True, keep_empty_features=True)
            steps.append((rule, simple, columns))
        else:
            beside = Interpolated() if rule == "interpolated" else GroupMedian()
            steps.append((f"{rule} by {by}", beside, [*columns, by]))
    return ColumnTransformer(steps, verbose_feature_names_out=False)


def matrix(profiles: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """The features as float64, rounded to ``DIGITS``; what is not finite counts as missing.

    Of ``groups`` the texts stay.
    """
    beside = [name for name in names if name in groups()]
    numbers = [name for name in names if name not in beside]
    values = profiles[numbers].astype("float64").round(DIGITS)
    values = values.replace([np.inf, -np.inf], np.nan)
    texts = {name: profiles[name].astype("object") for name in beside}
    return values.assign(**texts)[names]


@contextmanager
def single_thread() -> Iterator[None]:
    """Sums in one order only: the same figures whatever the number of cores."""
    with threadpool_limits(limits=1):
        yield


@contextmanager
def learning() -> Iterator[None]:
    """In one thread, and silent where an algorithm stops at its bound of steps: that is meant."""
    with single_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def fitted_features(pipeline: Pipeline) -> list[str]:
    """The columns that a fitted pipeline was fitted on, in its order."""
    return [str(name) for name in pipeline[0].feature_names_in_]


@dataclass
class Classifier:
    """A yes or no within a horizon, by the algorithm named; the base of churn and purchase."""

    algorithm: str = "logistic"
    pipeline: Pipeline | None = None
    name: ClassVar[str]

    def fit(self, profiles: pd.DataFrame, labels: pd.Series, *, seed: int) -> Self:
        """Learn from one row a customer and as_of, and labels of 0 and 1 on the same index."""
        if self.algorithm not in ALGORITHMS:
            known = ", ".join(ALGORITHMS)
            raise InputError(f"{self.name}: no algorithm {self.algorithm!r}; known: {known}")
        names = [name for name in [*features(), *groups()] if name in profiles]
        values = matrix(profiles, names)
        with learning():
            steps: Any = ALGORITHMS[self.algorithm](seed)
            self.pipeline = make_pipeline(imputer(names), *(step for _, step in steps.steps))
            self.pipeline.fit(values, labels.to_numpy())
        return self

    def score(self, profiles: pd.DataFrame) -> pd.Series:
        """Return the probability for each row, on the same index; no row, no score."""
        if self.pipeline is None:
            raise NotFittedError(f"{self.name}: score() before fit(); fit it or load the champion")
        if profiles.empty:
            return pd.Series(index=profiles.index, dtype="float64", name=self.name)
        values = matrix(profiles, fitted_features(self.pipeline))
        with single_thread():
            probability = self.pipeline.predict_proba(values)[:, 1]
        return pd.Series(probability, index=profiles.index, name=self.name)


def rank(scores: pd.Series) -> pd.DataFrame:
    """score, percentile (share of scores as high or lower) and decile (1: the highest tenth).

    Equal scores share the better decile.
    """
    count = max(1, len(scores))
    above = scores.rank(method="min", ascending=False) - 1
    return pd.DataFrame({
        "score": scores,
        "percentile": 100 * scores.rank(method="max") / count,
        "decile": (1 + np.floor(10 * above / count)).astype("Int64"),
    })
