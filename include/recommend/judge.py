"""How good lists would have been: made from a past day, held against what followed.

Full ranking over all products on sale then. Recall@k = hits in the first k / all the customer
bought; NDCG@k = sum over hits of 1 / log2(rank + 1) over the best possible sum of min(k, bought)
hits; both are means over the customers who bought something to be found.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from include import domains
from include.domains import Lists
from include.recommend.compiled import Compiled, compile_recipe
from include.recommend.explore import Ranked, explore
from include.recommend.interactions import Interactions, bought_between, read
from include.recommend.makers import GRID, MAKERS
from include.recommend.recipe import Recipe
from include.recommend.repeat import habits, repeat

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

K = 10
SLICES = {"0": (0, 0), "1-2": (1, 2), "3-9": (3, 9), "10+": (10, 2**31)}  # products bought before


@dataclass(frozen=True)
class Figure:
    """One measure of one method. ``slice``: the list, or ``<list> history=<products before>``."""

    method: str
    metric: str
    slice: str
    value: float
    customers: int


@dataclass(frozen=True, eq=False)
class Trial:
    """A past day and what was bought in the days after it.

    ``bought_new`` and ``bought_any`` are customers x products; ``sample`` numbers the customers who
    are judged: those who bought something later and are not left out of training, at most as many
    as asked for, evenly spread.
    """

    data: Interactions
    bought_new: sparse.csr_array
    bought_any: sparse.csr_array
    sample: Ints

    @property
    def with_history(self) -> int:
        """Judged customers who had bought before and then bought a product new to them."""
        before = np.diff(self.data.bought.indptr)[self.sample] > 0
        return int((before & (np.diff(self.bought_new.indptr)[self.sample] > 0)).sum())


def trial(folder: Path, day: date, until: date, *, most: int | None = None) -> Trial:
    """Read what was known on ``day`` and what was bought in [day, until)."""
    data = read(folder, day)
    later = bought_between(folder, data, until)
    fresh = sparse.csr_array(later - later.multiply(data.bought))
    fresh.eliminate_zeros()
    sample = np.flatnonzero((np.diff(later.indptr) > 0) & ~data.left_out)
    if most is not None and len(sample) > most:
        sample = sample[np.linspace(0, len(sample) - 1, most).astype(np.int64)]
    return Trial(data, fresh, later, sample)


def judge_explore(held: Trial, made: Compiled, method: str) -> list[Figure]:
    """Figures of the explore list: products new to the customer."""
    return _figures(held, _explored(held, made), held.bought_new, "explore", method)


def explore_ndcg(held: Trial, made: Compiled) -> Floats:
    """NDCG of the explore list of each judged customer who had bought before."""
    _, ndcg = _by_customer(_explored(held, made), held.bought_new)
    had_bought = np.diff(held.data.bought.indptr) > 0
    of_them: Floats = ndcg[_judged(held, held.bought_new) & had_bought]
    return of_them


def _explored(held: Trial, made: Compiled) -> list[Ranked]:
    on_sale = held.data.offered & held.data.seen
    return list(explore(made, held.data.bought, held.sample, on_sale, length=K))


def _judged(held: Trial, truth: sparse.csr_array) -> NDArray[np.bool_]:
    """(customers,) who of the sample bought something to be found."""
    judged = np.zeros(truth.shape[0], dtype=bool)
    judged[held.sample] = np.diff(truth.indptr)[held.sample] > 0
    return judged


def judge_repeat(held: Trial, made: Compiled, method: str) -> list[Figure]:
    """Figures of the repeat list against all purchases, new products among them."""
    chosen = np.zeros(held.data.shape[0], dtype=bool)
    chosen[held.sample] = True
    habit = habits(held.data, made.recipe.repeat_half_life_days, 0, len(chosen))
    on_sale = held.data.offered & held.data.seen
    ranked, _ = repeat(made, habit, chosen, on_sale, length=K)
    return _figures(held, [ranked], held.bought_any, "repeat", method)


def judge_popular(held: Trial, made: Compiled, method: str) -> list[Figure]:
    """Figures of one list for all, bought before or not, in the place of the repeat list."""
    nothing = sparse.csr_array(held.data.shape)
    on_sale = held.data.offered & held.data.seen
    blocks = explore(made, nothing, held.sample, on_sale, length=K)
    return _figures(held, list(blocks), held.bought_any, "repeat", method)


def _figures(
    held: Trial, blocks: list[Ranked], truth: sparse.csr_array, name: str, method: str
) -> list[Figure]:
    """Recall and NDCG over those with a history, then by its length."""
    recall, ndcg = _by_customer(blocks, truth)
    history, judged = np.diff(held.data.bought.indptr), _judged(held, truth)
    groups = {name: judged & (history > 0)}
    for label, (fewest, most) in SLICES.items():
        groups[f"{name} history={label}"] = judged & (history >= fewest) & (history <= most)
    return [
        Figure(method, metric, group, float(values[chosen].mean()), int(chosen.sum()))
        for group, chosen in groups.items()
        if chosen.any()
        for metric, values in ((f"recall@{K}", recall), (f"ndcg@{K}", ndcg))
    ]


def _by_customer(blocks: list[Ranked], truth: sparse.csr_array) -> tuple[Floats, Floats]:
    """(customers,) recall and NDCG; 0 for those with nothing to be found."""
    count, width = truth.shape
    bought = np.diff(truth.indptr)
    wanted = np.repeat(np.arange(count), bought) * width + truth.indices
    hits, gain = np.zeros(count), np.zeros(count)
    for ranked in blocks:
        hit = np.isin(ranked.customer * width + ranked.product, wanted)
        hits += np.bincount(ranked.customer, weights=hit, minlength=count)
        worth = hit / np.log2(ranked.rank + 1.0)
        gain += np.bincount(ranked.customer, weights=worth, minlength=count)
    ideal = np.concatenate([[math.inf], np.cumsum(1 / np.log2(np.arange(2, K + 2)))])
    return hits / np.maximum(1, bought), gain / ideal[np.minimum(bought, K)]


def baselines(held: Trial, shop: Lists) -> list[Figure]:
    """What the lists must beat: popularity ever and of late; for repeat the own frequency, too."""
    ever = compile_recipe(Recipe(popularity_days=2**31), held.data)
    recent = compile_recipe(Recipe.popular(shop), held.data)
    decayed = compile_recipe(Recipe(), held.data)
    return [
        *judge_explore(held, ever, "popularity"),
        *judge_explore(held, recent, "recent_popularity"),
        *judge_popular(held, ever, "popularity"),
        *judge_popular(held, recent, "recent_popularity"),
        *judge_repeat(held, recent, "personal_frequency"),
        *judge_repeat(held, decayed, "decayed_frequency"),
    ]


def evaluate(
    folder: Path,
    as_of: date,
    *,
    recipes: Mapping[str, Recipe] | None = None,
    most: int | None = None,
) -> list[Figure]:
    """Judge recipes on the last days before ``as_of``, knowing only what was known before those.

    Parameters
    ----------
    folder : a complete snapshot.
    recipes : by name; default: every maker with the first of its settings.
    most : customers judged, at most; None: all.

    Returns
    -------
    Figures of each recipe and of the baselines; none for a slice without customers.
    """
    shop = domains.load().lists
    if recipes is None:
        recipes = {
            name: Recipe(maker=name, parameters=GRID[name][0], neighbours=shop.neighbours)
            for name in MAKERS
        }
    held = trial(folder, as_of - timedelta(shop.test_days), as_of, most=most)
    figures = baselines(held, shop)
    for name, recipe in recipes.items():
        made = compile_recipe(recipe, held.data)
        figures += judge_explore(held, made, name) + judge_repeat(held, made, name)
    return figures
