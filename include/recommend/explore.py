"""The explore list: products new to the customer, by what was bought and what is popular.

Filters act before the top-N, so a list is short only where the shop has nothing more to offer.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from include.recommend.compiled import Compiled
from include.recommend.strongest import NEVER, SCALE, block_rows, levels, strongest

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Ranked:
    """Places on lists, one a cell: numbers of customer and product, rank from 1, score."""

    customer: Ints
    rank: Ints
    product: Ints
    score: Floats


def explore(
    made: Compiled, bought: sparse.csr_array, customers: Ints, allowed: Flags, *, length: int
) -> Iterator[Ranked]:
    """Yield the lists of ``customers`` (numbers), block by block.

    Parameters
    ----------
    made : the compiled recipe.
    bought : customers x products; what is not zero stays off the customer's list.
    allowed : (products,) what may be recommended at all.
    length : places a list; fewer only where fewer products are left.
    """
    shelf = np.flatnonzero(allowed)
    table = sparse.csr_array(made.table[:, shelf] * made.pull[shelf])
    taken = sparse.csr_array(bought[:, shelf])
    popular = made.popular_term[shelf]
    size = block_rows(len(shelf))
    for start in range(0, len(customers), size):
        block = customers[start : start + size]
        level = levels((made.history[block] @ table).toarray() + popular)
        level[taken[block].nonzero()] = NEVER
        column, level = strongest(level, length)
        row, place = np.nonzero(level > NEVER)
        yield Ranked(block[row], place + 1, shelf[column[row, place]], level[row, place] / SCALE)


def pairs(history: sparse.csr_array, ranked: Ranked) -> tuple[Ints, Ints]:
    """(place, bought product) for everything that the customer of each place has bought."""
    first, count = history.indptr[ranked.customer], np.diff(history.indptr)[ranked.customer]
    place = np.repeat(np.arange(len(count)), count)
    offset = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return place, np.repeat(first, count) + offset


@dataclass(frozen=True, eq=False)
class Reasons:
    """Why each place is there: the largest term. ``because`` is -1 where no purchase speaks."""

    because: Ints
    by_content: Flags


def reasons(made: Compiled, ranked: Ranked) -> Reasons:
    """Find the purchase that adds most to each score; ties go to the lower product number."""
    place, entry = pairs(made.history, ranked)
    bought = made.history.indices[entry].astype(np.int64)
    product = ranked.product[place]
    weight, words = made.edges(bought, product)
    term = made.history.data[entry] * weight * made.pull[product]
    because = np.full(len(ranked.product), -1)
    by_content = np.zeros(len(because), dtype=bool)
    floor = np.zeros(len(because))
    np.maximum.at(floor, place, term)
    largest = np.flatnonzero((term == floor[place]) & (term > 0))[::-1]  # the lowest is set last
    because[place[largest]] = bought[largest]
    by_content[place[largest]] = words[largest]
    share = np.bincount(place, weights=term, minlength=len(because))
    popular = made.popular_term[ranked.product] > share
    because[popular] = -1
    return Reasons(because, by_content & ~popular)
