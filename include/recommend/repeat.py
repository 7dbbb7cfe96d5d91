"""The repeat list: what a customer buys again and again; how often, how lately, when due."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from include.recommend.compiled import Compiled
from include.recommend.explore import Ranked
from include.recommend.interactions import Interactions

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

SCALE = 1e12  # scores are kept to 1e-12, so that sums in another order are still equal


@dataclass(frozen=True, eq=False)
class Habit:
    """What each customer bought, one entry a customer and product, in that sequence.

    ``orders`` with the product; ``decayed``: their sum of 2^(-age / half-life); ``gap_days``: the
    median between days of purchase, NaN when bought on one day only; ``due``: days since the last
    over the gap, at most 1; a half where there is no gap.
    """

    customer: Ints
    product: Ints
    orders: Ints
    decayed: Floats
    gap_days: Floats
    due: Floats


def habits(data: Interactions, half_life_days: float | None, first: int, last: int) -> Habit:
    """Work out the habits of the customers numbered first to last - 1.

    Without a half-life no order ages: ``decayed`` is ``orders``.
    """
    start, end = np.searchsorted(data.customer, [first, last])
    customer, product, age_days = (
        column[start:end].astype(np.int64)
        for column in (data.customer, data.product, data.age_days)
    )
    new = np.ones(len(customer), dtype=bool)
    new[1:] = (np.diff(customer) != 0) | (np.diff(product) != 0)
    entry = np.cumsum(new) - 1
    count = int(new.sum())
    decayed = np.bincount(
        entry, weights=np.exp2(-age_days / (half_life_days or math.inf)), minlength=count
    )
    newest = np.flatnonzero(np.append(new, True)[1:])
    gap = _median_gap(entry, age_days, count)
    due = np.where(np.isnan(gap), 0.5, np.minimum(1.0, age_days[newest] / gap))
    return Habit(
        customer[new],
        product[new],
        np.bincount(entry, minlength=count).astype(np.int64),
        np.asarray(decayed, dtype=np.float64),
        gap,
        due,
    )


def _median_gap(entry: Ints, age_days: Ints, count: int) -> Floats:
    """(count,) median days between the different days of each entry; its ages descend."""
    same = np.flatnonzero((np.diff(entry) == 0) & (np.diff(age_days) != 0))
    owner, days = entry[same], age_days[same] - age_days[same + 1]
    order = np.lexsort((days, owner))
    owner, days = owner[order], days[order]
    number = np.bincount(owner, minlength=count)
    first = np.cumsum(number) - number
    median = np.full(count, np.nan)
    some = number > 0
    low, high = first + (number - 1) // 2, first + number // 2
    median[some] = (days[low[some]] + days[high[some]]) / 2
    return median


def repeat_scores(made: Compiled, habit: Habit) -> Floats:
    """One score an entry of ``habit``; the formula is in ``Recipe``."""
    recipe = made.recipe
    lift = 1 + recipe.repeat_lift * made.recent[habit.product]
    return habit.decayed * lift * (1 + recipe.cadence * habit.due)


def repeat(
    made: Compiled, habit: Habit, chosen: Flags, allowed: Flags, *, length: int
) -> tuple[Ranked, Ints]:
    """The lists of the ``chosen`` customers, and which entry of ``habit`` stands at each place."""
    score = np.rint(repeat_scores(made, habit) * SCALE) / SCALE
    entry = np.flatnonzero(chosen[habit.customer] & allowed[habit.product])
    entry = entry[np.lexsort((habit.product[entry], -score[entry], habit.customer[entry]))]
    customer = habit.customer[entry]
    first = np.searchsorted(customer, customer)
    rank = np.arange(len(entry)) - first + 1
    entry, rank = entry[rank <= length], rank[rank <= length]
    listed = Ranked(habit.customer[entry], rank, habit.product[entry], score[entry])
    return listed, entry
