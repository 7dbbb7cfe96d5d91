"""From a recipe and the purchases to what serving needs: one table, one history, one popularity."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from include.recommend.interactions import Interactions
from include.recommend.makers import MAKERS
from include.recommend.recipe import Recipe
from include.recommend.strongest import block_rows, pruned

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Compiled:
    """A recipe made ready for one day's purchases.

    Attributes
    ----------
    table : products x products, K strongest a row, the median row's strongest being 1.
    by_content : one flag an entry of ``table``: most of it is likeness in words.
    history : customers x products, what each bought, decayed, rows summing to 1.
    recent : (products,) buyers in the last days over those of the best product.
    popularity : (products,) in [0, 1): by recent buyers, equals by buyers ever; 0: never bought.
    """

    recipe: Recipe
    table: sparse.csr_array
    by_content: Flags
    history: sparse.csr_array
    recent: Floats
    popularity: Floats

    @property
    def pull(self) -> Floats:
        """(products,) what popularity makes of a term that recommends the product."""
        return 1 + self.recipe.lift * self.recent

    @property
    def popular_term(self) -> Floats:
        """(products,) the term of a score that no purchase explains."""
        return self.recipe.popularity_weight * self.popularity

    @cached_property
    def _cells(self) -> Ints:
        """The entries of ``table`` as ascending cell numbers."""
        width = self.table.shape[1]
        rows = np.repeat(np.arange(width), np.diff(self.table.indptr))
        return np.asarray(rows * width + self.table.indices, dtype=np.int64)

    def edges(self, bought: Ints, product: Ints) -> tuple[Floats, Flags]:
        """W[bought, product] and its ``by_content``, one a pair; 0 where there is no entry."""
        width = self.table.shape[1]
        if not self.table.nnz:
            return np.zeros(len(bought)), np.zeros(len(bought), dtype=bool)
        wanted = bought * width + product
        place = np.minimum(np.searchsorted(self._cells, wanted), self.table.nnz - 1)
        found = self._cells[place] == wanted
        return np.where(found, self.table.data[place], 0.0), found & self.by_content[place]


def compile_recipe(recipe: Recipe, data: Interactions) -> Compiled:
    """Make the table, the history and the popularity of ``recipe``.

    Everybody has a history; who is left out of training has no part in the rest.
    """
    table, by_content = item_table(recipe, data)
    history = data.decayed(recipe.history_half_life_days)
    total = history.sum(axis=1)
    history.data /= np.repeat(total, np.diff(history.indptr))
    recent = data.recent_buyers(recipe.popularity_days)
    ever = data.buyers / (data.buyers.max(initial=0) + 1)
    most = recent.max(initial=0)
    return Compiled(
        recipe, table, by_content, history, recent / max(1, most), (recent + ever) / (most + 1)
    )


def item_table(recipe: Recipe, data: Interactions) -> tuple[sparse.csr_array, Flags]:
    """The maker's table with likeness in words added, pruned again, and which entries are words'.

    A product with fewer than ``cold_buyers`` buyers has its content row instead of the maker's, and
    stands in the rows of the products that it is like.
    """
    width = data.shape[1]
    if recipe.maker is None or not width:
        return sparse.csr_array((width, width)), np.zeros(0, dtype=bool)
    made = _made(data, recipe.maker, recipe.neighbours, recipe.parameters)
    if recipe.maker == "content":
        return made, np.ones(made.nnz, dtype=bool)
    warm = sparse.diags_array((data.buyers >= recipe.cold_buyers).astype(float))
    made = sparse.csr_array(warm @ made @ warm)
    made = made / _typical(made)
    words = _made(data, "content", recipe.neighbours, {}) * recipe.content_weight
    cold = sparse.diags_array((data.buyers < recipe.cold_buyers).astype(float))
    words = sparse.csr_array(words.maximum((cold @ words).T))
    both = sparse.csr_array(made + words)
    size = block_rows(width)
    blocks = (both[start : start + size].toarray() for start in range(0, width, size))
    table = pruned(blocks, width, recipe.neighbours)
    rows = np.repeat(np.arange(width), np.diff(table.indptr))
    return table, np.asarray(words[rows, table.indices] > table.data / 2).ravel()


def _made(
    data: Interactions, maker: str, neighbours: int, parameters: dict[str, float]
) -> sparse.csr_array:
    """The maker's table, made once for these purchases: a search asks again and again."""
    key = f"{maker} {neighbours} {sorted(parameters.items())}"
    if key not in data.kept:
        data.kept[key] = MAKERS[maker](data, neighbours=neighbours, **parameters)
    return data.kept[key]


def _typical(table: sparse.csr_array) -> float:
    """The median of the rows' largest entries, rows without any left out; 1 for an empty table."""
    largest = table.max(axis=1).toarray().ravel() if table.nnz else np.zeros(0)
    largest = largest[largest > 0]
    return float(np.median(largest)) if len(largest) else 1.0
