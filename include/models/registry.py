"""Which models there are and which is in use: ops.model_version, model_metric, model_readiness.

A version that is there already is never written again: the same input is the same version. The
champion of a past day is the newest version promoted up to that day, so that a run for a past day
sees no model that learned from later data.
"""

import hashlib
import json
import logging
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from include.models.gate import Decision, Measured, Requirement, Verdict

__all__ = [
    "Champion",
    "Metric",
    "ModelRun",
    "Requirement",
    "champion",
    "decision",
    "record",
    "version",
]

log = logging.getLogger(__name__)

Connection = psycopg.Connection[Any]


@dataclass(frozen=True)
class Metric:
    """One measure of one version, beside that of the obvious alternative."""

    split: str
    metric: str
    slice: str
    value: float
    baseline: float | None


def intervals(metric: str, found: dict[str, Measured], *, slice_: str = "all") -> list[Metric]:
    """Between what the challenger's figure lies, and by how much it differs from each rival's."""
    challenger = found["challenger"]
    figures = {metric: challenger} | {
        f"{metric}_above_{name.replace(' ', '_')}": challenger.less(rival)
        for name, rival in found.items()
        if rival is not challenger
    }
    return [
        Metric("interval", f"{name}_{end}", slice_, value, None)
        for name, figure in figures.items()
        for end, value in zip(("low", "high"), figure.interval, strict=True)
    ]


@dataclass(frozen=True)
class ModelRun:
    """One training: what was made, how it did, and what the gate said."""

    model: str
    model_version: str
    as_of: date
    window: str  # the days it learned from and was tested on, in words
    card: dict[str, Any]
    artifact: bytes | None
    metrics: list[Metric] = field(default_factory=list)
    readiness: list[Requirement] = field(default_factory=list)
    promoted: bool = False
    decision: Verdict = "rejected"
    reason: str = ""


@dataclass(frozen=True)
class Champion:
    """The version in use."""

    model_version: str
    as_of: date
    card: dict[str, Any]
    artifact: bytes | None


def version(model: str, as_of: date, **made_of: Any) -> str:
    """The name of a version: model, day and a hash of everything it was made of (JSON-able)."""
    text = json.dumps(made_of, sort_keys=True, default=str)
    return f"{model}-{as_of}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def record(db: Connection, run: ModelRun, *, run_id: str) -> bool:
    """Write a training and move the champion's mark when it was promoted, all or nothing.

    Returns
    -------
    False, and nothing is written, when the version is there already.
    """
    with db.transaction():
        locked(db, run.model)
        if not _insert(db, run, run_id):
            return False
        _insert_metrics(db, run, run_id)
        _insert_readiness(db, run, run_id)
        if run.promoted:
            _crown(db, run)
    log.info("%s: %s, %s", run.model_version, run.decision, run.reason)
    return True


def locked(db: Connection, model: str) -> None:
    """Wait for whoever else records or chooses a version of the model; until the commit."""
    db.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"portrait.model.{model}"])


def _insert(db: Connection, run: ModelRun, run_id: str) -> bool:
    written = db.execute(
        """INSERT INTO ops.model_version (model_version, model, run_id, as_of, recorded_at,
               champion, decision, reason, "window", card, artifact)
           VALUES (%s, %s, %s, %s, now(), false, %s, %s, %s, %s, %s)
           ON CONFLICT (model_version) DO NOTHING""",
        [
            run.model_version,
            run.model,
            run_id,
            run.as_of,
            run.decision,
            run.reason,
            run.window,
            Jsonb(run.card),
            run.artifact,
        ],
    )
    return written.rowcount == 1


def _insert_metrics(db: Connection, run: ModelRun, run_id: str) -> None:
    with db.cursor() as cursor:
        cursor.executemany(
            """INSERT INTO ops.model_metric (model_version, split, metric, slice, run_id, as_of,
                   recorded_at, value, baseline)
               VALUES (%s, %s, %s, %s, %s, %s, now(), %s, %s)""",
            [
                (
                    run.model_version,
                    m.split,
                    m.metric,
                    m.slice,
                    run_id,
                    run.as_of,
                    m.value,
                    m.baseline,
                )
                for m in run.metrics
            ],
        )


def _insert_readiness(db: Connection, run: ModelRun, run_id: str) -> None:
    """Say what the newest day's training asked for; a past day does not change what is known."""
    later = "SELECT 1 FROM ops.model_readiness WHERE model = %s AND as_of > %s"
    if db.execute(later, [run.model, run.as_of]).fetchone():
        return
    db.execute("DELETE FROM ops.model_readiness WHERE model = %s", [run.model])
    with db.cursor() as cursor:
        cursor.executemany(
            """INSERT INTO ops.model_readiness (model, requirement, run_id, as_of,
                   recorded_at, needed, found, gap)
               VALUES (%s, %s, %s, %s, now(), %s, %s, %s)""",
            [
                (run.model, r.requirement, run_id, run.as_of, r.needed, r.found, r.gap)
                for r in run.readiness
            ],
        )


def _crown(db: Connection, run: ModelRun) -> None:
    """Mark the version, unless the champion is of a later day: that one stays in use."""
    db.execute(
        """UPDATE ops.model_version SET champion = (model_version = %(version)s),
               in_use_since = CASE WHEN model_version = %(version)s THEN now()
                                   ELSE in_use_since END
           WHERE model = %(model)s AND (champion OR model_version = %(version)s)
           AND NOT EXISTS (SELECT 1 FROM ops.model_version AS later
               WHERE later.model = %(model)s AND later.champion AND later.as_of > %(as_of)s)""",
        {"version": run.model_version, "model": run.model, "as_of": run.as_of},
    )


def champion(db: Connection, model: str, *, as_of: date | None = None) -> Champion | None:
    """The version in use, or None.

    With ``as_of``, the one in use on that day: the champion if it is not of a later day, else the
    newest version that was promoted up to that day.
    """
    with db.transaction():  # leaves no transaction open while the caller computes
        row = db.execute(
            """SELECT model_version, as_of, card, artifact FROM ops.model_version
               WHERE model = %(model)s AND (champion OR (%(as_of)s::date IS NOT NULL
                   AND decision = 'promoted'))
               AND (%(as_of)s::date IS NULL OR as_of <= %(as_of)s::date)
               ORDER BY champion DESC, as_of DESC, recorded_at DESC, model_version LIMIT 1""",
            {"model": model, "as_of": as_of},
        ).fetchone()
    return None if row is None else Champion(*row)


def decision(db: Connection, model_version: str) -> Decision | None:
    """What was decided about a version that is there already, or None when it is not."""
    with db.transaction():
        row = db.execute(
            "SELECT decision, reason FROM ops.model_version WHERE model_version = %s",
            [model_version],
        ).fetchone()
    return None if row is None else Decision(row[0] == "promoted", row[0], row[1])


def summary(model_version: str, outcome: Decision) -> dict[str, Any]:
    """What a training task hands on: small and JSON-able."""
    return {
        "model_version": model_version,
        "promoted": outcome.promoted,
        "decision": outcome.decision,
        "reason": outcome.reason,
    }
