"""Choose the recipe on an earlier window, judge it on the last one, and let the gate decide."""

import hashlib
import importlib.metadata
import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import date, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import psycopg

from include import domains, snapshot
from include.domains import Lists
from include.errors import InputError
from include.models import gate, registry
from include.models.base import single_thread
from include.recommend.compiled import Compiled, compile_recipe
from include.recommend.interactions import Interactions
from include.recommend.judge import (
    Figure,
    K,
    Trial,
    baselines,
    explore_ndcg,
    judge_explore,
    judge_repeat,
    trial,
)
from include.recommend.makers import GRID
from include.recommend.recipe import Recipe

log = logging.getLogger(__name__)

MODEL = "recommend"
CHOSEN_BY = f"ndcg@{K}"
BASELINE = {"explore": "recent_popularity", "repeat": "personal_frequency"}
Judge = Callable[[Trial, Compiled, str], list[Figure]]
LIBRARIES = ("numpy", "scipy", "scikit-learn")
BESIDE = (0.3, 1.0, 3.0)  # weights of a second maker that are tried
PRIOR = 100.0  # purchases of all beside those of a customer's group
RETURNING = 0.2  # power of the share of a product's buyers who come back
CUSTOMERS_NEEDED = 30  # with a history and a new product, in each of the two windows
CUSTOMERS_TRIED = 10_000  # when choosing; the last window is judged on all


def train(db: psycopg.Connection[Any], folder: Path, *, as_of: date, run_id: str) -> dict[str, Any]:
    """Choose and judge a recipe, record the run, and say what came of it.

    The champion's own recipe is judged on the same days as the challenger's. No better than recent
    popularity and no champion: the lists stay with popularity, and the reason says so.

    Returns
    -------
    model_version, promoted, decision, reason. The same input is the same version: training again
    gives what was decided then. A repeat list that is not better than plain personal frequency on
    the last window gives way to it; that is no matter for the gate.
    """
    shop = domains.load().lists
    days = timedelta(shop.test_days)
    test = trial(folder, as_of - days, as_of)
    version = _version(as_of, shop, test)
    if known := registry.decision(db, version):
        return registry.summary(version, known)
    earlier = trial(folder, as_of - 2 * days, as_of - days, most=CUSTOMERS_TRIED)
    ready = _requirements(test, earlier)
    window = f"chosen on the {shop.test_days} days from {as_of - 2 * days}, judged on those after"
    outcome, recipe, words = gate.readiness(ready), None, None
    metrics: list[registry.Metric] = []
    if outcome is None:
        recipe, words = _never_below(test, choose(earlier, shop), shop)
        outcome, metrics = _judged(test, recipe, _champion(db, as_of), shop)
        outcome = replace(outcome, reason=f"{outcome.reason}; repeat list: {words}")
    run = registry.ModelRun(
        model=MODEL,
        model_version=version,
        as_of=as_of,
        window=window,
        card=_card(recipe, test, folder) | {"repeat": words},
        artifact=None,
        metrics=metrics,
        readiness=ready,
        promoted=outcome.promoted,
        decision=outcome.decision,
        reason=outcome.reason,
    )
    registry.record(db, run, run_id=run_id)
    return registry.summary(version, outcome)


def _requirements(test: Trial, earlier: Trial) -> list[gate.Requirement]:
    """How many customers with a history bought something new to them, in each window."""
    found = {"test": test.with_history, "choosing": earlier.with_history}
    return [
        gate.Requirement(f"{name}_customers_with_new_product", CUSTOMERS_NEEDED, count)
        for name, count in found.items()
    ]


def choose(held: Trial, shop: Lists) -> Recipe:
    """The recipe with the best explore NDCG on ``held``, then its best repeat settings.

    First the makers with each of their settings, then two beside each other, then what surrounds
    the best: a search line by line, since the full grid costs ten times as much.
    """
    start = Recipe.popular(shop)
    best = blended(held, makers(held, start))
    around = product((0.0, 0.5, 1.0), (0.0, 2.0, 5.0))
    best = _best(held, (replace(best, content_weight=c, lift=a) for c, a in around), judge_explore)
    half_lives = (30.0, 90.0, 365.0)
    best = _best(held, (replace(best, history_half_life_days=h) for h in half_lives), judge_explore)
    best = _best(held, [replace(best, group_prior=PRIOR), best], judge_explore, value=_of_all)
    return best.with_repeat(repeating(held, start))


def repeating(held: Trial, start: Recipe) -> Recipe:
    """``start``, which repeats by frequency alone, or the best of what is tried instead.

    First how orders age and what sells of late, then how much being due says.
    """
    around = product((90.0, 365.0), (0.0, 2.0, 5.0))
    tuned = [replace(start, repeat_half_life_days=h, repeat_lift=a, returning=RETURNING)
             for h, a in around]  # fmt: skip
    best = _best(held, [start, *tuned], judge_repeat)
    return _best(held, [best, *(replace(best, cadence=c) for c in (0.5, 2.0))], judge_repeat)


def makers(held: Trial, start: Recipe, k: int = K) -> list[Recipe]:
    """Each maker with the best of its settings, the best maker first; of equals the first."""
    found = []
    for name in GRID:
        settings = [replace(start, maker=name, parameters=each) for each in GRID[name]]
        found.append(max(_scored(held, settings, k), key=lambda pair: pair[0]))
        log.info(
            "maker %s: %s@%d %.4f by %s", name, "ndcg", k, found[-1][0], found[-1][1].parameters
        )
    return [recipe for _, recipe in sorted(found, key=lambda pair: -pair[0])]


def blended(held: Trial, ranked: list[Recipe], k: int = K) -> Recipe:
    """The best of ``makers``, alone or with another one beside it."""
    best, *others = ranked
    pairs = [
        replace(best, beside=o.maker, beside_parameters=o.parameters, beside_weight=weight)
        for o in others
        if "content" not in (best.maker, o.maker)  # it stands beside all others as it is
        for weight in BESIDE
    ]
    return max(_scored(held, [best, *pairs], k), key=lambda pair: pair[0])[1]


def _scored(held: Trial, recipes: Iterable[Recipe], k: int) -> list[tuple[float, Recipe]]:
    """The explore NDCG of each recipe."""
    return [
        (_value(judge_explore(held, compile_recipe(each, held.data), "", k), f"ndcg@{k}"), each)
        for each in recipes
    ]


def _never_below(test: Trial, recipe: Recipe, shop: Lists) -> tuple[Recipe, str]:
    """The recipe, its repeat list plain unless better on the last window; and which, in words.

    The gate compares explore lists alone: without this a repeat list could be published that is
    below its baseline.
    """
    plain = Recipe.popular(shop)
    tuned = plain.with_repeat(recipe)
    if tuned == plain:
        return recipe, "plain personal frequency, which nothing tried was better than"
    own, other = (
        _value(judge_repeat(test, compile_recipe(made, test.data), ""), CHOSEN_BY)
        for made in (plain, tuned)
    )
    figures = f"({other:.4f} against {own:.4f})"
    if other > own:
        return recipe, f"tuned, beats personal frequency {figures}"
    words = f"plain personal frequency: the tuned one is not better {figures}"
    return recipe.with_repeat(plain), words


def _best(
    held: Trial,
    recipes: Iterable[Recipe],
    judge: Judge,
    *,
    value: Callable[[Iterable[Figure], str], float] | None = None,
) -> Recipe:
    """The recipe with the highest ``value`` (default: ``_value``); the first of equals."""
    of = value or _value
    scored = [
        (of(judge(held, compile_recipe(recipe, held.data), ""), CHOSEN_BY), recipe)
        for recipe in recipes
    ]
    return max(scored, key=lambda pair: pair[0])[1]


def _value(figures: Iterable[Figure], metric: str) -> float:
    """The figure over all customers with a history; 0 when nobody could be judged."""
    return next((f.value for f in figures if f.metric == metric and f.slice in BASELINE), 0.0)


def _of_all(figures: Iterable[Figure], metric: str) -> float:
    """The explore figure over all customers, those without a history among them."""
    wanted = {"explore", "explore history=0"}
    found = [f for f in figures if f.metric == metric and f.slice in wanted]
    return sum(f.value * f.customers for f in found) / max(1, sum(f.customers for f in found))


def _champion(db: psycopg.Connection[Any], as_of: date) -> Recipe | None:
    """The recipe in use, or None when there is none that this version understands."""
    champion = registry.champion(db, MODEL, as_of=as_of)
    if champion is None or not champion.card.get("recipe"):
        return None
    try:
        return Recipe.read(champion.card["recipe"])
    except InputError as error:
        log.warning("%s cannot be compared: %s", champion.model_version, error)
        return None


def _judged(
    test: Trial, recipe: Recipe, champion: Recipe | None, shop: Lists
) -> tuple[gate.Decision, list[registry.Metric]]:
    """The gate's word on the last window, and every figure beside its baseline."""
    obvious = {(f.method, f.slice, f.metric): f.value for f in baselines(test, shop)}
    made = compile_recipe(recipe, test.data)
    figures = judge_explore(test, made, MODEL) + judge_repeat(test, made, MODEL)
    outcome, intervals = _gated(test, recipe, champion, shop)
    metrics = [
        registry.Metric(
            "test",
            f.metric,
            f.slice,
            f.value,
            obvious.get((BASELINE[f.slice.split()[0]], f.slice, f.metric)),
        )
        for f in figures
    ]
    return outcome, [*metrics, *intervals]


def _gated(
    test: Trial, recipe: Recipe, champion: Recipe | None, shop: Lists
) -> tuple[gate.Decision, list[registry.Metric]]:
    """Explore lists against popularity, of late and ever, and against those of the champion."""
    rivals = {"challenger": recipe, "recent popularity": Recipe.popular(shop)}
    rivals["popularity"] = Recipe(popularity_days=2**31)
    if champion is not None:
        rivals["champion"] = champion
    gains = {
        name: explore_ndcg(test, compile_recipe(each, test.data)) for name, each in rivals.items()
    }
    statistics = {name: gate.mean(each) for name, each in gains.items()}
    with single_thread():
        found = gate.measured(statistics, len(gains["challenger"]), seed=0)
    obvious = {name: found[name] for name in ("recent popularity", "popularity")}
    said = gate.decide(found["challenger"], found.get("champion"), obvious)
    outcome = replace(said, reason=f"NDCG@{K} {said.reason}")
    return outcome, registry.intervals(CHOSEN_BY, found, slice_="explore")


def _card(recipe: Recipe | None, test: Trial, folder: Path) -> dict[str, Any]:
    """What was made and of what; ``recipe`` None: nothing could be chosen."""
    return {
        "recipe": None if recipe is None else recipe.settings(),
        "chosen_by": CHOSEN_BY,
        "baseline": BASELINE,
        "otherwise": "without a champion the lists are their baselines",
        "customers": test.data.shape[0],
        "products": test.data.shape[1],
        "purchases": len(test.data.customer),
        "left_out": {flag: int(held.sum()) for flag, held in test.data.noise.items()},
        "snapshot": str(folder),
        "known": snapshot.knowledge(folder),
        "libraries": {name: importlib.metadata.version(name) for name in LIBRARIES},
    }


def _version(as_of: date, shop: Lists, test: Trial) -> str:
    """The version's name: a hash of the purchases before and in the window, and of all settings."""
    return registry.version(
        MODEL,
        as_of,
        window=shop.test_days,
        rows=_digest(test.data),
        later=hashlib.sha256(test.bought_any.indices.tobytes()).hexdigest(),
        features=sorted(test.data.features),
        parameters={"grid": {name: list(GRID[name]) for name in GRID}, "shop": shop.model_dump()},
        libraries={name: importlib.metadata.version(name) for name in LIBRARIES},
    )


def _digest(data: Interactions) -> str:
    """A hash of everything that a recipe may look at."""
    digest = hashlib.sha256()
    for numbers in (data.customers, data.customer, data.product, data.basket, data.age_days,
                    data.offered, data.seen, data.left_out):  # fmt: skip
        digest.update(numbers.tobytes())
    for texts in (data.products, data.names, *data.features.values()):
        digest.update("\0".join(map(str, texts)).encode())
    return digest.hexdigest()
