"""Which way of foreseeing publishes: one that was really nearest on a later date.

Decided by 90 days, whose answers any shop of half a year knows. Where the history suffices, each
method is also held against the last 365 days, as it would have foreseen them a year ago.
"""

from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from include import domains
from include.models import gate, labels
from include.models.base import single_thread
from include.models.gate import Decision, Requirement
from include.models.labels import Span
from include.models.value import boosted, foreseen, history
from include.models.value.foreseen import FEWEST_REPEATERS, HORIZONS, Known
from include.models.value.historic import historic

METHODS = ("historic", "bg_nbd", "boosted")  # equally near: the simplest
MEAN = "mean"  # that every customer does the same: shown beside the methods, never publishes
JUDGED_DAYS, YEAR_DAYS = HORIZONS  # a year later is known of few shops
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
    figures: dict[str, Figures] = field(default_factory=dict)  # by method, and of MEAN
    year: date | None = None  # the day from which a year ahead was judged
    judged: pd.DataFrame | None = field(default=None, compare=False, repr=False)
    """The ordinary customers of the test day: the revenue of JUDGED_DAYS that each method foresaw
    (a column a method, and MEAN) and the one that came (``revenue``). Too much for the card."""

    @property
    def dates(self) -> list[date]:
        """The days that boosting learns from to publish: the test day's answers are known now."""
        return [self.test, *self.learned][:MOST_DATES] if self.test else []


def contest(folder: Path, as_of: date, *, champion: str | None = None, seed: int = 0) -> Contest:
    """Foresee JUDGED_DAYS from a past day by each method and compare with what happened.

    ``champion`` is the method that an earlier training chose; without any, and without a decision
    here, values come from the past rate.
    """
    span = labels.span(folder, as_of)
    test = span.end - timedelta(days=JUDGED_DAYS) if span else None
    folds = labels.folds(span, JUDGED_DAYS)
    learned = folds.train[:MOST_DATES] if folds else []
    seen = _known(folder, span, test, seed)
    ready = [
        Requirement("history_days", JUDGED_DAYS + SHORTEST_DAYS, span.days if span else 0),
        Requirement("repeat_buyers", FEWEST_REPEATERS, _repeaters(folder, test)),
    ]
    if refusal := gate.readiness(ready):
        return Contest(METHODS[0], refusal, test, learned, ready)
    if span is None or seen is None or test is None:
        said = Decision(False, "not_ready", "too few customers without a flag of noise bought")
        return Contest(METHODS[0], said, test, learned, ready)
    found = _by_method(folder, test, seen, learned, seed)
    did = history.spent(folder, seen.ordinary, test, JUDGED_DAYS)
    figures = _figures(found, did, JUDGED_DAYS)
    figures[METHODS[1]] |= _covered(seen, did, JUDGED_DAYS, seed)
    judged = pd.DataFrame({name: frame[f"revenue_{JUDGED_DAYS}d"] for name, frame in found.items()})
    judged["revenue"] = did["revenue"]
    method, outcome, how_sure = _decision(judged, champion, seed)
    figures = {name: said | how_sure.get(name, {}) for name, said in figures.items()}
    year, later = _a_year_ago(folder, span, seed)
    figures = {name: said | later.get(name, {}) for name, said in figures.items()}
    return Contest(method, outcome, test, learned, ready, figures, year, judged)


def _known(folder: Path, span: Span | None, day: date | None, seed: int) -> Known | None:
    """What is known on a day; None where too little happened before it."""
    if span is None or day is None or (day - span.first).days < SHORTEST_DAYS:
        return None
    return foreseen.known(folder, day, seed=seed)


def _by_method(
    folder: Path, day: date, seen: Known, learned: list[date], seed: int
) -> dict[str, pd.DataFrame]:
    """What each method foresees on a day of each ordinary customer, and what MEAN does."""
    found = {METHODS[0]: past_rate(seen.profiles, day), METHODS[1]: foreseen.foresee(seen)}
    trees = boosted.learn(folder, learned, JUDGED_DAYS, seed=seed) if learned else None
    if trees is not None:
        found[METHODS[2]] = trees.foresee(seen)
    found[MEAN] = everybody_alike(folder, seen.ordinary, day)
    return {name: frame.loc[seen.ordinary] for name, frame in found.items()}


def _a_year_ago(folder: Path, span: Span, seed: int) -> tuple[date | None, dict[str, Figures]]:
    """Each method's figures of YEAR_DAYS, had it published a year before the end of the orders."""
    day = span.end - timedelta(days=YEAR_DAYS)
    seen = _known(folder, span, day, seed)
    if seen is None:
        return None, {}
    folds = labels.folds(Span(span.first, day), JUDGED_DAYS)
    learned = [folds.test, *folds.train][:MOST_DATES] if folds else []
    found = _by_method(folder, day, seen, learned, seed)
    did = history.spent(folder, seen.ordinary, day, YEAR_DAYS)
    figures = _figures(found, did, YEAR_DAYS)
    figures[METHODS[1]] |= _covered(seen, did, YEAR_DAYS, seed)
    return day, figures


def _figures(found: dict[str, pd.DataFrame], did: pd.DataFrame, days: int) -> dict[str, Figures]:
    """The errors of each method; those of a year are called so."""
    return {name: _named(errors(frame, did, days), days) for name, frame in found.items()}


def _named(figures: Figures, days: int) -> Figures:
    suffix = "" if days == JUDGED_DAYS else f"_{days}d"
    return {f"{name}{suffix}": round(value, DIGITS) for name, value in figures.items()}


def errors(frame: pd.DataFrame, did: pd.DataFrame, days: int) -> Figures:
    """How far the foreseen orders and revenue of ``days`` were from what happened."""
    found: Figures = {}
    for name in ("orders", "revenue"):
        said, true = frame[f"{name}_{days}d"], did[name]
        varies = said.std() > 0 and true.std() > 0
        found |= {
            f"rmse_{name}": float(np.sqrt(((said - true) ** 2).mean())),
            f"mae_{name}": float((said - true).abs().mean()),
            f"correlation_{name}": float(np.corrcoef(said, true)[0, 1]) if varies else 0.0,
            f"total_{name}": float(said.sum()),
            f"actual_{name}": float(true.sum()),
        }
    return found


def _covered(seen: Known, did: pd.DataFrame, days: int, seed: int) -> Figures:
    """The share of customers who ended up within the range foreseen of them."""
    some = did.index[:: 1 + len(did) // MOST_RANGES]
    ranges, true = foreseen.ranges(seen.habits, seen.history.loc[some], seed=seed), did.loc[some]
    found = {
        f"covered_{name}": float(
            true[name].between(ranges[f"{name}_{days}d_low"], ranges[f"{name}_{days}d_high"]).mean()
        )
        for name in ("orders", "revenue")
    }
    return _named(found, days)


def _decision(
    judged: pd.DataFrame, champion: str | None, seed: int
) -> tuple[str, Decision, dict[str, Figures]]:
    """The nearest method, what the gate says of it, and how sure each error is.

    The nearest must really be nearer than MEAN, and than the method in use where that is another.
    """
    statistics = {
        name: gate.error(judged[name], judged["revenue"]) for name in judged if name != "revenue"
    }
    with single_thread():
        found = gate.measured(statistics, len(judged), seed=seed)
    method = min(found.keys() & set(METHODS), key=lambda name: (found[name].value, name))
    how_sure = {
        name: dict(zip(("rmse_revenue_low", "rmse_revenue_high"), each.interval, strict=True))
        for name, each in found.items()
    }
    said = ", ".join(f"{name} {each.value:.4g}" for name, each in found.items())
    in_use = found.get(champion) if champion and champion != method else None
    outcome = gate.decide(found[method], in_use, {MEAN: found[MEAN]}, higher_is_better=False)
    reason = f"{method} {outcome.reason}; RMSE of the revenue of {JUDGED_DAYS} days: {said}"
    return method, replace(outcome, reason=reason), how_sure


def past_rate(profiles: pd.DataFrame, day: date) -> pd.DataFrame:
    """The baseline in the columns of the others."""
    gap = float(domains.load().churn_window_days)
    parts = [historic(profiles, day, days=days, fallback_gap_days=gap) for days in HORIZONS]
    found = {"prob_alive": parts[0]["prob_alive"]}
    for days, part in zip(HORIZONS, parts, strict=True):
        found |= {f"orders_{days}d": part["orders"], f"revenue_{days}d": part["revenue"]}
    return pd.DataFrame(found)


def everybody_alike(folder: Path, customers: pd.Index, day: date) -> pd.DataFrame:
    """The baseline without a method: each of ``customers`` does what they did on average.

    In the last JUDGED_DAYS before the day, of those who had bought before these; a longer horizon
    in proportion.
    """
    before = day - timedelta(days=JUDGED_DAYS)
    there = history.history(folder, before).index.intersection(customers)
    did = history.spent(folder, there, before, JUDGED_DAYS).mean().fillna(0.0)
    found = {
        f"{name}_{days}d": did[name] * days / JUDGED_DAYS
        for days in HORIZONS
        for name in ("orders", "revenue")
    }
    return pd.DataFrame(found, index=customers)


def _repeaters(folder: Path, day: date | None) -> int:
    return 0 if day is None else int((history.history(folder, day)["repeats"] > 0).sum())
