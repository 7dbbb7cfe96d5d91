"""How many segments there are, and where: groups of scaled features, k by elbow and stability."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse.csgraph import connected_components
from scipy.stats import spearmanr
from sklearn.impute import SimpleImputer
from sklearn.metrics import adjusted_rand_score, silhouette_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import PowerTransformer

from include.models.groupings import Labels, Maker, Numbers

SAMPLE = 10_000  # customers that the curve is drawn from
SILHOUETTE = 2_000  # of them; its cost grows with the square
HALVES = 5
SHUFFLES = 20
ALIKE = 0.95  # rank correlation from which on two features say the same
STABLE = 0.8  # adjusted Rand index between fits on random halves


@dataclass(frozen=True)
class Point:
    """One number of segments that was tried."""

    k: int
    inertia: float
    silhouette: float | None  # None for a single segment
    stability: float | None


@dataclass(frozen=True)
class Choice:
    """The number of segments taken, and why, in words."""

    k: int
    elbow: int
    reason: str


def fit(values: pd.DataFrame, make: Maker, *, seed: int) -> Pipeline:
    """Segments of all rows: gaps filled, each feature made as normal as it gets, then grouped."""
    scale = _scale().fit(values)
    grouping: Any = make(np.asarray(scale.transform(values)), seed=seed)
    return make_pipeline(*(step for _, step in scale.steps), grouping)


def scaled(values: pd.DataFrame) -> Numbers:
    """The space that the centres will lie in: (rows, features), about 0 with deviation 1."""
    return np.asarray(_scale().fit_transform(values), dtype="float64")


def _scale() -> Pipeline:
    return make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True), PowerTransformer()
    )


def centres(points: Numbers, labels: Labels) -> Numbers:
    """The mean of each group's points, of shape (groups, features)."""
    found: Numbers = pd.DataFrame(points).groupby(np.asarray(labels)).mean().to_numpy("float64")
    return found


def curve(points: Numbers, makers: dict[int, Maker], *, seed: int) -> list[Point]:
    """Inertia, silhouette and stability for one segment and for each number of ``makers``."""
    alone = Point(1, _inertia(points, np.zeros(len(points), dtype="int64")), None, None)
    return [alone, *(_point(points, k, make, seed) for k, make in makers.items())]


def _point(points: Numbers, k: int, make: Maker, seed: int) -> Point:
    labels = make(points, seed=seed).predict(points)
    return Point(
        k,
        _inertia(points, labels),
        silhouette(points, labels, seed),
        stability(points, labels, make, seed),
    )


def _inertia(points: Numbers, labels: Labels) -> float:
    """The sum of squared distances to the mean of the own group."""
    _, numbers = np.unique(labels, return_inverse=True)
    return float(((points - centres(points, numbers)[numbers]) ** 2).sum())


def silhouette(points: Numbers, labels: Labels, seed: int) -> float | None:
    """Mean silhouette on a sample; None where it holds one segment only, or one for each row."""
    rows = np.arange(len(points))
    if len(points) > SILHOUETTE:
        rows = np.random.default_rng(seed).choice(rows, SILHOUETTE, replace=False)
    if not 1 < len(np.unique(labels[rows])) < len(rows):
        return None
    return float(silhouette_score(points[rows], labels[rows]))


def stability(points: Numbers, labels: Labels, make: Maker, seed: int) -> float:
    """Mean adjusted Rand index between these segments and those that random halves give."""
    agreement, least = [], len(np.unique(labels))
    for number in range(HALVES):
        draw = np.random.default_rng([seed, number])
        size = max(least, len(points) // 2)
        half = points[np.sort(draw.choice(len(points), size, replace=False))]
        refitted = make(half, seed=seed)
        agreement.append(adjusted_rand_score(labels, refitted.predict(points)))
    return float(np.mean(agreement))


def structure(points: Numbers, make: Maker, *, seed: int) -> tuple[float, Numbers]:
    """Silhouette of the segments, and those of the same values shuffled, of shape (SHUFFLES,).

    Shuffling keeps each feature and breaks what they have in common: segments that are no clearer
    than that only cut single features into pieces. Features that say the same (``ALIKE``) are
    shuffled together, else they would count as something in common.
    """
    points = points[:: -(-len(points) // SILHOUETTE)]
    blocks = _alike(points)
    shuffled = np.zeros(SHUFFLES)
    for number in range(SHUFFLES):
        draw = np.random.default_rng([seed, number])
        given = points.copy()
        for block in np.unique(blocks):
            given[:, blocks == block] = draw.permutation(points[:, blocks == block])
        shuffled[number] = _clear(given, make, seed)
    return _clear(points, make, seed), shuffled


def _clear(points: Numbers, make: Maker, seed: int) -> float:
    return silhouette(points, make(points, seed=seed).predict(points), seed) or 0.0


def _alike(points: Numbers) -> Labels:
    """The number of each feature's block: those of a block say the same, directly or in a chain."""
    ranks = np.atleast_2d(spearmanr(points).statistic) if points.shape[1] > 2 else None
    if ranks is None:  # of two columns scipy gives one number
        both = spearmanr(*points.T).statistic if points.shape[1] == 2 else 1.0
        ranks = np.array([[1.0, both], [both, 1.0]])[: points.shape[1], : points.shape[1]]
    _, blocks = connected_components(np.abs(np.nan_to_num(ranks)) >= ALIKE, directed=False)
    return np.asarray(blocks, dtype="int64")


def choose(points: list[Point], fewest: int) -> Choice:
    """The elbow if it is stable, else the stable number next to it, else the most stable.

    The elbow is where the inertia lies furthest below the line from its first to its last value.
    Of two stable numbers equally near to it the one with the higher silhouette is taken. Only
    ``fewest`` and more are taken, unless there are none.
    """
    tried = [point for point in points if point.stability is not None]
    allowed = [point for point in tried if point.k >= fewest] or tried
    clear = {point.k: point.silhouette or 0.0 for point in allowed}
    steady = {point.k: point.stability or 0.0 for point in allowed}
    elbow = _elbow(points, min(steady))
    stable = [k for k, agreement in steady.items() if agreement >= STABLE]
    if elbow in stable:
        k, reason = elbow, f"the elbow, stable at {steady[elbow]:.2f}"
    elif stable:
        k = min(stable, key=lambda k: (abs(k - elbow), -clear[k], k))
        reason = f"the elbow {elbow} is not stable ({steady[elbow]:.2f}); next to it {k} is"
        reason += f" ({steady[k]:.2f})"
    else:
        k = max(steady, key=lambda k: (steady[k], -k))
        reason = f"none is stable; the most stable, at {steady[k]:.2f}"
    clearest = max(clear, key=lambda k: (clear[k], -k))
    if clearest != k:
        reason += f"; {clearest} would be clearest, {clear[clearest]:.2f} against {clear[k]:.2f}"
    return Choice(k, elbow, reason)


def _elbow(points: list[Point], fewest: int) -> int:
    ks = np.array([point.k for point in points], dtype="float64")
    inertia = np.array([point.inertia for point in points])
    line = np.interp(ks, ks[[0, -1]], inertia[[0, -1]])
    below = np.where(ks >= fewest, line - inertia, -np.inf)
    return int(ks[int(np.argmax(below))])
