"""Train a model on past days, test it on a later one, and keep it if it passes the gate.

Two fits are stored with a version. ``tested`` learned only from days whose label windows end
before the test day: it was measured, and it stands for the version when a later challenger is
compared with it. ``published`` learned from the test day as well, and scores customers; judged on
a later day it would have seen most of that day's answers.
"""

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from include import domains, models, paths, profile, snapshot
from include.models import (
    Model,
    challenge,
    drift,
    fairness,
    gate,
    guards,
    importance,
    labels,
    leaks,
    pictures,
    registry,
    search,
)
from include.models.base import dated, features, groups, left_out, matrix, sensitive_used
from include.models.challenge import FEWEST, MOST_ROWS, Make, Task
from include.models.compare import compare
from include.models.examples import Examples, examples
from include.models.gate import Decision, Requirement
from include.models.in_use import libraries
from include.models.labels import Folds, Span
from include.models.outcome import record_backtest, tenths
from include.models.registry import Champion, Connection, Metric, ModelRun

AUTO = "auto"  # the domain's word for: whichever foresees past days best
MOST_NEWEST = 100_000  # customers of today by whose scores drift is told


def train(
    db: Connection, folder: Path, model_name: str, *, as_of: date, run_id: str, seed: int = 0
) -> dict[str, Any]:
    """Train ``model_name`` as of a day and record the outcome; a version known already is kept.

    How it is learned and when a person is asked is the domain file's to say.

    Parameters
    ----------
    db : the warehouse, with the ops tables deployed; committed by the caller.
    folder : a complete snapshot.
    as_of : nothing dated on or after this day is seen, neither in profiles nor in labels.

    Returns
    -------
    model_version, promoted, decision and reason: small and JSON-able.

    Raises
    ------
    InputError
        If no model has that name.
    """
    make = partial(models.make, model_name)
    model = make(domains.load().models.algorithm)
    planned = plan(model, folder, as_of, seed)
    version = registry.version(model_name, as_of, **planned.card["made_of"])
    if decided := registry.decision(db, version):
        return registry.summary(version, decided)
    if refusal := gate.readiness(planned.ready) or _leaking(folder, planned):
        made = Made(refusal)
    else:
        champion = registry.champion(db, model_name, as_of=as_of)
        made = _learned(make, champion, planned, _newest(model, folder, as_of, seed))
    if made.seen and planned.days:
        title = f"{model_name}, tested on {planned.days.test}"
        pictures.score_pictures(paths.pictures(version), title, made.seen)
    with db.transaction():
        run = _run(model_name, version, as_of, planned, made)
        if registry.record(db, run, run_id=run_id) and run.promoted:
            record_backtest(db, run.card, run.model, version, run_id=run_id)
    return registry.summary(version, made.outcome)


@dataclass(frozen=True)
class Plan:
    """What a training starts from."""

    days: Folds | None
    task: Task
    ready: list[Requirement]
    card: dict[str, Any]


@dataclass(frozen=True)
class Made:
    """What a training gave; only the outcome where it was refused."""

    outcome: Decision
    artifact: bytes | None = None
    metrics: list[Metric] = field(default_factory=list)
    card: dict[str, Any] = field(default_factory=dict)  # beside that of the plan
    seen: pictures.Judged | None = None  # what is drawn of it


def plan(model: Model, folder: Path, as_of: date, seed: int) -> Plan:
    """The days, the examples, whether they suffice, and what the card says of them."""
    horizon_days = model.horizon_days(domains.load())
    known = labels.span(folder, as_of)
    days = labels.folds(known, horizon_days)
    past, later = (
        examples(model, folder, dates, horizon_days, most=MOST_ROWS, seed=seed)
        for dates in ((days.train, [days.test]) if days else ([], []))
    )
    task = Task(horizon_days, past.without(left_out()), later, seed)
    ready = _requirements(known, days, task)
    card = _card(model, folder, days, task)
    if days:
        known_then = drift.reference(profile.frame(folder, days.test))
        card["reference"] = {"as_of": str(days.test), "features": known_then}
    return Plan(days, task, ready, card)


def _leaking(folder: Path, plan: Plan) -> Decision | None:
    """A refusal that names each feature of the test day that changes with what came later."""
    if plan.days is None:
        return None
    used, day = {*plan.card["made_of"]["features"], *groups()}, plan.days.test
    found = [name for name in leaks.foreseen(folder, day) if name in used]
    if not found:
        return None
    reason = (
        f"leak: {', '.join(found)} of {day} could not have been known: another value when all that "
        "is dated later is taken away; mend the SQL of include/profile"
    )
    return Decision(False, "rejected", reason)


def _learned(
    make: Callable[[str], Model], champion: Champion | None, plan: Plan, newest: pd.DataFrame
) -> Made:
    """What the algorithm and parameters chosen gave, and what others would have given."""
    task, settings = plan.task, domains.load().models
    name: str = settings.algorithm
    chosen: list[Metric] = []
    if name == AUTO:
        name, chosen = search.algorithm(make, task.past, task.horizon_days, seed=task.seed)
    using = partial(make, name)
    parameters, searched = search.best(
        using, task.past, task.horizon_days, trials=settings.trials, seed=task.seed
    )
    made = _made(search.using(using, parameters), champion, plan, newest)
    past, later = ((each.profiles, each.labels) for each in (task.past, task.later))
    compared = compare(make, past, later, seed=task.seed) if settings.compare else []
    return replace(made, metrics=[*made.metrics, *chosen, *searched, *compared])


def _made(make: Make, champion: Champion | None, plan: Plan, newest: pd.DataFrame) -> Made:
    """Both fits, every figure, and what the gate or a person is to say."""
    task, domain = plan.task, domains.load()
    fits = challenge.fit(make, task)
    judged = challenge.judge(fits.tested, champion, make(), task)
    later = task.later
    unfair, breaches = fairness.measure(later.people, later.labels, judged.scores, domain.fairness)
    lost = importance.permutation(
        fits.tested.pipeline, later.profiles, later.labels, seed=task.seed
    )
    concerns = guards.concerns(
        domain.models.asks,
        champion=champion,
        rows=len(task.past.labels),
        labels=later.labels,
        scores=judged.scores,
        newest=fits.tested.score(newest),
        alone=leaks.too_good(later.profiles, later.labels, plan.card["made_of"]["features"]),
    )
    moved = drift.psi(plan.card["reference"]["features"], newest)
    seen = pictures.Judged(
        *(later.labels, judged.scores, judged.naive, lost, moved),
        profiles=later.profiles,
        pipeline=fits.tested.pipeline,
        own=fits.tested.own_features,
    )
    return Made(
        gate.asked(judged.said, [*concerns, *breaches]),
        fits.artifact,
        [*judged.metrics, *unfair, *importance.metrics(lost), *drift.metrics(moved)],
        {
            "calibration": fits.card,
            "algorithm": fits.tested.algorithm,
            "parameters": fits.tested.parameters,
            "tenths": [asdict(each) for each in tenths(judged.scores, later.labels)],
        },
        seen,
    )


def _newest(model: Model, folder: Path, as_of: date, seed: int) -> pd.DataFrame:
    """The profiles of today of at most ``MOST_NEWEST`` of those whom the scores will be of."""
    known = dated(model, profile.frame(folder, as_of), folder, as_of)
    known = known[model.ineligible(known).isna()]
    names = [*features(), *groups(), *(column.name for column in model.own_features)]
    if len(known) > MOST_NEWEST:
        drawn = np.random.default_rng(seed).choice(len(known), MOST_NEWEST, replace=False)
        known = known.iloc[np.sort(drawn)]
    return known[names]


def _run(model: str, version: str, as_of: date, plan: Plan, made: Made) -> ModelRun:
    return ModelRun(
        model=model,
        model_version=version,
        as_of=as_of,
        window=plan.card["made_of"]["window"],
        card={**plan.card, **made.card},
        artifact=made.artifact,
        metrics=made.metrics,
        readiness=plan.ready,
        promoted=made.outcome.promoted,
        decision=made.outcome.decision,
        reason=made.outcome.reason,
    )


def _requirements(known: Span | None, days: Folds | None, task: Task) -> list[Requirement]:
    found = {"training": task.past, "test": task.later}
    history = 2 * task.horizon_days + labels.HISTORY_DAYS
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


def _card(model: Model, folder: Path, days: Folds | None, task: Task) -> dict[str, Any]:
    """What the version is made of, which gives its name, and where that came from."""
    past, later = task.past, task.later
    names = [*features(), *(column.name for column in model.own_features)]
    domain = domains.load()
    return {
        "made_of": {
            "window": _window(days, task.horizon_days),
            "rows": {"training": len(past.labels), "test": len(later.labels)},
            "features": names,
            "content": [_content(past, names), _content(later, names)],
            "parameters": {
                "algorithm": model.algorithm,
                "horizon_days": task.horizon_days,
                "most_rows": MOST_ROWS,
                "calibration": "log-odds by the newest day",
                "trials": domain.models.trials,
                "limits": [domain.models.asks.model_dump(), domain.fairness.model_dump()],
            },
            "seed": task.seed,
            "libraries": libraries(),
        },
        "sensitive": sensitive_used(),
        "left_out": {"training": past.noise, "test": later.noise},
        "snapshot": str(folder),
        "known": snapshot.knowledge(folder),
        "base_rate": float(past.labels.mean()) if len(past.labels) else None,
        "intended_use": "ranking the shop's own customers for contact and offers",
        "not_for": "decisions on credit, prices, access or anything else a person cannot contest",
    }


def _content(given: Examples, names: list[str]) -> str:
    """A hash of the values, the labels and whose they are."""
    digest = hashlib.sha256()
    digest.update(matrix(given.profiles, names).to_numpy(dtype="float64").tobytes())
    digest.update(given.labels.to_numpy(dtype="int8").tobytes())
    digest.update(given.labels.index.get_level_values(-1).to_numpy(dtype="int64").tobytes())
    return digest.hexdigest()[:16]
