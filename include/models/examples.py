"""Dated profiles with what happened after each of their days: what models learn from."""

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from include import profile
from include.models import fairness
from include.models.base import Model, dated, features, groups, ordinary


@dataclass(frozen=True)
class Examples:
    """Dated profiles of eligible customers and what they did next, on one index."""

    profiles: pd.DataFrame  # index (as_of, customer_id)
    labels: pd.Series
    noise: dict[str, int] = field(default_factory=dict)  # flag -> rows that are left out
    people: pd.DataFrame = field(
        default_factory=pd.DataFrame
    )  # fairness.GROUPS, never learned from

    @property
    def positives(self) -> int:
        """How often it happened."""
        return int(self.labels.sum())

    def without(self, names: list[str]) -> "Examples":
        """Only the rows that have a value in each of these columns."""
        return self.only(self.profiles[names].notna().all(axis=1).to_numpy())

    def only(self, rows: npt.NDArray[np.bool_]) -> "Examples":
        """The rows that are marked."""
        people = self.people[rows] if len(self.people) else self.people
        return replace(self, profiles=self.profiles[rows], labels=self.labels[rows], people=people)

    def at_most(self, most: int, seed: int) -> "Examples":
        """All rows, or ``most`` of them drawn at random, in their order."""
        if len(self.labels) <= most:
            return self
        rows = np.zeros(len(self.labels), dtype=bool)
        rows[np.random.default_rng(seed).choice(len(rows), most, replace=False)] = True
        return self.only(rows)

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
    profiles, answers, people, noise = {}, {}, {}, Counter[str]()
    columns = [*features(), *groups(), *(column.name for column in model.own_features)]
    for day in dates:
        known = dated(model, profile.frame(folder, day), folder, day)
        known, counts = ordinary(known[model.ineligible(known).isna()])
        noise.update(counts)
        known = known[list(dict.fromkeys([*columns, *fairness.GROUPS]))].sort_index()
        share = most // len(dates)
        if len(known) > share:
            drawn = np.random.default_rng(seed).choice(len(known), share, replace=False)
            known = known.iloc[np.sort(drawn)]
        profiles[day], people[day] = known[columns], known[list(fairness.GROUPS)]
        answers[day] = model.labels(folder, known.index, day, horizon_days)
    names = ["as_of", "customer_id"]
    if not dates:
        empty = pd.DataFrame(columns=columns, dtype="float64")
        return Examples(empty, pd.Series(dtype="int64"))
    of_all = [pd.concat(each, names=names) for each in (profiles, answers, people)]
    return Examples(of_all[0], of_all[1], dict(noise), of_all[2])
