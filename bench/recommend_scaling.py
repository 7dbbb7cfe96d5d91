"""What ten times the customers, or ten times the products, cost: one JSON line a figure.

python -m bench.recommend_scaling

Shops of bench/recommend.py: 50,000 customers and ten times as many, 10 lines each, among 2,000
products; then 2,000 products and ten times as many in the same lines. CUSTOMERS=, PRODUCTS=, LINES=
and MAKER= as there. Each in a process of its own, three times (ROUNDS=), medians. The model is the
item-item table that serving reads; what the customers bought stands beside it as the history.
"""

import os
import statistics
import tempfile
from pathlib import Path

import numpy as np

from bench.recommend import AS_OF, apart, card, cost, made_up, peak_gib, show, warm_up
from include import recommend
from include.recommend.compiled import compile_recipe
from include.recommend.explore import explore
from include.recommend.interactions import read

USUAL = {"customers": 50_000, "products": 2000, "lines": 10}
TIMES = 10
UNITS = {"core_s": "core-s", "pairs": "pairs", "s": "s", "gib": "GiB", "mib": "MiB"}


def measured(folder: Path, maker: str, rounds: int) -> dict[str, float]:
    """What all lists of a shop cost, what three parts of it cost, and how large the model is."""
    warm_up(folder.with_name("tiny"), maker)
    recipe = recommend.Recipe.read(card(maker)["recipe"])
    costs: list[dict[str, float]] = []
    for _ in range(rounds):
        whole: dict[str, float] = {}
        with cost(whole):
            recommend.lists(folder, AS_OF, card(maker), folder)
        peak = peak_gib()
        parts: dict[str, dict[str, float]] = {"read": {}, "build": {}, "explore": {}}
        with cost(parts["read"]):
            data = read(folder, AS_OF)
        with cost(parts["build"]):
            made = compile_recipe(recipe, data)
        with cost(parts["explore"]):
            everybody = np.arange(data.shape[0])
            for _ in explore(made, data.bought, everybody, data.offered, length=5):
                pass
        costs.append(whole | {f"{name}_core_s": part["core_s"] for name, part in parts.items()})
    found = {of: statistics.median(each[of] for each in costs) for of in costs[0]}
    for name, matrix in (("model", made.weighted), ("history", made.history)):
        arrays = (matrix.data, matrix.indices, matrix.indptr)
        found[f"{name}_mib"] = sum(array.nbytes for array in arrays) / 2**20
    return found | {"peak_gib": peak, "pairs": made.history.nnz}


def main() -> None:
    """Both ways, in a folder that goes away."""
    size = {name: int(os.environ.get(name.upper()) or n) for name, n in USUAL.items()}
    maker, rounds = os.environ.get("MAKER") or "cosine", int(os.environ.get("ROUNDS") or 3)
    shops = {"usual": size} | {
        more: size | {more: TIMES * size[more]} for more in ("customers", "products")
    }
    found = {}
    for more, given in shops.items():
        with tempfile.TemporaryDirectory() as name:
            folder = made_up(Path(name) / more, **given)
            found[more] = apart(measured, folder, maker, rounds)
        for figure, value in found[more].items():
            unit = next(UNITS[end] for end in UNITS if figure.endswith(end))
            show(f"scaling_{more}_{figure}", value, unit, **given)
    for more in ("customers", "products"):
        for figure, value in found[more].items():
            ratio = value / found["usual"][figure]
            show(f"scaling_{TIMES}_times_{more}_{figure}", ratio, "ratio")


if __name__ == "__main__":
    main()
