"""The explore list: products new to the customer, by what was bought and what is popular.

Filters act before the top-N, so a list is short only where the shop has nothing more to offer.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from include.recommend.compiled import Compiled
from include.recommend.kernel import Cells, best_first, compiled, in_pieces, keep, parts

Ints = NDArray[np.int64]
Numbers = NDArray[np.uint32]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

SCALE = 1e7  # what purchases add to a score is kept to 1e-7, the precision of its sum
TINY = np.float32(1e-30)
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
    popular: Floats,
    by_popularity: Numbers,
    products: Numbers,
    scores: Floats,
    sizes: Numbers,
) -> None:
    """The best of each customer's products, first by what was bought, then by popularity."""
    (start, history, share), (row_start, neighbour, weight) = histories, table
    taken_start, taken, _ = bought
    total = np.zeros(len(popular), dtype=np.float32)
    touched = np.empty(len(popular) + 1, dtype=np.uint32)
    most, barred = popular.max(), np.float32(-np.inf)
    for place in range(len(customers)):
        customer, count, size = customers[place], 0, 0
        best, listed = scores[place], products[place]
        for entry in range(start[customer], start[customer + 1]):
            row, own = history[entry], np.float32(share[entry])
            for cell in range(row_start[row], row_start[row + 1]):
                product = neighbour[cell]
                touched[count] = product  # stays only where it is the first: no branch to foresee
                before = total[product]
                count += before == 0
                after = before + own * weight[cell]
                total[product] = after + TINY * (after == 0)  # touched stays told from untouched
        for entry in range(taken_start[customer], taken_start[customer + 1]):
            total[taken[entry]] = barred
        for product in by_popularity:
            if size == len(best):
                break
            if total[product] == 0:
                size = keep(popular[product], product, best, listed, size)
        least = best[0] - most - 1 / SCALE if size == len(best) else LOWEST
        for number in range(count):
            product = touched[number]
            score = total[product]
            total[product] = 0
            if score >= least:
                score = np.rint(np.float64(score) * SCALE) / SCALE + popular[product]
                size = keep(score, product, best, listed, size)
                least = best[0] - most - 1 / SCALE if size == len(best) else LOWEST
        for entry in range(taken_start[customer], taken_start[customer + 1]):
            total[taken[entry]] = 0
        best_first(best, listed, size)
        sizes[place] = size


@compiled
def _mixed(pool: Numbers, sizes: Numbers, category: Numbers, most: int, chosen: Flags) -> None:
    """Of each pool the best with at most ``most`` of a category, then the best of the others.

    ``category`` 0 is unknown and has no bound; ``chosen`` (rows, places of the pool) is filled, up
    to as many places of a row as ``sizes`` says.
    """
    count = np.zeros(category.max() + 1, dtype=np.int64)
    for row in range(len(pool)):
        left = sizes[row]
        for turn in range(2):
            for place in range(pool.shape[1]):
                own = category[pool[row, place]]
                within = turn == 1 or own == 0 or count[own] < most
                if left > 0 and within and not chosen[row, place]:
                    chosen[row, place] = True
                    count[own] += 1
                    left -= 1
        count[:] = 0


@dataclass(frozen=True, eq=False)
class Mixture:
    """At most ``most`` products of a category on a list, as far as the pool of its best allows."""

    category: Numbers  # (products,) by number; 0: unknown, without a bound
    most: int

    @classmethod
    def of(cls, categories: NDArray[Any], most: int | None) -> "Mixture | None":
        """From the names of the categories, '' being unknown; None without a bound."""
        if most is None:
            return None
        names = np.unique(categories.astype(str))
        known = np.searchsorted(names[names != ""], categories.astype(str)) + 1
        return cls(np.where(categories == "", 0, known).astype(np.uint32), most)


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
    by_popularity = shelf[np.argsort(-popular[shelf], kind="stable")].astype(np.uint32)
    history, offers = made.loops[0], parts(made.offers(allowed))
    given = history, offers, parts(bought), popular, by_popularity
    pool = length * (POOL if mixture else 1)

    def lists(customers: Ints) -> Ranked:
        shape = len(customers), min(pool, len(shelf))
        products, scores = np.zeros(shape, dtype=np.uint32), np.zeros(shape)
        sizes = np.zeros(len(customers), dtype=np.uint32)
        if shape[1]:
            _lists(customers, *given, products, scores, sizes)
        listed = np.arange(shape[1]) < sizes[:, None]
        if mixture and shape[1]:
            chosen = ~listed  # what is not there cannot be chosen
            wanted = np.minimum(sizes, length).astype(np.uint32)
            _mixed(products, wanted, mixture.category, mixture.most, chosen)
            listed &= chosen
        row, place = np.nonzero(listed)
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
    popular: Floats,
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
        if popular[product] > total:
            because[place] = cells[place] = -1


def reasons(made: Compiled, ranked: Ranked) -> Reasons:
    """Find the purchase that adds most to each score; ties go to the lower product number."""
    because, cells = np.full((2, len(ranked.product)), -1)
    _largest(ranked.customer, ranked.product, *made.loops, made.popular_term, because, cells)
    by_content = np.zeros(len(because), dtype=bool)
    by_content[cells >= 0] = made.by_content[cells[cells >= 0]]
    return Reasons(because, by_content)
