"""The recommenders on purchases that nobody here made: ``make evaluate-recommender TRAIN= TEST=``.

Everything is chosen on a cut of TRAIN: its latest fifth where a ``time`` column says so, else a
fifth of what each user has. TEST is looked at once, by what was chosen.
"""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from include.errors import InputError
from include.recommend.compiled import compile_recipe
from include.recommend.interactions import Interactions, of_pairs
from include.recommend.judge import Trial, explored, figures_of
from include.recommend.recipe import Recipe
from include.recommend.training import CUSTOMERS_TRIED, blended, makers

NAMES = ("TRAIN", "TEST", "K", "NEIGHBOURS", "OUT")
MOST = {"K": 1000, "NEIGHBOURS": 10_000}
CUT = 0.2  # of TRAIN, on which everything is chosen
PUBLISHED = {"leading": 512, "customer_power": 0.5, "plateau": 1.5, "pull": 0.2, "popularity": 0.4}
"""Of ChebyCF on Gowalla (Kim et al., arXiv 2505.00552): a line of its own, not a choice."""
DAY_S = 86_400

Ints = NDArray[np.int64]


def evaluate_recommender() -> None:
    """Choose on a cut of TRAIN and print a line of figures on TEST for each method."""
    given = {name: os.environ.get(name) or "" for name in NAMES}
    if not given["TRAIN"] or not given["TEST"]:
        raise InputError(
            "evaluate-recommender: give TRAIN= and TEST=, each a Parquet or CSV file of user, item"
        )
    k, neighbours = _count("K", given, 20), _count("NEIGHBOURS", given, 200)
    train, test = (_read(Path(given[name])) for name in ("TRAIN", "TEST"))
    _comparable(train, test)
    for line, lists in judged(train, test, k, neighbours):
        print(json.dumps(line), flush=True)
        if given["OUT"] and lists is not None:
            lists.to_parquet(given["OUT"], index=False)


def _count(name: str, given: dict[str, str], usual: int) -> int:
    text = given[name] or str(usual)
    if not text.isdecimal() or not 1 <= int(text) <= MOST[name]:
        raise InputError(
            f"evaluate-recommender: {name}={text} must be a number from 1 to {MOST[name]}"
        )
    return int(text)


def _read(path: Path) -> pd.DataFrame:
    if not path.exists():
        raise InputError(f"evaluate-recommender: {path} is not there")
    frame = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    if missing := [name for name in ("user", "item") if name not in frame]:
        raise InputError(
            f"evaluate-recommender: {path.name} has no column {', '.join(missing)}; "
            f"it has {', '.join(map(str, frame.columns))}"
        )
    frame = frame.dropna(subset=["user", "item"])
    if frame.empty:
        raise InputError(f"evaluate-recommender: {path.name} has no row with user and item")
    return frame


def _comparable(train: pd.DataFrame, test: pd.DataFrame) -> None:
    """Refuse ids of which one cannot say whether they are the same."""
    for name in ("user", "item"):
        kinds = [pd.api.types.infer_dtype(frame[name]) for frame in (train, test)]
        if kinds[0] != kinds[1] or "mixed" in kinds[0]:
            raise InputError(
                f"evaluate-recommender: {name} is {kinds[0]} in TRAIN and {kinds[1]} in TEST; "
                "write it as one type"
            )


def judged(
    train: pd.DataFrame, test: pd.DataFrame, k: int, neighbours: int
) -> Iterator[tuple[dict[str, Any], pd.DataFrame | None]]:
    """Yield a line of figures a method, the chosen one last with its ranked lists.

    Parameters
    ----------
    train, test : user, item and, in ``train``, perhaps time; pairs of both count in ``train`` only.
    k : places a list.
    neighbours : entries a row of the item-item tables, at most.
    """
    users, items = (pd.Index(np.unique(pd.concat([train[c], test[c]]))) for c in ("user", "item"))
    shape = len(users), len(items)
    rows, columns = users.get_indexer(train["user"]), items.get_indexer(train["item"])
    age_days = _ages(train)
    kept = _kept(rows, age_days)
    start = Recipe(neighbours=neighbours, content_weight=0.0, cold_buyers=0, lift=0.0,
                   popularity_weight=1e-6)  # fmt: skip
    began = time.process_time()
    known = of_pairs(shape, rows[kept], columns[kept], age_days[kept])
    earlier = _held(known, rows[~kept], columns[~kept], CUSTOMERS_TRIED)
    ranked = [each for each in makers(earlier, start, k) if each.maker != "content"]
    chosen = blended(earlier, ranked, k)
    del earlier
    yield {"users": shape[0], "items": shape[1], "train": len(train), "test": len(test), "k": k,
           "chosen": chosen.maker, "beside": chosen.beside,
           "core_s": round(time.process_time() - began, 1)}, None  # fmt: skip
    whole = of_pairs(shape, rows, columns, age_days)
    held = _held(whole, users.get_indexer(test["user"]), items.get_indexer(test["item"]))
    if not len(held.sample):
        raise InputError(
            "evaluate-recommender: no user of TEST has an item that TRAIN lacks; "
            "give purchases that came later"
        )
    methods = {"popularity": start} | {str(each.maker): each for each in ranked}
    methods["spectral, as published"] = replace(start, maker="spectral", parameters=PUBLISHED)
    for name, recipe in [*methods.items(), ("chosen", chosen)]:
        line, lists = _measured(held, recipe, name, k)
        yield line, _named(lists, users, items) if name == "chosen" else None


def _ages(train: pd.DataFrame) -> Ints:
    """Days before the newest purchase; 0 for all without a time."""
    if "time" not in train:
        return np.zeros(len(train), dtype=np.int64)
    if pd.api.types.is_numeric_dtype(train["time"]):
        days = train["time"].to_numpy(dtype="float64") / DAY_S
    else:
        moments = pd.to_datetime(train["time"], utc=True)
        days = ((moments - moments.min()).dt.total_seconds() / DAY_S).to_numpy()
    ages: Ints = np.floor(days.max() - days).astype(np.int64)
    return ages


def _kept(users: Ints, age_days: Ints) -> NDArray[np.bool_]:
    """What is learned from while choosing: not the latest fifth, or not a fifth of each user's.

    Without times, or with more than half of all on the newest days, it is of each user's.
    """
    earlier = np.asarray(age_days > np.quantile(age_days, CUT, method="lower"))
    if earlier.mean() >= 0.5:
        return earlier
    drawn = np.lexsort((np.random.default_rng(0).random(len(users)), users))
    counts = np.bincount(users)
    place = np.arange(len(users)) - np.repeat(np.cumsum(counts) - counts, counts)
    kept = np.ones(len(users), dtype=bool)
    kept[drawn] = place >= np.floor(counts[users[drawn]] * CUT)
    return kept


def _held(data: Interactions, users: Ints, items: Ints, most: int | None = None) -> Trial:
    """What was bought later, judged on at most so many users, evenly spread."""
    cells = np.ones(len(users)), (users, items)
    later = sparse.csr_array(sparse.coo_array(cells, shape=data.shape).tocsr())
    later.data[:] = 1
    later = sparse.csr_array(later - later.multiply(data.bought))
    later.eliminate_zeros()
    sample = np.flatnonzero(np.diff(later.indptr) > 0)
    if most is not None and len(sample) > most:
        sample = sample[np.linspace(0, len(sample) - 1, most).astype(np.int64)]
    return Trial(data, later, later, sample)


def _measured(held: Trial, recipe: Recipe, name: str, k: int) -> tuple[dict[str, Any], list[Any]]:
    """Every figure of one method, and its lists."""
    began = time.process_time()
    fresh = replace(held.data, kept={})  # makers' tables are made once: here their cost is shown
    made = compile_recipe(recipe, fresh)
    built = time.process_time()
    lists = explored(held, made, k)
    served = time.process_time()
    figures = figures_of(held, lists, held.bought_new, "explore", name, k)
    values = {f.metric: round(f.value, 5) for f in figures if f.slice == "explore"}
    return {
        "method": name,
        "parameters": recipe.parameters,
        **({"beside": recipe.beside, "weight": recipe.beside_weight} if recipe.beside else {}),
        **values,
        "table_core_s": round(built - began, 1),
        "users_per_core_s": round(len(held.sample) / max(1e-9, served - built)),
    }, lists


def _named(lists: list[Any], users: pd.Index, items: pd.Index) -> pd.DataFrame:
    """The lists with the names of the files: user, item, rank."""
    joined = {name: np.concatenate([getattr(block, name) for block in lists])
              for name in ("customer", "product", "rank")}  # fmt: skip
    return pd.DataFrame({"user": users[joined["customer"]], "item": items[joined["product"]],
                         "rank": joined["rank"]})  # fmt: skip
