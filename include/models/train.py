"""Fit a model on past days, test it on a later one, and keep it if it passes the gate.

Two fits are stored with a version. ``tested`` learned only from days whose label windows end
before the test day: it was measured, and it stands for the version when a later challenger is
compared with it. ``published`` learned from the test day as well, and scores customers; judged on
a later day it would have seen most of that day's answers.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd

from include import domains, profile, snapshot
from include.errors import InputError
from include.models import MODELS, Model, calibration, drift, gate, labels, metrics, registry, store
from include.models.base import (
    features,
    fitted_features,
    left_out,
    matrix,
)
from include.models.calibration import Mending
from include.models.compare import compare
from include.models.examples import Examples, examples
from include.models.gate import Decision, Requirement
from include.models.labels import Folds, Span
from include.models.outcome import Foreseen, Tenth, record, tenths
from include.models.registry import Champion, Connection, ModelRun

MOST_ROWS = 300_000  # learned from, over all days: more costs hours and memory, not accuracy
FEWEST = 50  # of each answer, in the days learned from and again on the test day
LIBRARIES = ("scikit-learn", "lightgbm", "numpy", "scipy", "pandas", "skops")
FITTING = ("scikit-learn", "lightgbm")  # of another version, what they fitted is not loaded


def train(
    db: Connection,
    folder: Path,
    model_name: str,
    *,
    as_of: date,
    run_id: str,
    seed: int = 0,
    algorithm: str = "logistic",
    compared: bool = False,
) -> dict[str, Any]:
    """Train ``model_name`` as of a day and record the outcome; a version known already is kept.

    Parameters
    ----------
    db : the warehouse, with the ops tables deployed; committed by the caller.
    folder : a complete snapshot.
    as_of : nothing dated on or after this day is seen, neither in profiles nor in labels.
    compared : measure every other algorithm on the same days too, for minutes more.

    Returns
    -------
    model_version, promoted, decision and reason: small and JSON-able.

    Raises
    ------
    InputError
        If no model has that name.
    """
    if model_name not in MODELS:
        raise InputError(f"model {model_name!r} is unknown; give one of {', '.join(MODELS)}")
    make = partial(MODELS[model_name], algorithm)
    task = _prepare(make(), folder, as_of, seed)
    version = registry.version(model_name, as_of, **task.card["made_of"])
    if decided := registry.decision(db, version):
        return registry.summary(version, decided)
    if refusal := gate.readiness(task.ready):
        fitted = Fitted(refusal)
    else:
        champion = registry.champion(db, model_name, as_of=as_of)
        fitted = _fit(make, champion, task, seed)
        if compared:
            past, later = ((each.profiles, each.labels) for each in (task.past, task.later))
            more = compare(MODELS[model_name], past, later, seed=seed)
            fitted = replace(fitted, metrics=[*fitted.metrics, *more])
    with db.transaction():
        made = _run(model_name, version, as_of, task, fitted)
        if registry.record(db, made, run_id=run_id) and made.promoted:
            test = task.later.profiles.index[0][0]
            tested = Foreseen(model_name, test, version, task.horizon_days)
            record(db, tested, "backtest", fitted.tenths, run_id=run_id)
    return registry.summary(version, fitted.outcome)


@dataclass(frozen=True)
class Task:
    """What a training starts from."""

    horizon_days: int
    past: Examples  # learned from
    later: Examples  # tested on
    ready: list[Requirement]
    card: dict[str, Any]


@dataclass(frozen=True)
class Fitted:
    """What a training gave; only the outcome where it was refused."""

    outcome: Decision
    artifact: bytes | None = None
    metrics: list[registry.Metric] = field(default_factory=list)
    tenths: list[Tenth] = field(default_factory=list)
    card: dict[str, Any] = field(default_factory=dict)  # beside that of the task


def _prepare(model: Model, folder: Path, as_of: date, seed: int) -> Task:
    horizon_days = model.horizon_days(domains.load())
    known = labels.span(folder, as_of)
    days = labels.folds(known, horizon_days)
    past, later = _sets(model, folder, days, horizon_days, seed)
    past = past.without(left_out())
    ready = _requirements(known, days, horizon_days, past, later)
    card = _card(model, folder, _window(days, horizon_days), horizon_days, past, later, seed)
    if days:
        known_then = drift.reference(profile.frame(folder, days.test))
        card["reference"] = {"as_of": str(days.test), "features": known_then}
    return Task(horizon_days, past, later, ready, card)


def _run(model: str, version: str, as_of: date, task: Task, fitted: Fitted) -> ModelRun:
    return ModelRun(
        model=model,
        model_version=version,
        as_of=as_of,
        window=task.card["made_of"]["window"],
        card={**task.card, **fitted.card},
        artifact=fitted.artifact,
        metrics=fitted.metrics,
        readiness=task.ready,
        promoted=fitted.outcome.promoted,
        decision=fitted.outcome.decision,
        reason=fitted.outcome.reason,
    )


def _fit(make: Callable[[], Model], champion: Champion | None, task: Task, seed: int) -> Fitted:
    """Both fits of a version: the tested one before the gate, the published one on all days.

    The baseline of the gate is the naive score, or what pure chance reaches where that is more.
    """
    past, later = task.past, task.later
    tested = make().fit(past.profiles, past.labels, seed=seed)
    raw = tested.score(later.profiles)
    mended = {"tested": _mend(make, tested, past, task.horizon_days, seed)}
    rival, why = _rival(champion, make(), later, task.horizon_days)
    scores, naive = tested.score(later.profiles), tested.naive(later.profiles)
    obvious = max(metrics.auc(later.labels, naive), metrics.chance(later.labels))
    said = gate.decide(metrics.auc(later.labels, scores), rival, obvious)
    rate = float(past.labels.mean())
    figures = metrics.measure(later.profiles, later.labels, scores, naive, rate=rate)
    learned = [past, later.without(left_out())]
    published = make().fit(
        pd.concat([each.profiles for each in learned]),
        pd.concat([each.labels for each in learned]),
        seed=seed,
    )
    mended["published"] = calibration.learn(raw, published.score(later.profiles), later.labels)
    published.pipeline = calibration.mend(published.pipeline, mended["published"])
    artifact = store.dumps({"published": published.pipeline, "tested": tested.pipeline})
    outcome = Decision(said.promoted, said.decision, f"AUC {said.reason}{why}")
    card = {"calibration": {name: calibration.card(each) for name, each in mended.items()}}
    return Fitted(outcome, artifact, figures, tenths(scores, later.labels), card)


def _mend(
    make: Callable[[], Model], fitted: Model, past: Examples, horizon_days: int, seed: int
) -> Mending | None:
    """Mend a fit by the newest day it learned from, as foreseen from days that end before it."""
    days = past.labels.index.get_level_values(0)
    before = [day for day in days.unique() if day + timedelta(days=horizon_days) <= max(days)]
    earlier, newest = past.only(days.isin(before)), past.only(days == max(days))
    if min(earlier.rarest, newest.rarest) < FEWEST:
        return None
    trial = make().fit(earlier.profiles, earlier.labels, seed=seed)
    foreseen, known = trial.score(newest.profiles), fitted.score(newest.profiles)
    mending = calibration.learn(foreseen, known, newest.labels)
    fitted.pipeline = calibration.mend(fitted.pipeline, mending)
    return mending


def _sets(
    model: Model, folder: Path, days: Folds | None, horizon_days: int, seed: int
) -> tuple[Examples, Examples]:
    """What is learned from, and what it is tested on; both empty without enough history."""
    train, test = (days.train, [days.test]) if days else ([], [])
    past, later = (
        examples(model, folder, dates, horizon_days, most=MOST_ROWS, seed=seed)
        for dates in (train, test)
    )
    return past, later


def _requirements(
    known: Span | None, days: Folds | None, horizon_days: int, past: Examples, later: Examples
) -> list[Requirement]:
    history = 2 * horizon_days + labels.HISTORY_DAYS
    found = {"training": past, "test": later}
    return [
        Requirement("history_days", history, known.days if known else 0),
        Requirement("training_dates", 1, len(days.train) if days else 0),
        *(
            Requirement(f"{split}_{answer}", FEWEST, count)
            for split, examples in found.items()
            for answer, count in (
                ("positives", examples.positives),
                ("negatives", len(examples.labels) - examples.positives),
            )
        ),
    ]


def _window(days: Folds | None, horizon_days: int) -> str:
    if days is None:
        return f"none: the history is too short for a horizon of {horizon_days} days"
    learned = ", ".join(map(str, sorted(days.train)))
    return f"learned from {learned}; tested on {days.test}; horizon {horizon_days} days"


def _card(
    model: Model,
    folder: Path,
    window: str,
    horizon_days: int,
    past: Examples,
    later: Examples,
    seed: int,
) -> dict[str, Any]:
    """What the version is made of, which gives its name, and where that came from."""
    return {
        "made_of": {
            "window": window,
            "rows": {"training": len(past.labels), "test": len(later.labels)},
            "features": features(),
            "content": [_content(past), _content(later)],
            "parameters": {
                "algorithm": model.algorithm,
                "horizon_days": horizon_days,
                "most_rows": MOST_ROWS,
                "calibration": "log-odds by the newest day",
            },
            "seed": seed,
            "libraries": libraries(),
        },
        "left_out": {"training": past.noise, "test": later.noise},
        "snapshot": str(folder),
        "known": snapshot.knowledge(folder),
        "base_rate": float(past.labels.mean()) if len(past.labels) else None,
        "intended_use": "ranking the shop's own customers for contact and offers",
        "not_for": "decisions on credit, prices, access or anything else a person cannot contest",
    }


def libraries() -> dict[str, str]:
    """The versions that decide what a fit gives."""
    return {name: metadata.version(name) for name in LIBRARIES}


def _content(given: Examples) -> str:
    """A hash of the values, the labels and whose they are."""
    digest = hashlib.sha256()
    digest.update(matrix(given.profiles, features()).to_numpy(dtype="float64").tobytes())
    digest.update(given.labels.to_numpy(dtype="int8").tobytes())
    digest.update(given.labels.index.get_level_values(-1).to_numpy(dtype="int64").tobytes())
    return digest.hexdigest()[:16]


def _rival(
    champion: Champion | None, empty: Model, later: Examples, horizon_days: int
) -> tuple[float | None, str]:
    """The champion's AUC on the same later date, or None and why it cannot be measured."""
    if champion is None or champion.artifact is None:
        return None, ""
    reason = outdated(champion, later.profiles)
    if reason is None and horizon(champion) != horizon_days:
        reason = f"its horizon is {horizon(champion)} days"
    if reason:
        return None, f"; the champion {champion.model_version} cannot be compared: {reason}"
    empty.pipeline = store.loads(champion.artifact)["tested"]
    return metrics.auc(later.labels, empty.score(later.profiles)), ""


def horizon(champion: Champion) -> int:
    """How far a stored model looks, in days."""
    return int(champion.card["made_of"]["parameters"]["horizon_days"])


def outdated(champion: Champion, profiles: pd.DataFrame) -> str | None:
    """Why a stored model cannot score these profiles, in words; None when it can."""
    used, installed = champion.card["made_of"]["libraries"], libraries()
    for name in FITTING:
        if used.get(name, installed[name]) != installed[name]:
            return f"fitted by {name} {used[name]}, installed is {installed[name]}"
    fitted = fitted_features(store.loads(champion.artifact or b"")["published"])
    gone = [name for name in fitted if name not in profiles]
    return f"{', '.join(gone)} is no longer in the profile" if gone else None
