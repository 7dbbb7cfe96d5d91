"""Which way of foreseeing publishes: the one that was nearest on a later date."""

from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from include import domains
from include.models import gate, labels
from include.models.gate import Decision, Requirement
from include.models.value import boosted, foreseen, history
from include.models.value.foreseen import FEWEST_REPEATERS, HORIZONS
from include.models.value.historic import historic

METHODS = ("historic", "bg_nbd", "boosted")  # equally near: the simplest
JUDGED_DAYS = HORIZONS[0]  # a year later is known of few shops
SHORTEST_DAYS = 90  # of history before the test day
MOST_DATES = 3  # that boosting learns from: each is a profile to work out
MOST_RANGES = 50_000  # customers whose ranges are judged: a draw of a hundred futures is dear
DIGITS = 6

Figures = dict[str, float]


@dataclass(frozen=True)
class Contest:
    """What was measured on the later date, and who publishes."""

    method: str
    outcome: Decision
    test: date | None
    learned: list[date]  # days of the boosting, newest first
    ready: list[Requirement]
    figures: dict[str, Figures] = field(default_factory=dict)  # by method

    @property
    def dates(self) -> list[date]:
        """The days that boosting learns from to publish: the test day's answers are known now."""
        return [self.test, *self.learned][:MOST_DATES] if self.test else []


def contest(folder: Path, as_of: date, *, seed: int = 0) -> Contest:
    """Foresee JUDGED_DAYS from a past day by each method and compare with what happened."""
    span = labels.span(folder, as_of)
    test = span.end - timedelta(days=JUDGED_DAYS) if span else None
    folds = labels.folds(span, JUDGED_DAYS)
    learned = folds.train[:MOST_DATES] if folds else []
    enough = test and span and (test - span.first).days >= SHORTEST_DAYS
    seen = foreseen.known(folder, test, seed=seed) if test and enough else None
    ready = [
        Requirement("history_days", JUDGED_DAYS + SHORTEST_DAYS, span.days if span else 0),
        Requirement("repeat_buyers", FEWEST_REPEATERS, _repeaters(folder, test)),
    ]
    if refusal := gate.readiness(ready):
        return Contest(METHODS[0], refusal, test, learned, ready)
    if seen is None or test is None:
        said = Decision(False, "not_ready", "too few customers without a flag of noise bought")
        return Contest(METHODS[0], said, test, learned, ready)
    did = history.spent(folder, seen.ordinary, test, JUDGED_DAYS)
    found = {METHODS[0]: past_rate(seen.profiles, test), METHODS[1]: foreseen.foresee(seen)}
    trees = boosted.learn(folder, learned, JUDGED_DAYS, seed=seed) if learned else None
    if trees is not None:
        found[METHODS[2]] = trees.foresee(seen)
    figures = {name: errors(frame.loc[seen.ordinary], did) for name, frame in found.items()}
    some = seen.ordinary[:: 1 + len(seen.ordinary) // MOST_RANGES]
    ranges = foreseen.ranges(seen.habits, seen.history.loc[some], seed=seed)
    figures[METHODS[1]] |= _covered(ranges, did.loc[some])
    method = min(figures, key=lambda name: figures[name]["rmse_revenue"])
    return Contest(method, _decision(method, figures), test, learned, ready, figures)


def errors(frame: pd.DataFrame, did: pd.DataFrame) -> Figures:
    """How far the foreseen orders and revenue of JUDGED_DAYS were from what happened."""
    found: Figures = {}
    for name in ("orders", "revenue"):
        said, true = frame[f"{name}_{JUDGED_DAYS}d"], did[name]
        varies = said.std() > 0 and true.std() > 0
        found |= {
            f"rmse_{name}": float(np.sqrt(((said - true) ** 2).mean())),
            f"mae_{name}": float((said - true).abs().mean()),
            f"correlation_{name}": float(np.corrcoef(said, true)[0, 1]) if varies else 0.0,
            f"total_{name}": float(said.sum()),
            f"actual_{name}": float(true.sum()),
        }
    return {name: round(value, DIGITS) for name, value in found.items()}


def _covered(ranges: pd.DataFrame, did: pd.DataFrame) -> Figures:
    return {
        f"covered_{name}": round(
            float(
                did[name]
                .between(
                    ranges[f"{name}_{JUDGED_DAYS}d_low"], ranges[f"{name}_{JUDGED_DAYS}d_high"]
                )
                .mean()
            ),
            DIGITS,
        )
        for name in ("orders", "revenue")
    }


def _decision(method: str, figures: dict[str, Figures]) -> Decision:
    said = ", ".join(f"{name} {figures[name]['rmse_revenue']:.4g}" for name in figures)
    reason = f"{method} publishes; RMSE of the revenue of {JUDGED_DAYS} days: {said}"
    return Decision(True, "promoted", reason)  # the past rate, too, is a method that was measured


def past_rate(profiles: pd.DataFrame, day: date) -> pd.DataFrame:
    """The baseline in the columns of the others."""
    gap = float(domains.load().churn_window_days)
    parts = [historic(profiles, day, days=days, fallback_gap_days=gap) for days in HORIZONS]
    found = {"prob_alive": parts[0]["prob_alive"]}
    for days, part in zip(HORIZONS, parts, strict=True):
        found |= {f"orders_{days}d": part["orders"], f"revenue_{days}d": part["revenue"]}
    return pd.DataFrame(found)


def _repeaters(folder: Path, day: date | None) -> int:
    return 0 if day is None else int((history.history(folder, day)["repeats"] > 0).sum())
