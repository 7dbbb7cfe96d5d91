"""Dated profiles with what happened after each of their days: what models learn from."""

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from include import profile
from include.models.base import Model, features, groups, ordinary


@dataclass(frozen=True)
class Examples:
    """Dated profiles of eligible customers and what they did next, on one index."""

    profiles: pd.DataFrame  # index (as_of, customer_id)
    labels: pd.Series
    noise: dict[str, int] = field(default_factory=dict)  # flag -> rows that are left out

    @property
    def positives(self) -> int:
        """How often it happened."""
        return int(self.labels.sum())

    def without(self, names: list[str]) -> "Examples":
        """Only the rows that have a value in each of these columns."""
        return self.only(self.profiles[names].notna().all(axis=1).to_numpy())

    def only(self, rows: npt.NDArray[np.bool_]) -> "Examples":
        """The rows that are marked."""
        return replace(self, profiles=self.profiles[rows], labels=self.labels[rows])

    @property
    def rarest(self) -> int:
        """How often the rarer answer occurs."""
        return min(self.positives, len(self.labels) - self.positives)


def examples(
    model: Model, folder: Path, dates: list[date], horizon_days: int, *, most: int, seed: int
) -> Examples:
    """The eligible customers of each day with their labels, at most ``most`` rows in all.

    Noise is left out where the domain says so, on the test day too: nobody asks how well the
    staff's own orders are foreseen. Where there are more rows, each day gives the same number,
    drawn at random.
    """
    profiles, answers, noise = {}, {}, Counter[str]()
    for day in dates:
        dated = profile.frame(folder, day)
        dated, counts = ordinary(dated[model.ineligible(dated).isna()])
        noise.update(counts)
        dated = dated[[*features(), *groups()]].sort_index()
        share = most // len(dates)
        if len(dated) > share:
            drawn = np.random.default_rng(seed).choice(len(dated), share, replace=False)
            dated = dated.iloc[np.sort(drawn)]
        profiles[day] = dated
        answers[day] = model.labels(folder, dated.index, day, horizon_days)
    names = ["as_of", "customer_id"]
    if not dates:
        empty = pd.DataFrame(columns=[*features(), *groups()], dtype="float64")
        return Examples(empty, pd.Series(dtype="int64"))
    return Examples(pd.concat(profiles, names=names), pd.concat(answers, names=names), dict(noise))
