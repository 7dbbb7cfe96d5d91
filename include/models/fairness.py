"""Whether a score favours groups of people, as if the highest scores were the ones contacted.

Demographic parity: the shares selected are alike. Equalised odds: they are alike among those for
whom it happened and among the others (Hardt, Price and Srebro, Equality of Opportunity in
Supervised Learning, 2016). Each difference is the largest less the smallest of the groups.

Of many small groups the largest and the smallest always differ. So a difference breaks a limit
only where it is more than chance: where the lower end of the 95 % interval of the difference of
two shares (Newcombe, Statistics in Medicine 17, 1998, method 10), of any two groups and at 5 % for
all their pairs together (Bonferroni), still exceeds it.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from include.domains import Fairness
from include.models.base import highest
from include.models.registry import Metric

GROUPS = ("age_band", "gender", "region")  # columns of the profile whose values are compared
FEWEST = 100  # customers of a group: fewer are not compared
FEWEST_ANSWERS = 20  # of them for whom it happened, or did not: the shares of fewer say nothing
CHANCE = 0.05  # at most, of saying that a limit which an attribute just keeps is broken

Numbers = npt.NDArray[np.float64]

# Of each share what is counted and among how many, as columns of ``_counted``.
SHARES = {
    "selection_rate": ("selected", "customers"),
    "recall": ("selected_yes", "yes"),
    "false_positive_rate": ("selected_no", "no"),
}
AMONG = {
    "selection_rate": "",
    "recall": "of those for whom it happened, ",
    "false_positive_rate": "of those for whom it did not happen, ",
}


@dataclass(frozen=True)
class Gap:
    """The largest less the smallest share of the groups."""

    size: float
    least: float  # that is not chance
    words: str  # of which groups


def measure(
    people: pd.DataFrame, labels: pd.Series, scores: pd.Series, limits: Fairness
) -> tuple[list[Metric], list[str]]:
    """How each group of people fares on the later date, and which limits are broken, in words.

    Parameters
    ----------
    people : a column an attribute, a text or null a customer; may have no columns.
    labels, scores : 0 or 1, and probabilities, row by row those of ``people``.
    limits : the domain's; one of None is measured and never broken.

    Returns
    -------
    Metrics of the split ``fairness``: of each group the slice ``gender=female``, of the attribute
    ``gender`` (differences, beside their limits), and the breaches.
    """
    given = _given(labels, scores, limits.selected_share)
    found, breaches = list[Metric](), list[str]()
    for name in people:
        counted = _counted(given, people[name])
        known = counted[counted["customers"] >= FEWEST]
        rest = len(given) - int(known["customers"].sum())
        found += _of_groups(str(name), known)
        found.append(Metric("fairness", "not_compared", str(name), float(rest), None))
        for measured, gaps, limit in _differences(known, limits):
            widest = max(gaps, key=lambda gap: gap.size)
            found.append(Metric("fairness", measured, str(name), round(widest.size, 6), limit))
            breaches += [
                f"{name}: {gap.words}: {measured.replace('_', ' ')} {gap.size:.3f} "
                f"over the limit of {limit:.3f}"
                for gap in gaps
                if limit is not None and gap.least > limit
            ]
    return found, breaches


def _given(labels: pd.Series, scores: pd.Series, share: float) -> pd.DataFrame:
    """What is summed, a row a customer."""
    answers = labels.to_numpy(dtype="int64")
    selected = highest(scores, share).to_numpy()
    return pd.DataFrame({
        "customers": 1,
        "selected": selected,
        "yes": answers,
        "no": 1 - answers,
        "selected_yes": selected * answers,
        "selected_no": selected * (1 - answers),
        "score": scores.to_numpy(dtype="float64"),
    })


def _counted(given: pd.DataFrame, groups: pd.Series) -> pd.DataFrame:
    """The sums of each group by name; who is in none is left out."""
    names = groups.astype("object").to_numpy()
    return given.groupby(names, dropna=True).sum().sort_index()


def _of_groups(name: str, known: pd.DataFrame) -> list[Metric]:
    """The figures of each group; a share of too few is left out."""
    found = []
    for group, sums in known.iterrows():
        figures = {
            metric: sums[part] / sums[whole]
            for metric, (part, whole) in SHARES.items()
            if sums[whole] >= FEWEST_ANSWERS
        }
        figures["calibration_gap"] = (sums["score"] - sums["yes"]) / sums["customers"]
        figures["customers"] = sums["customers"]
        found += [
            Metric("fairness", metric, f"{name}={group}", round(float(value), 6), None)
            for metric, value in figures.items()
        ]
    return found


def _differences(
    known: pd.DataFrame, limits: Fairness
) -> list[tuple[str, list[Gap], float | None]]:
    """The differences between groups, each with what it is made of and its limit."""
    parity = [_gap(known, "selection_rate", CHANCE)]
    odds = [_gap(known, metric, CHANCE / 2) for metric in ("recall", "false_positive_rate")]
    return [
        (measured, gaps, limit)
        for measured, of, limit in (
            ("demographic_parity", parity, limits.demographic_parity),
            ("equalised_odds", odds, limits.equalised_odds),
        )
        if (gaps := [gap for gap in of if gap])
    ]


def _gap(known: pd.DataFrame, metric: str, chance: float) -> Gap | None:
    """How far a share differs between groups of enough customers; None of fewer than two."""
    part, whole = SHARES[metric]
    enough = known[known[whole] >= FEWEST_ANSWERS]
    if len(enough) < 2:
        return None
    share = enough[part] / enough[whole]
    high, low = share.idxmax(), share.idxmin()
    words = f"{AMONG[metric]}selected {share[high]:.2f} of {high}, {share[low]:.2f} of {low}"
    least = least_difference(enough[part].to_numpy(), enough[whole].to_numpy(), chance)
    return Gap(float(share[high] - share[low]), least, words)


def least_difference(
    counts: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64], chance: float
) -> float:
    """How far the shares of any two groups differ for sure; ``chance``: to say too much.

    Of shares p > q with Wilson intervals [l, u] at least p - q - sqrt((p - l)^2 + (u - q)^2).
    Below 0 where no two differ.
    """
    share, pairs = counts / sizes, math.comb(len(counts), 2)
    low, high = _wilson(share, sizes, float(stats.norm.isf(chance / pairs / 2)))
    spread = np.hypot((share - low)[:, None], (high - share)[None, :])
    return float((share[:, None] - share[None, :] - spread).max())


def _wilson(share: Numbers, sizes: npt.NDArray[np.int64], z: float) -> tuple[Numbers, Numbers]:
    """The ends of the intervals of shares (Wilson 1927)."""
    middle = (share + z**2 / (2 * sizes)) / (1 + z**2 / sizes)
    half = z / (1 + z**2 / sizes) * np.sqrt(share * (1 - share) / sizes + z**2 / (4 * sizes**2))
    return middle - half, middle + half
