"""What every per-customer score has in common: the promise, the algorithms, the features."""

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
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
from include.contracts import Column
from include.domains import Domain
from include.errors import ConfigError, NotFittedError
from include.models.algorithms import ALGORITHMS as ALGORITHMS
from include.models.algorithms import made
from include.models.fill import GroupMedian, Interpolated

NUMERIC = ("smallint", "integer", "bigint", "real", "double precision", "numeric")
DIGITS = 6  # what differs beyond is noise of summation, and must not make another version


class Model(Protocol):
    """Learns from dated profiles, gives one score a customer. Have these members; inherit none."""

    algorithm: str
    pipeline: Pipeline | None  # None until fitted; the only part that is stored
    parameters: dict[str, Any]  # of the algorithm, instead of its own; see algorithms.SPACES
    own_features: ClassVar[tuple[Column, ...]]  # beside those of the profile

    @property
    def name(self) -> str:
        """Also its key in bi.customer_score: never change it."""

    def own(self, folder: Path, customers: pd.Index, as_of: date) -> pd.DataFrame:
        """Return ``own_features`` as known on a day, float64, on ``customers``."""

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
    """The profile's numeric columns: a new feature takes part as soon as its contract is there.

    One that the contract calls sensitive takes part only if the domain says why.
    """
    kept_out = _kept_out()
    return [
        column.name
        for column in profile.features()
        if column.type.partition("(")[0] in NUMERIC
        and column.missing != "null"
        and column.name not in kept_out
    ]


def dated(model: Model, profiles: pd.DataFrame, folder: Path, as_of: date) -> pd.DataFrame:
    """The profiles of a day with what the model adds to them."""
    return profiles.join(model.own(folder, profiles.index, as_of))


def groups() -> list[str]:
    """The columns that say whose median or line stands in for a missing value, but no features.

    Raises
    ------
    ConfigError
        If one is sensitive and the domain does not say why it is used: what is filled in would
        tell models of it.
    """
    named = {column.name: _rule(column.missing)[1] for column in profile.features()}
    kept_out = _kept_out()
    for name, by in named.items():
        if by in kept_out:
            raise ConfigError(
                f"contracts/mart/customer_profile.yaml: {name}: missing: by {by}, which is "
                f"sensitive; give another rule, or fairness.used.{by} of the domain with a reason"
            )
    return sorted({by for by in named.values() if by} - set(features()))


def _kept_out() -> set[str]:
    """The sensitive columns for whose use the domain gives no reason."""
    sensitive = {column.name for column in profile.features() if column.sensitive}
    return sensitive - domains.load().fairness.used.keys()


def sensitive_used() -> dict[str, str]:
    """The sensitive columns that take part all the same, with the domain's reasons.

    Raises
    ------
    ConfigError
        If the domain gives a reason for a column that is not sensitive, or that cannot take part.
    """
    domain = domains.load()
    known = {column.name for column in profile.features() if column.sensitive}
    part = {*features(), *groups()}
    for name in sorted(domain.fairness.used.keys() - (known & part)):
        why = "neither a number nor what fills a gap" if name in known else "no sensitive column"
        raise ConfigError(f"{domain.name}.yaml: fairness.used.{name}: {why}; take it out")
    return dict(sorted(domain.fairness.used.items()))


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
    texts = groups()
    for name in names:
        if name not in texts:
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
    known = set(groups())
    beside = [name for name in names if name in known]
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


def without_purchase(profiles: pd.DataFrame, within_days: int | None = None) -> pd.Series:
    """Why there is nothing to foresee, in words: never bought, or not for so many days."""
    recency = profiles["recency_days"]
    reasons = pd.Series(None, index=profiles.index, dtype="object")
    if within_days is not None:
        reasons[recency > within_days] = f"no purchase for more than {within_days} days"
    reasons[recency.isna()] = "no purchase on record"
    return reasons


def fitted_features(pipeline: Pipeline) -> list[str]:
    """The columns that a fitted pipeline was fitted on, in its order."""
    return [str(name) for name in pipeline[0].feature_names_in_]


@dataclass
class Classifier:
    """A yes or no within a horizon, by the algorithm named; the base of churn and purchase."""

    algorithm: str = "logistic"
    pipeline: Pipeline | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    name: ClassVar[str]
    own_features: ClassVar[tuple[Column, ...]] = ()

    def own(
        self,
        folder: Path,  # noqa: ARG002
        customers: pd.Index,
        as_of: date,  # noqa: ARG002
    ) -> pd.DataFrame:
        """Return what the question asks for and no profile says: nothing, most often."""
        return pd.DataFrame(index=customers)

    def fit(self, profiles: pd.DataFrame, labels: pd.Series, *, seed: int) -> Self:
        """Learn from one row a customer and as_of, and labels of 0 and 1 on the same index."""
        steps = made(self.algorithm, seed, self.parameters)
        added = [column.name for column in self.own_features]
        names = [name for name in [*features(), *groups(), *added] if name in profiles]
        values = matrix(profiles, names)
        with learning():
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


def highest(scores: pd.Series, share: float) -> pd.Series:
    """Which scores are among the highest ``share`` of them; those equal to the last one too."""
    most = math.ceil(round(share * len(scores), DIGITS))
    return scores.rank(method="min", ascending=False) <= most


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
