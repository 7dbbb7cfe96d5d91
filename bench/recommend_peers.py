"""How fast everybody is served, beside other libraries: one JSON line a figure.

python -m bench.recommend_peers

The 20 best places for each of the 29,858 users of ../shared/data/gowalla, none of them visited,
from what was fitted before. All are asked in turn, ROUNDS= times (5) after one that is not counted,
on two threads each; medians. A ratio is the median of those of the same round. Core-seconds count:
other work beside them costs seconds.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from bench._peers import Peer, python_of
from bench.recommend import show
from include.recommend import kernel
from include.recommend.compiled import Compiled, compile_recipe
from include.recommend.explore import Ranked, explore
from include.recommend.interactions import Interactions, of_pairs
from include.recommend.judge import by_customer
from include.recommend.recipe import Recipe

GOWALLA = Path(__file__).parents[2] / "shared/data/gowalla"
K = 20
TABLES = (100, 50)  # neighbours of an item
ALS = {"factors": 64, "alpha": 40, "regularization": 4, "iterations": 10}
LIBRARIES = ("implicit", "rectools")
Cost = dict[str, float]
Serve = Callable[[], tuple[Any, Cost]]  # lists of some kind, and what they cost


def table(data: Interactions, neighbours: int) -> Compiled:
    """The spectral table, nothing beside it: neither words nor time are known here."""
    recipe = Recipe(maker="spectral", neighbours=neighbours, content_weight=0.0, cold_buyers=0,
                    lift=0.0, popularity_weight=1e-6)  # fmt: skip
    return compile_recipe(recipe, data)


def pruned(made: Compiled, neighbours: int) -> Compiled:
    """The same with fewer neighbours: the strongest of the strongest."""
    width = made.table.shape[0]
    kept = kernel.strongest(lambda a, b: made.table[a:b].toarray(), width, neighbours)
    return replace(made, table=kept, by_content=np.zeros(kept.nnz, dtype=bool))


def portrait(made: Compiled, data: Interactions) -> Serve:
    """The explore lists of all, in this process."""
    everybody = np.arange(data.shape[0])

    def serve() -> tuple[list[Ranked], Cost]:
        seconds, core = time.perf_counter(), time.process_time()
        lists = list(explore(made, data.bought, everybody, data.offered, length=K))
        core, seconds = time.process_time() - core, time.perf_counter() - seconds
        return lists, {"core_s": core, "wall_s": seconds}

    return serve


def blocks(lists: Any) -> list[Ranked]:
    """The lists as ``by_customer`` takes them."""
    if isinstance(lists, list):
        return lists
    row, place = np.nonzero(lists >= 0)
    return [Ranked(row, place + 1, lists[row, place].astype(np.int64), np.zeros(len(row)))]


def recall(lists: Any, truth: sparse.csr_array) -> float:
    """Recall@20 over who has something to be found."""
    found: NDArray[np.float64] = by_customer(blocks(lists), truth, K)["recall"]
    return float(found[np.diff(truth.indptr) > 0].mean())


def entered(data: Interactions, scratch: Path, stack: ExitStack) -> Iterator[tuple[str, Serve]]:
    """Everybody who takes part, fitted."""
    widest = table(data, max(TABLES))
    for neighbours in TABLES:
        yield f"portrait_{neighbours}", portrait(pruned(widest, neighbours), data)
    for library in LIBRARIES:
        if python := python_of(library):
            peer = Peer(library, python, data.bought, scratch / library)
            stack.callback(peer.close)
            cost = peer.fit(**ALS)
            show(f"serve_{library}_als_64_fit", cost["core_s"], "core-s")
            yield f"{library}_als_64", lambda peer=peer: peer.lists(K, new=True)


def main() -> None:
    """In turn, then the medians."""
    if not GOWALLA.exists():
        return
    train, test = (pd.read_parquet(GOWALLA / f"{part}.parquet") for part in ("train", "test"))
    both = pd.concat([train, test])
    shape = int(both["user"].max()) + 1, int(both["item"].max()) + 1
    user, item = (train[name].to_numpy(np.int64) for name in ("user", "item"))
    data = of_pairs(shape, user, item, np.zeros(len(train), np.int64))
    cells = np.ones(len(test)), (test["user"], test["item"])
    truth = sparse.csr_array(sparse.coo_array(cells, shape=shape).tocsr())
    rounds = int(os.environ.get("ROUNDS") or 5)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        serves = dict(entered(data, Path(name), stack))
        for who, serve in serves.items():
            show(f"serve_{who}_recall@{K}", recall(serve()[0], truth), "share")
        costs = [{who: serve()[1] for who, serve in serves.items()} for _ in range(rounds)]
    tell(costs, shape[0])


def tell(costs: list[dict[str, Cost]], users: int) -> None:
    """Users a core-second and a second, and how many times those of each library."""
    for who in costs[0]:
        core, wall = ([users / cost[who][of] for cost in costs] for of in ("core_s", "wall_s"))
        spread = {"least": round(min(core)), "most": round(max(core)), "rounds": len(core)}
        show(f"serve_{who}", statistics.median(core), "users/core-s", **spread)
        show(f"serve_{who}_wall", statistics.median(wall), "users/s")
    ours = [who for who in costs[0] if who.startswith("portrait")]
    for other in [who for who in costs[0] if who not in ours]:
        for who in ours:
            ratios = [cost[other]["core_s"] / cost[who]["core_s"] for cost in costs]
            show(f"serve_{who}_over_{other}", statistics.median(ratios), "ratio")


if __name__ == "__main__":
    main()
