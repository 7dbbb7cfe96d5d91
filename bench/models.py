"""What a fit, the scores and the reasons cost: core-seconds and peak memory, a JSON line each.

python bench/models.py [ALGORITHM ...]  (logistic and boosting when none is named)

Profiles of 80 features are drawn, one in twelve of them with gaps. 500,000 customers give at most
``train.MOST_ROWS`` rows to learn from; 1,000,000 are scored and 100,000 explained, in parts.
"""

import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from include.models import ALGORITHMS, base
from include.models.churn import Churn
from include.models.reasons import contributions
from include.models.train import MOST_ROWS

CUSTOMERS, SCORED, EXPLAINED, PART = 500_000, 1_000_000, 100_000, 100_000
FEATURES = 80


def profiles(rows: int, seed: int) -> pd.DataFrame:
    """Skewed numbers; every twelfth feature has gaps."""
    draw = np.random.default_rng(seed)
    frame = pd.DataFrame(draw.lognormal(3, 1, (rows, FEATURES)), columns=names())
    for name in frame.columns[::12]:
        frame.loc[draw.random(rows) < 0.2, name] = np.nan
    return frame.assign(**{name: draw.choice(["low", "high"], rows) for name in base.groups()})


def names() -> list[str]:
    """The features that there are, and made-up ones to 80."""
    known = CONTRACT()[:FEATURES]
    return [*known, *(f"more_{number}" for number in range(FEATURES - len(known)))]


def labels(frame: pd.DataFrame) -> pd.Series:
    """Decided by two features, and by chance."""
    raw = np.log(frame[names()[1]]) - np.log(frame[names()[2]])
    chance = np.random.default_rng(0).logistic(size=len(frame))
    return (raw + chance > 0).astype("int64")


def measured(what: str, algorithm: str, work: Callable[[], Any]) -> Any:
    """Run it and print what it cost."""
    wall, core = time.monotonic(), time.process_time()
    result = work()
    figures = {
        "what": what,
        "algorithm": algorithm,
        "core_s": round(time.process_time() - core, 1),
        "wall_s": round(time.monotonic() - wall, 1),
        "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    }
    print(json.dumps(figures), flush=True)
    return result


def parts(rows: int) -> Iterator[pd.DataFrame]:
    """One part again and again: drawing is not what is measured."""
    part = profiles(PART, seed=1)
    for _ in range(rows // PART):
        yield part


def main(algorithms: list[str]) -> None:
    """Fit, score and explain by each algorithm."""
    base.features = names
    given = profiles(min(CUSTOMERS, MOST_ROWS), seed=0)
    answers = labels(given)
    for name in algorithms:
        model = Churn(name)
        fit = f"fit {len(given)} x {FEATURES}"
        measured(fit, name, lambda model=model: model.fit(given, answers, seed=0))
        measured(
            f"score {SCORED}",
            name,
            lambda model=model: [model.score(part) for part in parts(SCORED)],
        )
        if not contributions(model.pipeline, given.head(9)).empty:
            measured(
                f"explain {EXPLAINED}",
                name,
                lambda model=model: [
                    contributions(model.pipeline, part) for part in parts(EXPLAINED)
                ],
            )


CONTRACT = base.features

if __name__ == "__main__":
    unknown = set(sys.argv[1:]) - set(ALGORITHMS)
    if unknown:
        sys.exit(f"bench: {', '.join(unknown)} is unknown; known: {', '.join(ALGORITHMS)}")
    main(sys.argv[1:] or ["logistic", "boosting"])
