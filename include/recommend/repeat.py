"""The repeat list: what a customer buys again and again; how often, how lately, when due."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from include.recommend.compiled import Compiled
from include.recommend.explore import Ranked
from include.recommend.interactions import Interactions
from include.recommend.rhythm import medians

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

DRAWN = 5  # gaps that a product's counts as beside the own: foretells the next one best
SCALE = 1e12  # scores are kept to 1e-12, so that sums in another order are still equal


@dataclass(frozen=True, eq=False)
class Habit:
    """What each customer bought, one entry a customer and product, in that sequence.

    ``orders`` with the product; ``decayed``: their sum of 2^(-age / half-life); ``age_days`` of the
    newest; ``personal_gap_days``: the median between days of purchase, NaN when bought on one day
    only; ``gap_days``: the gap to expect, see ``expected``; ``returning``: see ``Rhythm``.
    """

    customer: Ints
    product: Ints
    orders: Ints
    decayed: Floats
    age_days: Ints
    personal_gap_days: Floats
    gap_days: Floats
    returning: Floats

    @property
    def due_in_days(self) -> Floats:
        """Days until the next purchase is to be expected; below 0: overdue; NaN: unknown."""
        return self.gap_days - self.age_days

    @property
    def due(self) -> Floats:
        """1 on the day of the expected purchase, less before and after, 0.5 where unknown.

        Before: age / gap; after: gap / age, for what is long overdue has been given up.
        """
        near = np.minimum(self.age_days / self.gap_days, self.gap_days / self.age_days)
        return np.where(np.isnan(near), 0.5, near)


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
    again = np.flatnonzero((np.diff(entry) == 0) & (np.diff(age_days) != 0))
    personal = medians(entry[again], age_days[again] - age_days[again + 1], count)
    gaps = np.bincount(entry[again], minlength=count)
    return Habit(
        customer=customer[new],
        product=product[new],
        orders=np.bincount(entry, minlength=count).astype(np.int64),
        decayed=np.asarray(decayed, dtype=np.float64),
        age_days=age_days[np.append(new, True)[1:]],
        personal_gap_days=personal,
        gap_days=expected(gaps, personal, data.rhythm.gap_days[product[new]]),
        returning=data.rhythm.returning[product[new]],
    )


def expected(gaps: Ints, personal: Floats, usual: Floats) -> Floats:
    """The gap to expect of who had some: (n personal + DRAWN usual) / (n + DRAWN), in days.

    The one that is known where the other is NaN; ``usual`` is that of the product's buyers.
    """
    drawn = (gaps * np.nan_to_num(personal) + DRAWN * usual) / (gaps + DRAWN)
    return np.where(np.isnan(usual), personal, drawn)


def repeat_scores(made: Compiled, habit: Habit) -> Floats:
    """One score an entry of ``habit``; the formula is in ``Recipe``."""
    recipe = made.recipe
    lift = 1 + recipe.repeat_lift * made.recent[habit.product]
    due = 1 + recipe.cadence * habit.due
    return habit.decayed * lift * due * habit.returning**recipe.returning


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
