"""What agreeing on a field says: expectation maximisation over patterns of agreement.

splink's own lets a probability fall to zero, and then fails, when no likely pair shows a level;
here each level counts a little from the start. Pure, and the same on any number of threads.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from include.identity.cluster import Floats, Ints

ROUNDS = 100
STILL = 1e-6  # change of any probability below which a further round is not worth it
GHOSTS = 0.5  # pairs that each level is given, so that none is impossible


@dataclass(frozen=True)
class Patterns:
    """How many pairs show which level on each field; -1: one of the two says nothing."""

    level: npt.NDArray[np.int8]  # a row a pattern, a column a field
    count: Ints


def matched(
    seen: Patterns, strangers: list[Floats], fields: list[int]
) -> tuple[dict[int, Floats], float]:
    """How often two records of one person show each level of ``fields``.

    Parameters
    ----------
    seen : pairs, of which some are one person and some are not.
    strangers : of each field how often two people show each level.
    fields : the columns that the pairs were not chosen by.

    Returns
    -------
    Shares by field, and how many of the pairs are one person.
    """
    share = 0.5
    likely = {field: _first_guess(len(strangers[field])) for field in fields}
    for _ in range(ROUNDS):
        pairs = _one_person(seen, likely, strangers, share)
        share = float((pairs.sum() + GHOSTS) / (seen.count.sum() + 2 * GHOSTS))
        better = {
            field: shares(seen.level[:, field], pairs, len(strangers[field])) for field in fields
        }
        moved = max(float(np.abs(better[field] - likely[field]).max()) for field in fields)
        likely = better
        if moved < STILL:
            break
    return likely, float(pairs.sum())


def prior(
    seen: Patterns,
    likely: dict[int, Floats],
    strangers: list[Floats],
    *,
    first: float,
    total: float,
) -> float:
    """The share of one person's pairs among ``total``, of which ``seen`` are all that may be."""
    share = first
    for _ in range(ROUNDS):
        found = float(_one_person(seen, likely, strangers, share).sum())
        before, share = share, min((found + GHOSTS) / total, 0.5)
        if abs(share - before) < STILL * before:
            break
    return share


def _one_person(
    seen: Patterns, likely: dict[int, Floats], strangers: list[Floats], share: float
) -> Floats:
    """How many pairs of each pattern are one person, where ``share`` of all pairs are."""
    odds = np.full(len(seen.count), np.log(share / (1 - share)))
    for field, shown in likely.items():
        says = np.append(np.log(shown / strangers[field]), 0.0)
        odds += says[seen.level[:, field]]  # the last place, -1, says nothing
    found: Floats = seen.count / (1 + np.exp(-np.clip(odds, -500, 500)))
    return found


def shares(level: npt.NDArray[np.int8], count: npt.NDArray[np.generic], levels: int) -> Floats:
    """The share of each level among the pairs that show one."""
    there = level >= 0
    total = np.bincount(level[there], weights=count[there], minlength=levels) + GHOSTS
    found: Floats = total / total.sum()
    return found


def _first_guess(levels: int) -> Floats:
    """Nearly all alike (the highest level), the rest evenly."""
    guess = np.full(levels, 0.1 / max(levels - 1, 1))
    guess[-1] = 0.9
    return guess
