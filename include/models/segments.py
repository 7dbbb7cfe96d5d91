"""Segments: groups of like profiles, in words, under keys that survive a retraining.

There is no later date to test on: a segmentation passes the gate when there are enough customers,
when random halves of them give the same segments, and when its segments are clearer than those of
the same values shuffled. One that passes replaces the champion without a contest: it describes the
newest customers, and the keys carry over: from the champion of the day, or, for a day before any,
from the one in use now. That is no leak: a key is a name, no figure rests on it. ``assign`` says
what is in use.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA

from include import domains, paths, profile, snapshot
from include.errors import InputError
from include.models import clusters, gate, groupings, keys, naming, pictures, registry, store
from include.models.assign import NAME, assign
from include.models.base import fitted_features, matrix, ordinary, single_thread
from include.models.clusters import Choice, Point
from include.models.gate import Decision, Measured, Requirement
from include.models.groupings import Labels, Maker, Numbers
from include.models.in_use import libraries, outdated
from include.models.registry import Champion, Connection, Metric, ModelRun
from include.models.rfm import dominant, rfm

__all__ = ["assign", "train"]

MOST_ROWS = 200_000
FEWEST_CUSTOMERS = 50
STEADY = 0.6  # stability below which segments mean nothing
CLEARER = 0.02  # silhouette that must lie above that of shuffled values
MOST_SEGMENTS = 20


def train(
    db: Connection,
    folder: Path,
    *,
    as_of: date,
    run_id: str,
    segments: int | None = None,
    algorithm: str | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Find the segments as of a day and record the outcome with the curve that chose k.

    Parameters
    ----------
    segments : how many, from 2 to 20; None: the elbow, checked for stability, within the
        domain's bounds.
    algorithm : one of ``groupings.ALGORITHMS``; None: the domain's.

    Returns
    -------
    model_version, promoted, decision, reason and k: small and JSON-able.

    Raises
    ------
    InputError
        If ``segments`` is out of bounds, or no algorithm has that name.
    """
    if segments is not None and not 2 <= segments <= MOST_SEGMENTS:
        raise InputError(f"segments {segments}: give 2 to {MOST_SEGMENTS}, or none for automatic")
    profiles = profile.frame(folder, as_of).sort_index()
    buyers, left_out = ordinary(_buyers(profiles))
    values = _values(buyers, seed)
    wanted = Wanted(segments, algorithm or _default_algorithm(), seed)
    ready = _requirements(values, segments or domains.load().segments.fewest)
    card = _card(folder, values, wanted) | {"left_out": left_out}
    version = registry.version(NAME, as_of, **card["made_of"])
    if decided := registry.decision(db, version):
        return registry.summary(version, decided)
    if refusal := gate.readiness(ready):
        found = Found(refusal)
    else:
        groups = rfm(profiles)["rfm_segment"].loc[values.index]
        before = _before(db, values, as_of)
        with single_thread():
            found = _find(values, groups, wanted, before)
    run = _run(version, as_of, card, ready, found)
    if found.draw:
        found.draw(paths.pictures(version), f"segment, customers of {as_of}")
    with db.transaction():
        if registry.record(db, run, run_id=run_id):
            _record_curve(db, run, found, run_id)
    return registry.summary(version, found.outcome)


@dataclass(frozen=True)
class Wanted:
    """What was asked for."""

    segments: int | None
    algorithm: str
    seed: int


@dataclass(frozen=True)
class Before:
    """What the keys go on from."""

    keys: list[str]  # of the champion
    old: pd.Series  # the key that each customer would have with it, or null
    published: pd.Series  # the key that each customer was published with, or null
    last_number: int  # the highest that was ever given


@dataclass(frozen=True)
class Found:
    """What a training gave; only the outcome where it was refused."""

    outcome: Decision
    card: dict[str, Any] = field(default_factory=dict)
    artifact: bytes | None = None
    metrics: list[Metric] = field(default_factory=list)
    curve: list[Point] = field(default_factory=list)
    choice: Choice | None = None
    draw: Callable[[Path, str], object] | None = None  # its pictures into a folder, under a title


def _run(
    version: str, as_of: date, card: dict[str, Any], ready: list[Requirement], found: Found
) -> ModelRun:
    return ModelRun(
        model=NAME,
        model_version=version,
        as_of=as_of,
        window=f"the profiles of {as_of}",
        card=card | found.card,
        artifact=found.artifact,
        metrics=found.metrics,
        readiness=ready,
        promoted=found.outcome.promoted,
        decision=found.outcome.decision,
        reason=found.outcome.reason,
    )


def _buyers(profiles: pd.DataFrame) -> pd.DataFrame:
    return profiles[profiles["recency_days"].notna()]


def _values(buyers: pd.DataFrame, seed: int) -> pd.DataFrame:
    """What is grouped, of at most ``MOST_ROWS`` customers; features of one value are left out."""
    if len(buyers) > MOST_ROWS:
        drawn = np.random.default_rng(seed).choice(len(buyers), MOST_ROWS, replace=False)
        buyers = buyers.iloc[np.sort(drawn)]
    values = matrix(buyers, [name for name in domains.load().segments.features if name in buyers])
    return values.loc[:, values.nunique() > 1]


def _requirements(values: pd.DataFrame, segments: int) -> list[Requirement]:
    different = len(values.drop_duplicates()) if values.columns.size else 0
    return [
        Requirement("customers", max(FEWEST_CUSTOMERS, 10 * segments), len(values)),
        Requirement("different_profiles", 2 * segments, different),
    ]


def _default_algorithm() -> str:
    return domains.load().segments.algorithm


def _card(folder: Path, values: pd.DataFrame, wanted: Wanted) -> dict[str, Any]:
    bounds = domains.load().segments
    content = hashlib.sha256(values.to_numpy(dtype="float64").tobytes())
    content.update(values.index.to_numpy(dtype="int64").tobytes())
    return {
        "made_of": {
            "rows": len(values),
            "features": list(values.columns),
            "content": content.hexdigest()[:16],
            "parameters": {
                "k": wanted.segments or [bounds.fewest, bounds.most],
                "algorithm": wanted.algorithm,
                "most_rows": MOST_ROWS,
            },
            "seed": wanted.seed,
            "libraries": libraries(),
        },
        "snapshot": str(folder),
        "known": snapshot.knowledge(folder),
        "intended_use": "speaking to groups of customers in different ways",
        "not_for": "decisions on a single person that the person cannot contest",
    }


def _last_number(db: Connection) -> int:
    """The highest segment number that was ever given."""
    with db.transaction():
        row = db.execute(
            """SELECT max((card ->> 'last_number')::int) FROM ops.model_version
               WHERE model = %s""",
            [NAME],
        ).fetchone()
    return int(row[0]) if row and row[0] else 0


def _before(db: Connection, values: pd.DataFrame, as_of: date) -> Before:
    champion = registry.champion(db, NAME, as_of=as_of) or registry.champion(db, NAME)
    return Before(
        list(champion.card["keys"]) if champion else [],
        _old_keys(champion, values),
        keys.published(db, values.index, as_of, since=champion.as_of if champion else None),
        _last_number(db),
    )


def _find(values: pd.DataFrame, groups: pd.Series, wanted: Wanted, before: Before) -> Found:
    """Choose k, fit, judge, give keys and words."""
    bounds, seed = domains.load().segments, wanted.seed
    points = groupings.sample(clusters.scaled(values), clusters.SAMPLE, seed)
    most = min(max(bounds.most, wanted.segments or 0), len(np.unique(points, axis=0)) - 1)
    makers = groupings.makers(wanted.algorithm, points, most, seed=seed)
    if refusal := _cannot(wanted, list(makers)):
        return Found(refusal)
    drawn = clusters.curve(points, makers, seed=seed)
    choice = clusters.choose(drawn, bounds.fewest)
    if wanted.segments:
        choice = Choice(wanted.segments, choice.elbow, f"asked for; the elbow is {choice.elbow}")
    outcome, metrics = _judge(points, drawn, choice, makers[choice.k], seed)
    pipeline = clusters.fit(values, makers[choice.k], seed=seed)
    space = np.asarray(pipeline[:-1].transform(values), dtype="float64")
    labels = np.asarray(pipeline.predict(values), dtype="int64")
    if len(np.unique(labels)) < choice.k:
        return Found(_empty(choice.k), {}, None, metrics, drawn, choice)
    centres = clusters.centres(space, labels)
    card = _keyed(values, space, labels, before) | {"k": choice.k, "choice": choice.reason}
    card |= _words(fitted_features(pipeline), centres, values, labels, groups)
    parts = {
        "published": pipeline,
        "centres": centres,
        "map": PCA(min(2, space.shape[1])).fit(space),
    }
    draw = partial(
        pictures.segment_pictures,
        curve=drawn,
        choice=choice,
        points=parts["map"].transform(space),
        labels=labels,
        names=card["names"],
        explained=parts["map"].explained_variance_ratio_,
    )
    return Found(outcome, card, store.dumps(parts), metrics, drawn, choice, draw)


def _cannot(wanted: Wanted, possible: list[int]) -> Decision | None:
    """A refusal where the algorithm does not make that many groups, or none at all."""
    if possible and (wanted.segments is None or wanted.segments in possible):
        return None
    said = f"finds {', '.join(map(str, possible))}" if possible else "finds no two groups"
    asked = f", not {wanted.segments}" if wanted.segments and possible else ""
    return Decision(False, "rejected", f"{wanted.algorithm} {said} in these customers{asked}")


def _empty(k: int) -> Decision:
    return Decision(False, "rejected", f"of {k} segments one holds no customer; ask for fewer")


def _judge(
    points: Numbers, drawn: list[Point], choice: Choice, make: Maker, seed: int
) -> tuple[Decision, list[Metric]]:
    steady = next(point.stability or 0.0 for point in drawn if point.k == choice.k)
    clear, shuffled = clusters.structure(points, make, seed=seed)
    chance = float(shuffled.mean())
    figures = [
        Metric("test", "silhouette", "all", clear, chance),
        Metric("test", "stability", "all", steady, STEADY),
    ]
    if steady < STEADY:
        reason = f"stability {steady:.2f} of {choice.k} segments is under {STEADY}"
        return Decision(False, "rejected", reason), figures
    said = gate.decide(
        Measured(clear, np.full_like(shuffled, clear)),
        None,
        {"of shuffled values": Measured(chance + CLEARER, shuffled + CLEARER)},
    )
    if not said.promoted:
        reason = (
            f"silhouette {clear:.3f} is not clearly above that of shuffled values, {chance:.3f}"
        )
        return Decision(False, "rejected", reason), figures
    reason = f"{choice.k} segments: {choice.reason}; silhouette {clear:.3f}, shuffled {chance:.3f}"
    return Decision(True, "promoted", reason), figures


def _old_keys(champion: Champion | None, values: pd.DataFrame) -> pd.Series:
    """The key that each customer would have with the champion; null without a usable one."""
    if champion is None or champion.artifact is None or outdated(champion, values):
        return pd.Series(None, index=values.index, dtype="object")
    pipeline = store.loads(champion.artifact)["published"]
    labels = pipeline.predict(values[fitted_features(pipeline)])
    return pd.Series(np.array(champion.card["keys"], dtype="object")[labels], index=values.index)


def _keyed(values: pd.DataFrame, space: Numbers, labels: Labels, before: Before) -> dict[str, Any]:
    """The keys, and which of them are new or retired beside those of the champion."""
    spend = values["revenue"].to_numpy() if "revenue" in values else space[:, 0]
    kept, last = keys.keep_keys(
        space, labels, spend, before.old, before.last_number, published=before.published
    )
    return {
        "keys": kept,
        "last_number": last,
        "new": sorted(set(kept) - set(before.keys)),
        "retired": sorted(set(before.keys) - set(kept)),
    }


def _words(
    columns: list[str], centres: Numbers, values: pd.DataFrame, labels: Labels, groups: pd.Series
) -> dict[str, Any]:
    numbers = range(len(centres))
    most = [dominant(groups[labels == number]) for number in numbers]
    return {
        "names": naming.names(centres, columns, most),
        "rules": [naming.rule(values[labels == number], columns) for number in numbers],
    }


def _record_curve(db: Connection, run: ModelRun, found: Found, run_id: str) -> None:
    choice = found.choice
    with db.cursor() as cursor:
        cursor.executemany(
            """INSERT INTO ops.segment_curve (model_version, k, run_id, as_of, recorded_at,
                   inertia, silhouette, stability, elbow, chosen)
               VALUES (%s, %s, %s, %s, now(), %s, %s, %s, %s, %s)""",
            [
                (
                    *(run.model_version, point.k, run_id, run.as_of),
                    *(point.inertia, point.silhouette, point.stability),
                    *(choice is not None and k == point.k for k in _marks(choice)),
                )
                for point in found.curve
            ],
        )


def _marks(choice: Choice | None) -> tuple[int | None, int | None]:
    return (choice.elbow, choice.k) if choice else (None, None)
