"""From a recipe and the purchases to what serving needs: one table, one history, one popularity."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from include.recommend import kernel
from include.recommend.groups import Groups
from include.recommend.interactions import Interactions
from include.recommend.kernel import Cells
from include.recommend.makers import MAKERS
from include.recommend.recipe import Recipe

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Popularity:
    """What was bought of late, by group; group 0 is everybody.

    ``group`` (customers,) whose popularity the lists of each have; ``kinds`` of the groups, as in
    ``Groups``; ``share`` (groups, products) in [0, 1): by recent buyers in the group, drawn to
    those of all where it is small, equals by buyers ever, 0: never bought; ``own`` (groups,
    products) somebody of the group bought it of late.
    """

    group: NDArray[np.int32]
    kinds: list[str]
    share: Floats
    own: Flags


@dataclass(frozen=True, eq=False)
class Compiled:
    """A recipe made ready for one day's purchases.

    Attributes
    ----------
    table : products x products, K furthest from 0 a row, the median row's largest being 1.
    by_content : one flag an entry of ``table``: most of it is likeness in words.
    history : customers x products, what each bought, decayed, rows summing to 1.
    recent : (products,) buyers in the last days over those of the best product.
    popular : what is popular with whom.
    """

    recipe: Recipe
    table: sparse.csr_array
    by_content: Flags
    history: sparse.csr_array
    recent: Floats
    popular: Popularity

    @property
    def pull(self) -> Floats:
        """(products,) what popularity makes of a term that recommends the product."""
        return 1 + self.recipe.lift * self.recent

    @property
    def speaks(self) -> str:
        """What a bought product says for another, as a code of a reason."""
        return "alike_customers" if self.recipe.maker == "customers" else "bought"

    @property
    def popular_term(self) -> Floats:
        """(groups, products) the term of a score that no purchase explains."""
        return self.recipe.popularity_weight * self.popular.share

    @cached_property
    def weighted(self) -> sparse.csr_array:
        """The table with what popularity makes of its terms, float32: what scores are summed of."""
        values = (self.table.data * self.pull[self.table.indices]).astype(np.float32)
        cells = values, self.table.indices, self.table.indptr
        return sparse.csr_array(cells, shape=self.table.shape)

    @cached_property
    def loops(self) -> tuple[Cells, Cells]:
        """``history`` and ``weighted`` as loops read them."""
        return kernel.parts(self.history), kernel.parts(self.weighted)

    def offers(self, allowed: Flags) -> sparse.csr_array:
        """``weighted`` without the products that may not be recommended."""
        if allowed.all():
            return self.weighted
        kept = self.weighted.copy()
        kept.data *= allowed[kept.indices]
        kept.eliminate_zeros()
        return kept


def compile_recipe(recipe: Recipe, data: Interactions) -> Compiled:
    """Make the table, the history and the popularity of ``recipe``.

    Everybody has a history; who is left out of training has no part in the rest.
    """
    table, by_content = item_table(recipe, data)
    history = data.decayed(recipe.history_half_life_days)
    total = history.sum(axis=1)
    history.data /= np.repeat(total, np.diff(history.indptr))
    recent = data.recent_buyers(recipe.popularity_days)
    groups = data.groups if recipe.group_prior is not None else Groups.none(data.shape[0])
    popular = Popularity(
        groups.served,
        groups.kinds,
        _shares(recent, data.buyers, recipe.group_prior),
        recent > 0,
    )
    most = recent[0].max(initial=0)
    return Compiled(recipe, table, by_content, history, recent[0] / max(1, most), popular)


def _shares(recent: Ints, buyers: Ints, prior: float | None) -> Floats:
    """(groups, products) the share of a group's recent purchases, with ``prior`` purchases of
    everybody's added to it, scaled like the recent buyers of all; ties by buyers ever."""
    most = recent[0].max(initial=0)
    ever = buyers / (buyers.max(initial=0) + 1)
    if prior is None:
        return np.asarray((recent[:1] + ever) / (most + 1))
    all_of_them = recent[0] / max(1, recent[0].sum())
    share = (recent + prior * all_of_them) / (recent.sum(axis=1, keepdims=True) + prior)
    share[0] = all_of_them
    top = share.max(axis=1, keepdims=True, initial=0)
    return np.asarray((most * share / np.where(top > 0, top, 1) + ever) / (most + 1))


def item_table(recipe: Recipe, data: Interactions) -> tuple[sparse.csr_array, Flags]:
    """The maker's table with likeness in words added, pruned again, and which entries are words'.

    A product with fewer than ``cold_buyers`` buyers has its content row instead of the maker's, and
    stands in the rows of the products that it is like.
    """
    width = data.shape[1]
    if recipe.maker is None or not width:
        return sparse.csr_array((width, width)), np.zeros(0, dtype=bool)
    if recipe.maker == "content":
        made = _made(data, recipe.maker, recipe.neighbours, recipe.parameters)
        return made, np.ones(made.nnz, dtype=bool)
    made = _warm(recipe, data, recipe.maker, recipe.parameters)
    if recipe.beside is not None:
        beside = _warm(recipe, data, recipe.beside, recipe.beside_parameters)
        made = made + recipe.beside_weight * beside
    words = _made(data, "content", recipe.neighbours, {}) * recipe.content_weight
    cold = sparse.diags_array((data.buyers < recipe.cold_buyers).astype(float))
    words = sparse.csr_array(words.maximum((cold @ words).T))
    table = kernel.pruned(sparse.csr_array(made + words), recipe.neighbours)
    rows = np.repeat(np.arange(width), np.diff(table.indptr))
    return table, np.asarray(words[rows, table.indices] > np.abs(table.data) / 2).ravel()


def _warm(
    recipe: Recipe, data: Interactions, maker: str, parameters: dict[str, float]
) -> sparse.csr_array:
    """The maker's table of products with enough buyers, the median row's strongest being 1."""
    made = _made(data, maker, recipe.neighbours, parameters)
    warm = data.buyers >= recipe.cold_buyers
    if not warm.all():
        kept = sparse.diags_array(warm.astype(np.float32))
        made = sparse.csr_array(kept @ made @ kept)
    return made / typical(made)


def _made(
    data: Interactions, maker: str, neighbours: int, parameters: dict[str, float]
) -> sparse.csr_array:
    """The maker's table, made once for these purchases: a search asks again and again."""
    key = f"{maker} {neighbours} {sorted(parameters.items())}"
    if key not in data.kept:
        data.kept[key] = MAKERS[maker](data, neighbours=neighbours, **parameters)
    return data.kept[key]


def typical(table: sparse.csr_array) -> float:
    """The median of the rows' largest entries, rows without any left out; 1 for an empty table."""
    largest = table.max(axis=1).toarray().ravel() if table.nnz else np.zeros(0)
    largest = largest[largest > 0]
    return float(np.median(largest)) if len(largest) else 1.0
