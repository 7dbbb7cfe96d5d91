"""How regularly products are bought again: days from purchase to purchase, and who comes back."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Numbers = NDArray[np.int32]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

GAPS = 5  # of a product before their median is one
BUYERS = 20  # of a product count as much as its shop


@dataclass(frozen=True, eq=False)
class Rhythm:
    """(products,) each. ``gap_days``: median days between a customer's days of purchase, NaN with
    fewer than ``GAPS`` such gaps. ``returning``: share of the buyers who bought it on a second day,
    over that of all products; 1 where nothing is known."""

    gap_days: Floats
    returning: Floats


def rhythm(
    customer: Numbers, product: Numbers, age_days: Numbers, taught: Flags, buyers: Ints
) -> Rhythm:
    """Of purchases by customer, product and falling age, where ``taught`` and so in ``buyers``.

    With b of n buyers back and the mean share m: returning = (b + BUYERS m) / (n + BUYERS) / m.
    """
    pair = (np.diff(customer) == 0) & (np.diff(product) == 0)
    again = np.flatnonzero(pair & (np.diff(age_days) != 0) & taught[1:])
    days, owner, count = age_days[again] - age_days[again + 1], product[again], len(buyers)
    first = np.ones(len(again), dtype=bool)
    first[1:] = (np.diff(customer[again]) != 0) | (np.diff(owner) != 0)
    back = np.bincount(owner[first], minlength=count)
    mean = back.sum() / max(1, buyers.sum())
    returning = (back + BUYERS * mean) / (buyers + BUYERS) / mean if mean else np.ones(count)
    return Rhythm(medians(owner, days, count, least=GAPS), returning)


def medians(owner: Numbers | Ints, days: Numbers | Ints, count: int, *, least: int = 1) -> Floats:
    """(count,) median of each owner's ``days``; NaN with fewer than ``least``."""
    width = int(days.max(initial=0)) + 1
    ranked = np.sort(owner.astype(np.int64) * width + days) % width
    number = np.bincount(owner, minlength=count)
    first = np.cumsum(number) - number
    median = np.full(count, np.nan)
    some = number >= least
    low, high = (first + (number - 1) // 2)[some], (first + number // 2)[some]
    median[some] = (ranked[low] + ranked[high]) / 2
    return median
