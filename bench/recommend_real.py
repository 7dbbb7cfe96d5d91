"""How good the lists of a real shop are beside others': a JSON line a figure.

python -m bench.recommend_real

The public Online Retail file in ../shared/data. What was bought in its last 30 days (LAST= names
another last day) is to be found, among all purchases and among products new to the customer. Every
setting of every method is chosen on the 30 days before, for each of the two apart, by NDCG@10; the
last days are looked at once. All list what is on sale, to the same customers.
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from bench._peers import Peer, python_of
from bench.recommend import ONLINE_RETAIL, REAL, show, snapshot
from include import domains
from include.recommend.compiled import Compiled, compile_recipe
from include.recommend.explore import Ranked, explore
from include.recommend.judge import K, Trial, explored, figures_of, trial
from include.recommend.recipe import Recipe
from include.recommend.repeat import habits, repeat
from include.recommend.training import choose

DAYS = timedelta(30)
LAST = "2011-09-10"
SHOWN = (f"recall@{K}", f"ndcg@{K}")
Settings = dict[str, Any]
Lists = Callable[[Trial, Settings, bool], list[Ranked]]  # the bool: new products only


@dataclass(frozen=True)
class Method:
    """One way to make lists, with the settings that are tried."""

    name: str
    lists: Lists
    grid: tuple[Settings, ...] = ({},)
    for_new: bool = True  # judged by products new to the customer, too


# ---------------------------------------------------------------- what is obvious


def popularity(held: Trial, settings: Settings, new: bool) -> list[Ranked]:
    """One list for all, by buyers in the last days; without what the customer has, if ``new``."""
    made = compile_recipe(Recipe(popularity_days=settings["days"]), held.data)
    if new:
        return explored(held, made)
    nothing = sparse.csr_array(held.data.shape)
    return list(explore(made, nothing, held.sample, on_sale(held), length=K))


def frequency(held: Trial, settings: Settings, new: bool) -> list[Ranked]:
    """What the customer ordered most."""
    recipe = Recipe(repeat_half_life_days=settings.get("half_life_days"))
    return [] if new else [again(held, compile_recipe(recipe, held.data))]  # nothing is new


def again(held: Trial, made: Compiled) -> Ranked:
    """The repeat lists of who is judged."""
    chosen = np.zeros(held.data.shape[0], dtype=bool)
    chosen[held.sample] = True
    habit = habits(held.data, made.recipe.repeat_half_life_days, 0, len(chosen))
    return repeat(made, habit, chosen, on_sale(held), length=K)[0]


def on_sale(held: Trial) -> NDArray[np.bool_]:
    """(products,) what may be listed."""
    return np.asarray(held.data.offered & held.data.seen)


# ---------------------------------------------------------------- EASE and ALS


def ease(held: Trial, settings: Settings, new: bool) -> list[Ranked]:
    """Steck's EASE, dense, of all products."""
    bought = held.data.learned.astype(np.float64)
    gram = (bought.T @ bought).toarray()
    gram[np.diag_indices(len(gram))] += settings["ridge"]
    inverse = np.linalg.inv(gram)
    weights = inverse / -np.diag(inverse)
    weights[np.diag_indices(len(weights))] = 0
    own = held.data.bought[held.sample]
    scores = own @ weights
    scores[:, ~on_sale(held)] = -np.inf
    if new:
        scores[own.nonzero()] = -np.inf
    lists = np.argsort(-scores, axis=1, kind="stable")[:, :K]
    barred = np.isneginf(np.take_along_axis(scores, lists, axis=1))
    return [ranked(held, np.where(barred, -1, lists))]


def ranked(held: Trial, lists: NDArray[np.int64]) -> Ranked:
    """The places of (sample, K) lists; -1: none."""
    row, place = np.nonzero(lists >= 0)
    found = lists[row, place].astype(np.int64)
    return Ranked(held.sample[row], place + 1, found, np.zeros(len(row)))


@contextmanager
def als(python: Path, scratch: Path) -> Iterator[Lists]:
    """The lists of implicit's ALS, from cells of 1 or of the number of orders (``weighted``)."""
    peers: dict[int, Peer] = {}
    fitted: dict[int, Settings] = {}

    def lists(held: Trial, settings: Settings, new: bool) -> list[Ranked]:
        number = id(held)
        if number not in peers:
            cells = np.ones(len(held.data.customer)), (held.data.customer, held.data.product)
            orders = sparse.csr_array(sparse.coo_array(cells, shape=held.data.shape).tocsr())
            peers[number] = Peer("implicit", python, orders, scratch / str(number))
        if fitted.get(number) != settings:
            peers[number].fit(**settings)
            fitted[number] = settings
        barred, customers = np.flatnonzero(~on_sale(held)).tolist(), held.sample.tolist()
        found, _ = peers[number].lists(K, new=new, barred=barred, customers=customers)
        return [ranked(held, found)]

    try:
        yield lists
    finally:
        for peer in peers.values():
            peer.close()


ALS = tuple(
    {"factors": f, "alpha": a, "regularization": r, "iterations": 15, "weighted": bool(w)}
    for f, a, r, w in product((64, 256, 512), (1.0, 5.0, 20.0), (3.0, 10.0, 30.0), (0, 1))
)


# ---------------------------------------------------------------- the recipe that training chooses


def portrait(which: str) -> Lists:
    """The explore list, the repeat list, or the one behind the other."""

    def lists(held: Trial, settings: Settings, _new: bool) -> list[Ranked]:
        made = compile_recipe(Recipe.read(settings), held.data)
        if which == "explore":
            return explored(held, made)
        listed = again(held, made)
        return [listed] if which == "repeat" else [behind(listed, explored(held, made))]

    return lists


def behind(first: Ranked, others: list[Ranked]) -> Ranked:
    """``first``, filled up to K places by the others."""
    parts = [first, *others]
    customer, rank, found, score = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("customer", "rank", "product", "score")
    )
    second = np.arange(len(customer)) >= len(first.customer)
    order = np.lexsort((rank, second, customer))
    place = np.arange(len(order)) - np.searchsorted(customer[order], customer[order]) + 1
    kept, place = order[place <= K], place[place <= K]
    return Ranked(customer[kept], place, found[kept], score[kept])


# ---------------------------------------------------------------- the contest


def methods(recipe: Recipe, als_lists: Lists | None) -> Iterator[Method]:
    """Everybody who takes part."""
    yield Method("personal_frequency", frequency)
    half_lives = tuple({"half_life_days": float(d)} for d in (30, 60, 90, 180, 365))
    yield Method("decayed_frequency", frequency, half_lives)
    yield Method("popularity", popularity, ({"days": 2**31},))
    yield Method("recent_popularity", popularity, tuple({"days": d} for d in (7, 14, 30, 60)))
    if als_lists is not None:
        yield Method("implicit_als", als_lists, ALS)
    ridges = (10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)
    yield Method("ease", ease, tuple({"ridge": r} for r in ridges))
    for which in ("explore", "repeat", "repeat_then_explore"):
        own = (recipe.settings(),)
        yield Method(f"portrait_{which}", portrait(which), own, for_new=which == "explore")


def judged(held: Trial, method: Method, settings: Settings, new: bool) -> dict[str, float]:
    """Its figures over the customers who had bought before."""
    blocks = method.lists(held, settings, new)
    if not blocks:
        return dict.fromkeys(SHOWN, 0.0)
    truth, name = (held.bought_new, "new") if new else (held.bought_any, "all")
    figures = figures_of(held, blocks, truth, name, method.name)
    return {f.metric: f.value for f in figures if f.slice == name and f.metric in SHOWN}


def best(earlier: Trial, method: Method) -> dict[bool, Settings]:
    """The settings with the best NDCG on the earlier days, for new products and for all."""
    if len(method.grid) == 1:
        return dict.fromkeys((True, False), method.grid[0])
    tried = [
        {new: judged(earlier, method, settings, new)[SHOWN[1]] for new in (True, False)}
        for settings in method.grid
    ]
    return {
        new: method.grid[int(np.argmax([figures[new] for figures in tried]))]
        for new in (True, False)
    }


def main() -> None:
    """Choose on the earlier days, look at the last ones once."""
    if not ONLINE_RETAIL.exists():
        return
    last = date.fromisoformat(os.environ.get("LAST") or LAST)
    python = python_of("implicit")
    with tempfile.TemporaryDirectory() as name:
        folder = snapshot(Path(name) / "real", REAL, file=ONLINE_RETAIL)
        if python is None:
            contest(folder, last, None)
            return
        with als(python, Path(name)) as lists:
            contest(folder, last, lists)


def contest(folder: Path, last: date, als_lists: Lists | None) -> None:
    """Every method's figures, with the settings that it was given."""
    earlier = trial(folder, last - 2 * DAYS, last - DAYS)
    recipe = choose(earlier, domains.load().lists)
    entered = list(methods(recipe, als_lists))
    chosen = [best(earlier, method) for method in entered]
    held = trial(folder, last - DAYS, last)
    for new, what in ((False, "all"), (True, "new")):
        for method, settings in zip(entered, chosen, strict=True):
            if new and not method.for_new:
                continue
            for metric, value in judged(held, method, settings[new], new).items():
                said = {"settings": settings[new]} if metric == SHOWN[1] else {}
                show(f"real_{what}_{method.name}_{metric}", value, "share", **said)


if __name__ == "__main__":
    main()
