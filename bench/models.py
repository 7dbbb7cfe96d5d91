"""What a fit, the scores and the reasons cost: core-seconds and peak memory, a JSON line each.

python -m bench.models [ALGORITHM ...]  (logistic and boosting when none is named)
python -m bench.models segments [ALGORITHM ...]  (all that there are when none is named)

Profiles of 80 features are drawn, one in twelve of them with gaps. 500,000 customers give at most
``challenge.MOST_ROWS`` rows to learn from; 1,000,000 are scored and 100,000 explained, in parts.

Segments: 1,000,000 customers (CUSTOMERS= changes it) of the shop of ``bench.train``, trained and
assigned end to end by each algorithm, each in a process and a database of its own.
"""

import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psycopg

from bench import train as shop
from include import profile
from include.models import ALGORITHMS, base, groupings, segments
from include.models.challenge import MOST_ROWS
from include.models.churn import Churn
from include.models.reasons import contributions

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


def train_segments(url: str, folder: Path, algorithm: str) -> dict[str, Any]:
    """Find segments, and say what was decided."""
    with psycopg.connect(url) as db:
        made = segments.train(db, folder, as_of=shop.AS_OF, run_id="bench", algorithm=algorithm)
        [learned] = db.execute("SELECT card -> 'made_of' -> 'rows' FROM ops.model_version")
    return {"rows": learned[0], "decision": made["decision"], "reason": made["reason"]}


def assign_segments(url: str, folder: Path, algorithm: str) -> dict[str, Any]:
    """Put everybody into a segment; where the gate refused, into the groups of RFM."""
    with psycopg.connect(url) as db:
        found = segments.assign(db, folder, shop.AS_OF, folder)
    return {"rows": found["customers"], "segments": found["segments"], "algorithm": algorithm}


def write_profile(folder: Path) -> dict[str, Any]:
    """Work out the profile that all of them learn from."""
    return {"rows": profile.customers(profile.compute(folder, shop.AS_OF))}


def compare_segments(algorithms: list[str]) -> None:
    """Train and assign by each algorithm, on the same customers."""
    customers = int(os.environ.get("CUSTOMERS") or SCORED)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "shop"
        shop.show("segments_shop", **shop.measured(shop.write_shop, folder, customers))
        shop.measured(write_profile, folder)
        for name in algorithms:
            with shop.database(Path(scratch)) as url:
                for what, work in {"train": train_segments, "assign": assign_segments}.items():
                    found = shop.measured(work, url, folder, name)
                    shop.show(f"segments_{what}", **{"algorithm": name, **found})


CONTRACT = base.features

if __name__ == "__main__":
    of_segments = sys.argv[1:2] == ["segments"]
    known, asked = ALGORITHMS, sys.argv[1:]
    if of_segments:
        known, asked = groupings.ALGORITHMS, sys.argv[2:]
    if unknown := set(asked) - set(known):
        sys.exit(f"bench: {', '.join(unknown)} is unknown; known: {', '.join(known)}")
    if of_segments:
        compare_segments(asked or list(known))
    else:
        main(asked or ["logistic", "boosting"])
