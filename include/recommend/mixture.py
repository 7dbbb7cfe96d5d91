"""How mixed an explore list is: at most so many of a category, and not much that is alike.

Maximal marginal relevance (Carbonell & Goldstein, SIGIR 1998): places are filled one by one, each
by the product with the largest (1 - variety) relevance - variety (likeness to the list so far).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from include.domains import Lists
from include.recommend.compiled import typical
from include.recommend.kernel import Cells, compiled, parts

Ints = NDArray[np.int64]
Numbers = NDArray[np.uint32]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

ANY = 2**62  # products of a category: no bound
TINY = 1e-300  # in place of 0, where all scores are equal


@compiled
def _next(
    pool: Numbers,
    own: Floats,
    left: Flags,
    nearest: Floats,
    variety: float,
    category: Numbers,
    count: Ints,
    most: int,
) -> int:
    """Of what is left within the bound, else of all, the place with the largest value.

    Of equals the first; ``own`` is what speaks for each place of the pool, and never rises.
    """
    found, found_within, largest = 0, False, -np.inf
    for place in range(len(pool)):
        if found_within and own[place] <= largest:  # nor is what follows larger
            break
        if left[place]:
            within = count[category[pool[place]]] < most
            value = own[place] - variety * nearest[pool[place]]
            if within > found_within or (within == found_within and value > largest):
                found, found_within, largest = place, within, value
    return found


@compiled
def _mixed(
    pools: Numbers,
    scores: Floats,
    sizes: Numbers,
    category: Numbers,
    most: int,
    alike: Cells,
    variety: float,
    places: Ints,
) -> None:
    """The places of each pool that are chosen, in turn; without ``variety`` the best first."""
    start, other, likeness = alike
    count = np.zeros(category.max() + 1, dtype=np.int64)
    nearest = np.zeros(len(category))  # of each product, the largest likeness to what is chosen
    for row in range(len(pools)):
        if sizes[row] == 0:
            continue
        pool, score = pools[row, : sizes[row]], scores[row, : sizes[row]]
        relevance = (score - score[-1]) / max(score[0] - score[-1], TINY)
        own, left = (1 - variety) * relevance, np.ones(len(pool), dtype=np.bool_)
        chosen = places[row, : len(pool)]
        for turn in range(len(chosen)):
            place = _next(pool, own, left, nearest, variety, category, count, most)
            chosen[turn], left[place], product = place, False, pool[place]
            count[category[product]] += category[product] > 0
            for cell in range(start[product], start[product + 1]):
                nearest[other[cell]] = max(nearest[other[cell]], likeness[cell])
        for place in chosen:
            product = pool[place]
            count[category[product]] = 0
            nearest[other[start[product] : start[product + 1]]] = 0
        if variety == 0:
            chosen.sort()


def likeness(table: sparse.csr_array) -> sparse.csr_array:
    """Products x products in [0, 1]: the larger of W[i, j] and W[j, i], the median row's best 1."""
    alike = sparse.csr_array(table.maximum(table.T)) / typical(table)
    alike.data = alike.data.clip(0, 1)
    return alike


@dataclass(frozen=True, eq=False)
class Mixture:
    """What the domain wants of an explore list, as far as the pool of its best allows."""

    category: Numbers  # (products,) by number; 0: unknown, without a bound
    most: int  # of a category
    alike: Cells  # products x products, see ``likeness``
    variety: float  # 0: the score alone

    @classmethod
    def of(cls, categories: NDArray[Any], table: sparse.csr_array, shop: Lists) -> "Mixture | None":
        """From the names of the categories, '' being unknown, and the item-item table.

        None where the domain asks for no mixture.
        """
        if shop.most_per_category is None and shop.variety is None:
            return None
        names = np.unique(categories.astype(str))
        known = np.searchsorted(names[names != ""], categories.astype(str)) + 1
        return cls(
            np.where(categories == "", 0, known).astype(np.uint32),
            shop.most_per_category or ANY,
            parts(likeness(table if shop.variety else sparse.csr_array(table.shape))),
            shop.variety or 0.0,
        )

    def chosen(
        self, products: Numbers, scores: Floats, sizes: Numbers, length: int
    ) -> tuple[Numbers, Floats, Numbers]:
        """Lists out of pools, (customers, places) each: products, scores and how many there are.

        The products of a pool are the best first, and as many as its entry in ``sizes``.
        """
        places = np.zeros((len(products), min(length, products.shape[1])), dtype=np.int64)
        given = self.category, self.most, self.alike, self.variety
        _mixed(products, scores, sizes, *given, places)
        rows = np.arange(len(products))[:, None]
        return products[rows, places], scores[rows, places], np.minimum(sizes, length)
