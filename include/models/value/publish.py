"""The value of each customer as BI reads it, by the method that was nearest on a later date."""

import logging
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

from include import paths, profile
from include.models import files, pictures, registry
from include.models.gate import Decision
from include.models.in_use import libraries
from include.models.registry import Connection, Metric, ModelRun
from include.models.value import boosted, foreseen
from include.models.value.boosted import MOST_ROWS, SETTINGS
from include.models.value.contest import JUDGED_DAYS, METHODS, Contest, contest, past_rate

log = logging.getLogger(__name__)

NAME = "value"
DIGITS = 6


def train(
    db: Connection, folder: Path, *, as_of: date, run_id: str, seed: int = 0
) -> dict[str, Any]:
    """Hold the methods against what happened after a past day, and record which one publishes.

    Returns
    -------
    model_version, promoted, decision and reason: small and JSON-able.
    """
    champion = registry.champion(db, NAME, as_of=as_of)
    used = chosen(champion.card).method if champion else None
    decided = contest(folder, as_of, champion=used, seed=seed)
    run = _run(folder, as_of, decided, seed)
    if known := registry.decision(db, run.model_version):
        return registry.summary(run.model_version, known)
    if decided.judged is not None:
        pictures.value_pictures(
            paths.pictures(run.model_version),
            f"value, {JUDGED_DAYS} days from {decided.test}",
            decided.judged["revenue"],
            {name: decided.judged[name] for name in METHODS if name in decided.judged},
            publishes=decided.method if decided.outcome.promoted else used or METHODS[0],
        )
    registry.record(db, run, run_id=run_id)
    log.info("value: %s", decided.outcome.reason)
    return registry.summary(run.model_version, decided.outcome)


def compute(db: Connection, folder: Path, as_of: date, out: Path, *, seed: int = 0) -> int:
    """Write ``<out>/customer_value.parquet``, one row a customer; return their number.

    By the method that the newest training chose; the past rate where there was none.
    """
    champion = registry.champion(db, NAME, as_of=as_of)
    table = value(folder, as_of, chosen(champion.card if champion else None), seed=seed)
    files.write(table.reset_index(names="customer_id"), "mart.customer_value", out)
    log.info("expected value of %d customers by %s", len(table), table["method"].iloc[:1].tolist())
    return len(table)


def chosen(card: dict[str, Any] | None) -> Contest:
    """What a training decided, as its card tells."""
    if card is None:
        return Contest(METHODS[0], Decision(False, "not_ready", "no training"), None, [], [])
    days = [date.fromisoformat(day) for day in card["dates"]]
    said = Decision(True, "promoted", card["made_of"]["method"])
    return Contest(card["made_of"]["method"], said, days[0] if days else None, days[1:], [])


def value(folder: Path, as_of: date, decided: Contest, *, seed: int = 0) -> pd.DataFrame:
    """The columns of the contract mart.customer_value, index customer_id ascending.

    Who never bought is expected to order nothing, and has no ranges.
    """
    profiles = profile.frame(folder, as_of).sort_index()
    method, found = decided.method, past_rate(profiles, as_of)
    seen = foreseen.known(folder, as_of, seed=seed)
    trees = None
    if seen is None:
        method = METHODS[0]
    elif method == "boosted":
        trees = boosted.learn(folder, decided.dates, JUDGED_DAYS, seed=seed)
    if seen is not None and method != METHODS[0]:
        by_habit = trees.foresee(seen) if trees else foreseen.foresee(seen)
        method = method if trees or method != "boosted" else "bg_nbd"
        found = by_habit.reindex(profiles.index, fill_value=0.0)
    table = found.round(DIGITS).rename(columns=lambda name: _named(str(name)))
    table["historic_revenue"] = profiles["revenue"].fillna(0.0)
    table["method"] = method
    if seen is not None:
        table = table.join(foreseen.ranges(seen.habits, seen.history, seed=seed).round(DIGITS))
    return table


def _named(name: str) -> str:
    return f"expected_{name}" if name.startswith(("orders_", "revenue_")) else name


def _run(folder: Path, as_of: date, decided: Contest, seed: int) -> ModelRun:
    tested = f"tested on {decided.test}" if decided.test else "no later date to test on"
    learned = ", ".join(map(str, sorted(decided.learned))) or "no day"
    ahead = f"; a year ahead judged from {decided.year}" if decided.year else ""
    made_of: dict[str, Any] = {
        "window": f"boosting learned from {learned}; {tested}; horizon {JUDGED_DAYS} days{ahead}",
        "method": decided.method,
        "figures": decided.figures,
        "parameters": {**SETTINGS, "most_rows": MOST_ROWS, "horizon_days": JUDGED_DAYS},
        "seed": seed,
        "libraries": libraries(),
    }
    card = {
        "made_of": made_of,
        "dates": [str(day) for day in [decided.test, *decided.learned] if day],
        "snapshot": str(folder),
        "intended_use": "budgets for contact and offers, in sums over many customers",
        "not_for": "decisions on credit, prices, access or anything else a person cannot contest",
    }
    return ModelRun(
        model=NAME,
        model_version=registry.version(NAME, as_of, **made_of),
        as_of=as_of,
        window=made_of["window"],
        card=card,
        artifact=None,
        metrics=_metrics(decided),
        readiness=decided.ready,
        promoted=decided.outcome.promoted,
        decision=decided.outcome.decision,
        reason=decided.outcome.reason,
    )


def _metrics(decided: Contest) -> list[Metric]:
    obvious = decided.figures.get(METHODS[0], {})
    return [
        Metric("test", metric, name, figure, obvious.get(metric))
        for name, figures in decided.figures.items()
        for metric, figure in figures.items()
    ]
