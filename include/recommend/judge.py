"""How good lists would have been: made from a past day, held against what followed.

Full ranking over all products on sale then; means over the customers who bought something to be
found. Recall@k = hits in the first k / all the customer bought; precision@k = hits / k; NDCG@k =
sum over hits of 1 / log2(rank + 1) over the best possible sum of min(k, bought) hits; MAP@k = sum
over hits of hits so far / rank over min(k, bought); MRR@k = 1 / rank of the first hit; hit_rate@k:
any. Of the lists as a whole: coverage@k = products on any list / products on sale; novelty@k = mean
of -log2(share of customers with the product); popularity_lift@k = mean buyers of what is listed
over those of what was bought; diversity@k = share of the places with a category of their own.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
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
from include.recommend.mixture import Mixture
from include.recommend.recipe import Recipe
from include.recommend.repeat import habits, repeat

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

K = 10
SLICES = {"0": (0, 0), "1-2": (1, 2), "3-9": (3, 9), "10+": (10, 2**31)}  # products bought before


@dataclass(frozen=True)
class Figure:
    """One measure of one method. ``slice``: the list, or one of its parts.

    Parts are ``<list> history=<products bought before>`` and ``<list> segment=<RFM group then>``.
    """

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
    as asked for, evenly spread. ``shop`` says how mixed the explore lists are.
    """

    data: Interactions
    bought_new: sparse.csr_array
    bought_any: sparse.csr_array
    sample: Ints
    shop: Lists = field(default_factory=Lists)

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
    return Trial(data, fresh, later, sample, domains.load().lists)


def judge_explore(held: Trial, made: Compiled, method: str, k: int = K) -> list[Figure]:
    """Figures of the explore list: products new to the customer."""
    return figures_of(held, explored(held, made, k), held.bought_new, "explore", method, k)


def explore_ndcg(held: Trial, made: Compiled) -> Floats:
    """NDCG of the explore list of each judged customer who had bought before."""
    ndcg = by_customer(explored(held, made), held.bought_new)["ndcg"]
    had_bought = np.diff(held.data.bought.indptr) > 0
    of_them: Floats = ndcg[_judged(held, held.bought_new) & had_bought]
    return of_them


def explored(held: Trial, made: Compiled, k: int = K) -> list[Ranked]:
    """The explore lists of who is judged, as mixed as they are published."""
    data = held.data
    mixture = Mixture.of(data.features["category"], made.table, held.shop)
    on_sale = data.offered & data.seen
    return list(explore(made, data.bought, held.sample, on_sale, length=k, mixture=mixture))


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
    return figures_of(held, [ranked], held.bought_any, "repeat", method)


def judge_popular(held: Trial, made: Compiled, method: str) -> list[Figure]:
    """Figures of one list for all, bought before or not, in the place of the repeat list."""
    nothing = sparse.csr_array(held.data.shape)
    on_sale = held.data.offered & held.data.seen
    blocks = explore(made, nothing, held.sample, on_sale, length=K)
    return figures_of(held, list(blocks), held.bought_any, "repeat", method)


def figures_of(
    held: Trial, blocks: list[Ranked], truth: sparse.csr_array, name: str, method: str, k: int = K
) -> list[Figure]:
    """Every measure over those with a history, then hits by its length and by segment."""
    values = by_customer(blocks, truth, k)
    history, judged = np.diff(held.data.bought.indptr), _judged(held, truth)
    groups = {name: judged & (history > 0)}
    for label, (fewest, most) in SLICES.items():
        groups[f"{name} history={label}"] = judged & (history >= fewest) & (history <= most)
    of = held.data.groups
    for number in np.flatnonzero(np.array(of.kinds) == "segment"):
        groups[f"{name} segment={of.names[number]}"] = judged & (of.served == number)
    means = [
        Figure(method, f"{metric}@{k}", group, float(value[chosen].mean()), int(chosen.sum()))
        for group, chosen in groups.items()
        if chosen.any()
        for metric, value in values.items()
    ]
    chosen = groups[name]
    if not chosen.any():
        return means
    whole = _whole(held, blocks, truth, chosen)
    return means + [
        Figure(method, f"{metric}@{k}", name, value, int(chosen.sum()))
        for metric, value in whole.items()
    ]


def by_customer(blocks: list[Ranked], truth: sparse.csr_array, k: int = K) -> dict[str, Floats]:
    """(customers,) each measure of the hits; 0 for those with nothing to be found."""
    count, width = truth.shape
    bought = np.diff(truth.indptr)
    wanted = np.repeat(np.arange(count), bought) * width + truth.indices
    hits, precise, gain, first = np.zeros((4, count))
    for ranked in blocks:
        hit = np.isin(ranked.customer * width + ranked.product, wanted)
        customer, rank = ranked.customer[hit], ranked.rank[hit]
        so_far = np.arange(len(customer)) - np.searchsorted(customer, customer) + 1
        hits += np.bincount(customer, minlength=count)
        precise += np.bincount(customer, so_far / rank, count)
        gain += np.bincount(customer, 1 / np.log2(rank + 1.0), count)
        first += np.bincount(customer, (so_far == 1) / rank, count)
    ideal = np.concatenate([[math.inf], np.cumsum(1 / np.log2(np.arange(2, k + 2)))])
    best = np.minimum(bought, k)
    return {
        "recall": hits / np.maximum(1, bought),
        "ndcg": gain / ideal[best],
        "precision": hits / k,
        "map": precise / np.maximum(1, best),
        "mrr": first,
        "hit_rate": (hits > 0).astype(float),
    }


def _whole(
    held: Trial, blocks: list[Ranked], truth: sparse.csr_array, chosen: NDArray[np.bool_]
) -> dict[str, float]:
    """What the lists of the ``chosen`` are like as a whole; nothing where all are empty."""
    customer = np.concatenate([ranked.customer for ranked in blocks])
    product = np.concatenate([ranked.product for ranked in blocks])[chosen[customer]]
    customer = customer[chosen[customer]]
    if not len(product):
        return {}
    data, buyers = held.data, held.data.buyers
    kinds = np.unique(data.features["category"].astype(str), return_inverse=True)[1]
    places = np.unique(customer * (kinds.max() + 1) + kinds[product])
    share = np.maximum(buyers[product], 1) / max(1, np.diff(data.learned.indptr).astype(bool).sum())
    bought = truth[np.flatnonzero(chosen)].indices
    return {
        "coverage": len(np.unique(product)) / max(1, int((data.offered & data.seen).sum())),
        "novelty": float(-np.log2(share).mean()),
        "popularity_lift": float(buyers[product].mean() / max(1e-9, buyers[bought].mean())),
        "diversity": len(places) / len(product),
    }


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
