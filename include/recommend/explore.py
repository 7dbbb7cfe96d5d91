"""The explore list: products new to the customer, by what was bought and what is popular.

Filters act before the top-N, so a list is short only where the shop has nothing more to offer.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from include.recommend.compiled import Compiled
from include.recommend.kernel import (
    ROOM,
    Cells,
    add_rows,
    best_first,
    compiled,
    in_pieces,
    largest,
    parts,
)
from include.recommend.mixture import Mixture

Ints = NDArray[np.int64]
Numbers = NDArray[np.uint32]
Groups = NDArray[np.int32]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

SCALE = 1e7  # what purchases add to a score is kept to 1e-7, the precision of its sum
LOWEST = -1e30  # below every score, above what is barred
POOL = 20  # times the length of a list: the best, of which a mixture is chosen
CUSTOMERS = 4096  # of one piece of work


@dataclass(frozen=True, eq=False)
class Ranked:
    """Places on lists, one a cell: numbers of customer and product, rank from 1, score."""

    customer: Ints
    rank: Ints
    product: Ints
    score: Floats


@compiled
def _lists(
    customers: Ints,
    histories: Cells,
    table: Cells,
    bought: Cells,
    group: Groups,
    popularity: Floats,
    by_popularity: Numbers,
    products: Numbers,
    scores: Floats,
    sizes: Numbers,
) -> None:
    """The best of each customer's products, first by what was bought, then by popularity."""
    taken_start, taken, _ = bought
    total = np.zeros(popularity.shape[1], dtype=np.float32)
    touched = np.empty(popularity.shape[1] + 1, dtype=np.uint32)
    length = products.shape[1]
    value, listed = np.empty(ROOM * length), np.empty(ROOM * length, dtype=np.uint32)
    for place in range(len(customers)):
        customer, size, lowest = customers[place], 0, LOWEST
        popular = popularity[group[customer]]
        count = add_rows(customer, histories, table, total, touched)
        for entry in range(taken_start[customer], taken_start[customer + 1]):
            total[taken[entry]] = -np.inf
        for product in by_popularity[group[customer]]:
            if total[product] == 0:
                value[size], listed[size] = popular[product], product
                size += 1
                if size == length:
                    lowest = popular[product]
                    break
        for number in range(count):
            product = touched[number]
            score = total[product]
            total[product] = 0
            value[size] = np.rint(np.float64(score) * SCALE) / SCALE + popular[product]
            listed[size] = product  # stays only where it is good enough: no branch to foresee
            size += value[size] >= lowest
            if size == len(value):
                size = largest(value, listed, size, length)
                lowest = value[:size].min()
        for entry in range(taken_start[customer], taken_start[customer + 1]):
            total[taken[entry]] = 0
        size = largest(value, listed, size, length)
        best_first(value, listed, size)
        scores[place, :size], products[place, :size] = value[:size], listed[:size]
        sizes[place] = size


def explore(
    made: Compiled,
    bought: sparse.csr_array,
    customers: Ints,
    allowed: Flags,
    *,
    length: int,
    mixture: Mixture | None = None,
) -> Iterator[Ranked]:
    """Yield the lists of ``customers`` (numbers), block by block; see ``explorer``."""
    lists = explorer(made, bought, allowed, length=length, mixture=mixture)
    return in_pieces(
        lambda first, last: lists(customers[first:last]), len(customers), size=CUSTOMERS
    )


def explorer(
    made: Compiled,
    bought: sparse.csr_array,
    allowed: Flags,
    *,
    length: int,
    mixture: Mixture | None = None,
) -> Callable[[Ints], Ranked]:
    """A function from customers to their lists, which threads may call beside each other.

    Parameters
    ----------
    made : the compiled recipe.
    bought : customers x products; what is there stays off the customer's list.
    allowed : (products,) what may be recommended at all.
    length : places a list; fewer only where fewer products are left.
    mixture : chosen from the ``POOL * length`` best.
    """
    popular = made.popular_term
    shelf = np.flatnonzero(allowed)
    by_popularity = shelf[np.argsort(-popular[:, shelf], kind="stable")].astype(np.uint32)
    history, offers = parts(made.history.astype(np.float32)), parts(made.offers(allowed))
    given = history, offers, parts(bought), made.popular.group, popular, by_popularity
    pool = length * (POOL if mixture else 1)

    def lists(customers: Ints) -> Ranked:
        shape = len(customers), min(pool, len(shelf))
        products, scores = np.zeros(shape, dtype=np.uint32), np.zeros(shape)
        sizes = np.zeros(len(customers), dtype=np.uint32)
        if shape[1]:
            _lists(customers, *given, products, scores, sizes)
        if mixture and shape[1]:
            products, scores, sizes = mixture.chosen(products, scores, sizes, length)
        row, place = np.nonzero(np.arange(products.shape[1]) < sizes[:, None])
        rank = np.arange(len(row)) - np.searchsorted(row, row) + 1
        found = products[row, place].astype(np.int64)
        return Ranked(customers[row], rank, found, scores[row, place])

    return lists


@dataclass(frozen=True, eq=False)
class Reasons:
    """Why each place is there: the largest term. ``because`` is -1 where no purchase speaks."""

    because: Ints
    by_content: Flags


@compiled
def _largest(
    customers: Ints,
    wanted: Ints,
    histories: Cells,
    table: Cells,
    group: Groups,
    popularity: Floats,
    because: Ints,
    cells: Ints,
) -> None:
    """The bought product with the largest term of each place, and its cell of the table."""
    (start, history, share), (row_start, neighbour, weight) = histories, table
    for place in range(len(customers)):
        largest, total, product = 0.0, 0.0, wanted[place]
        for entry in range(start[customers[place]], start[customers[place] + 1]):
            row = history[entry]
            low, high = row_start[row], row_start[row + 1]
            while low < high:
                middle = (low + high) // 2
                if neighbour[middle] < product:
                    low = middle + 1
                else:
                    high = middle
            if low < row_start[row + 1] and neighbour[low] == product:
                term = share[entry] * weight[low]
                total += term
                if term > largest:
                    largest, because[place], cells[place] = term, row, low
        if popularity[group[customers[place]], product] > total:
            because[place] = cells[place] = -1


def reasons(made: Compiled, ranked: Ranked) -> Reasons:
    """Find the purchase that adds most to each score; ties go to the lower product number."""
    because, cells = np.full((2, len(ranked.product)), -1)
    given = *made.loops, made.popular.group, made.popular_term
    _largest(ranked.customer, ranked.product, *given, because, cells)
    by_content = np.zeros(len(because), dtype=bool)
    by_content[cells >= 0] = made.by_content[cells[cells >= 0]]
    return Reasons(because, by_content)
