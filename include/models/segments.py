"""Segments: k-means on the profile, in words, under keys that survive a retraining.

There is no later date to test on: a segmentation passes the gate when there are enough customers,
when random halves of them give the same segments, and when its segments are clearer than those of
the same values shuffled. One that passes replaces the champion without a contest: it describes the
newest customers, and the keys carry over: from the champion of the day, or, for a day before any,
from the one in use now. That is no leak: a key is a name, no figure rests on it. ``assign`` says
what is in use.
"""

import hashlib
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from sklearn.pipeline import Pipeline

from include import domains, profile, snapshot
from include.errors import InputError
from include.models import clusters, gate, naming, registry, store
from include.models.assign import NAME, assign
from include.models.base import fitted_features, matrix, ordinary, single_thread
from include.models.clusters import Choice, Numbers, Point
from include.models.gate import Decision, Requirement
from include.models.registry import Champion, Connection, Metric, ModelRun
from include.models.rfm import dominant, rfm
from include.models.train import libraries, outdated

__all__ = ["assign", "keep_keys", "train"]

MOST_ROWS = 200_000
FEWEST_CUSTOMERS = 50
STEADY = 0.6  # stability below which segments mean nothing
CLEARER = 0.02  # silhouette that must lie above that of shuffled values
SAME = 0.5  # deviations a feature that a segment may move and keep its key
MOST_SEGMENTS = 20


def train(
    db: Connection,
    folder: Path,
    *,
    as_of: date,
    run_id: str,
    segments: int | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Find the segments as of a day and record the outcome with the curve that chose k.

    Parameters
    ----------
    segments : how many, from 2 to 20; None: the elbow, checked for stability, within the
        domain's bounds.

    Returns
    -------
    model_version, promoted, decision, reason and k: small and JSON-able.

    Raises
    ------
    InputError
        If ``segments`` is out of bounds.
    """
    if segments is not None and not 2 <= segments <= MOST_SEGMENTS:
        raise InputError(f"segments {segments}: give 2 to {MOST_SEGMENTS}, or none for automatic")
    profiles = profile.frame(folder, as_of).sort_index()
    buyers, left_out = ordinary(_buyers(profiles))
    values = _values(buyers, seed)
    groups = rfm(profiles)["rfm_segment"].loc[values.index]
    ready = _requirements(values, segments or domains.load().segments.fewest)
    card = _card(folder, values, segments, seed) | {"left_out": left_out}
    version = registry.version(NAME, as_of, **card["made_of"])
    if decided := registry.decision(db, version):
        return registry.summary(version, decided)
    champion = registry.champion(db, NAME, as_of=as_of) or registry.champion(db, NAME)
    if refusal := gate.readiness(ready):
        found = Found(refusal)
    else:
        with single_thread():
            found = _find(values, groups, segments, seed, champion, _last_number(db))
    run = _run(version, as_of, card, ready, found)
    with db.transaction():
        if registry.record(db, run, run_id=run_id):
            _record_curve(db, run, found, run_id)
    return registry.summary(version, found.outcome)


@dataclass(frozen=True)
class Found:
    """What a training gave; only the outcome where it was refused."""

    outcome: Decision
    card: dict[str, Any] = field(default_factory=dict)
    artifact: bytes | None = None
    metrics: list[Metric] = field(default_factory=list)
    curve: list[Point] = field(default_factory=list)
    choice: Choice | None = None


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
    """What k-means sees of at most ``MOST_ROWS`` customers; features of one value are left out."""
    if len(buyers) > MOST_ROWS:
        drawn = np.random.default_rng(seed).choice(len(buyers), MOST_ROWS, replace=False)
        buyers = buyers.iloc[np.sort(drawn)]
    values = matrix(buyers, [name for name in naming.WORDS if name in buyers])
    return values.loc[:, values.nunique() > 1]


def _requirements(values: pd.DataFrame, segments: int) -> list[Requirement]:
    different = len(values.drop_duplicates()) if values.columns.size else 0
    return [
        Requirement("customers", max(FEWEST_CUSTOMERS, 10 * segments), len(values)),
        Requirement("different_profiles", 2 * segments, different),
    ]


def _card(folder: Path, values: pd.DataFrame, segments: int | None, seed: int) -> dict[str, Any]:
    bounds = domains.load().segments
    content = hashlib.sha256(values.to_numpy(dtype="float64").tobytes())
    content.update(values.index.to_numpy(dtype="int64").tobytes())
    return {
        "made_of": {
            "rows": len(values),
            "features": list(values.columns),
            "content": content.hexdigest()[:16],
            "parameters": {"k": segments or [bounds.fewest, bounds.most], "most_rows": MOST_ROWS},
            "seed": seed,
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


def _find(
    values: pd.DataFrame,
    groups: pd.Series,
    segments: int | None,
    seed: int,
    champion: Champion | None,
    last: int,
) -> Found:
    """Choose k, fit, judge, give keys and words."""
    bounds = domains.load().segments
    points = clusters.sample(clusters.scaled(values), clusters.SAMPLE, seed)
    most = min(max(bounds.most, segments or 0), len(np.unique(points, axis=0)) - 1)
    drawn = clusters.curve(points, most, seed=seed)
    choice = clusters.choose(drawn, bounds.fewest)
    if segments:
        choice = Choice(segments, choice.elbow, f"asked for; the elbow is {choice.elbow}")
    outcome, metrics = _judge(points, drawn, choice, seed)
    pipeline = clusters.fit(values, choice.k, seed=seed)
    old = _old_keys(champion, values)
    keys, last = keep_keys(pipeline, values, old, last)
    card = _words(pipeline, values, groups, keys) | {
        "k": choice.k,
        "choice": choice.reason,
        "last_number": last,
        "retired": sorted(set(old.dropna()) - set(keys)),
    }
    artifact = store.dumps({"published": pipeline})
    return Found(outcome, card, artifact, metrics, drawn, choice)


def _judge(
    points: Numbers, drawn: list[Point], choice: Choice, seed: int
) -> tuple[Decision, list[Metric]]:
    steady = next(point.stability or 0.0 for point in drawn if point.k == choice.k)
    clear, shuffled = clusters.structure(points, choice.k, seed=seed)
    figures = [
        Metric("test", "silhouette", "all", clear, shuffled),
        Metric("test", "stability", "all", steady, STEADY),
    ]
    if steady < STEADY:
        reason = f"stability {steady:.2f} of {choice.k} segments is under {STEADY}"
        return Decision(False, "rejected", reason), figures
    said = gate.decide(clear, None, shuffled, margin=CLEARER)
    if not said.promoted:
        reason = (
            f"silhouette {clear:.3f} is not clearly above {shuffled:.3f}, that of shuffled values"
        )
        return Decision(False, "rejected", reason), figures
    reason = (
        f"{choice.k} segments: {choice.reason}; silhouette {clear:.3f}, shuffled {shuffled:.3f}"
    )
    return Decision(True, "promoted", reason), figures


def _old_keys(champion: Champion | None, values: pd.DataFrame) -> pd.Series:
    """The key that each customer would have with the champion; null without a usable one."""
    if champion is None or champion.artifact is None or outdated(champion, values):
        return pd.Series(None, index=values.index, dtype="object")
    pipeline = store.loads(champion.artifact)["published"]
    labels = pipeline.predict(values[fitted_features(pipeline)])
    return pd.Series(np.array(champion.card["keys"], dtype="object")[labels], index=values.index)


def keep_keys(
    pipeline: Pipeline, values: pd.DataFrame, old: pd.Series, last: int
) -> tuple[list[str], int]:
    """A key for each centre: that of the old segment which now lies nearest, or a new number.

    Old segments are placed by the mean of today's customers that they would hold, in the space of
    the new centres, so that both are compared on one scale. Pairs are made so that the distances
    add up to the least; a pair further apart than ``SAME`` a feature is none.

    Parameters
    ----------
    old : the key that each customer of ``values`` would have with the champion, or null.
    last : the highest number ever given; new keys go on from it, larger spenders first.

    Returns
    -------
    The keys in the order of the centres, and the highest number now.
    """
    space, centres = pipeline[:-1].transform(values), pipeline[-1].cluster_centers_
    keys: list[str | None] = [None] * len(centres)
    places = pd.DataFrame(space, index=values.index).groupby(old).mean()
    if len(places):
        apart = cdist(places.to_numpy(), centres) / np.sqrt(space.shape[1])
        for row, column in zip(*linear_sum_assignment(apart), strict=True):
            if apart[row, column] <= SAME:
                keys[column] = str(places.index[row])
    spend = values["revenue"].to_numpy() if "revenue" in values else space[:, 0]
    means = [spend[pipeline[-1].labels_ == number].mean() for number in range(len(centres))]
    for number in np.argsort(-np.array(means), kind="stable"):
        if keys[number] is None:
            last += 1
            keys[number] = f"s{last}"
    return [str(key) for key in keys], last


def _words(
    pipeline: Pipeline, values: pd.DataFrame, groups: pd.Series, keys: list[str]
) -> dict[str, Any]:
    labels = pipeline[-1].labels_
    columns = fitted_features(pipeline)
    numbers = range(len(keys))
    most = [dominant(groups[labels == number]) for number in numbers]
    return {
        "keys": keys,
        "names": naming.names(pipeline[-1].cluster_centers_, columns, most),
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
