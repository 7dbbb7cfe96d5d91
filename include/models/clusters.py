"""How many segments there are, and where: k-means on scaled features, k by elbow and stability."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.cluster import KMeans
from sklearn.impute import SimpleImputer
from sklearn.metrics import adjusted_rand_score, silhouette_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import PowerTransformer

Numbers = npt.NDArray[np.float64]

SAMPLE = 10_000  # customers that the curve is drawn from
SILHOUETTE = 2_000  # of them; its cost grows with the square
HALVES = 5
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


def fit(values: pd.DataFrame, k: int, *, seed: int) -> Pipeline:
    """Segments of all rows: gaps filled, each feature made as normal as it gets, k centres."""
    pipeline = make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True),
        PowerTransformer(),
        KMeans(k, n_init=10, random_state=seed),
    )
    return pipeline.fit(values)


def scaled(values: pd.DataFrame) -> Numbers:
    """The space that the centres will lie in: (rows, features), about 0 with deviation 1."""
    scale = make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True), PowerTransformer()
    )
    return np.asarray(scale.fit_transform(values), dtype="float64")


def sample(points: Numbers, size: int, seed: int) -> Numbers:
    """At most ``size`` rows, in their order."""
    if len(points) <= size:
        return points
    drawn = np.random.default_rng(seed).choice(len(points), size, replace=False)
    return points[np.sort(drawn)]


def curve(points: Numbers, most: int, *, seed: int) -> list[Point]:
    """Inertia, silhouette and stability for 1 to ``most`` segments of scaled ``points``."""
    return [_point(points, k, seed) for k in range(1, most + 1)]


def _point(points: Numbers, k: int, seed: int) -> Point:
    fitted = KMeans(k, n_init=4, random_state=seed).fit(points)
    if k == 1:
        return Point(k, float(fitted.inertia_), None, None)
    return Point(
        k,
        float(fitted.inertia_),
        silhouette(points, fitted.labels_, seed),
        stability(points, fitted.labels_, k, seed),
    )


def silhouette(points: Numbers, labels: npt.NDArray[np.int32], seed: int) -> float | None:
    """Mean silhouette on a sample; None where it holds one segment only, or one for each row."""
    rows = np.arange(len(points))
    if len(points) > SILHOUETTE:
        rows = np.random.default_rng(seed).choice(rows, SILHOUETTE, replace=False)
    if not 1 < len(np.unique(labels[rows])) < len(rows):
        return None
    return float(silhouette_score(points[rows], labels[rows]))


def stability(points: Numbers, labels: npt.NDArray[np.int32], k: int, seed: int) -> float:
    """Mean adjusted Rand index between these segments and those that random halves give."""
    agreement = []
    for number in range(HALVES):
        draw = np.random.default_rng([seed, number])
        half = points[np.sort(draw.choice(len(points), max(k, len(points) // 2), replace=False))]
        refitted = KMeans(k, n_init=2, random_state=seed).fit(half)
        agreement.append(adjusted_rand_score(labels, refitted.predict(points)))
    return float(np.mean(agreement))


def structure(points: Numbers, k: int, *, seed: int) -> tuple[float, float]:
    """Silhouette of k segments, and of the same values shuffled column by column.

    Shuffling keeps each feature and breaks what they have in common: segments that are no clearer
    than that only cut single features into pieces.
    """
    draw = np.random.default_rng(seed)
    shuffled = np.column_stack([draw.permutation(column) for column in points.T])
    figures = []
    for given in (points, shuffled):
        labels = KMeans(k, n_init=4, random_state=seed).fit_predict(given)
        figures.append(silhouette(given, labels, seed) or 0.0)
    return figures[0], figures[1]


def choose(points: list[Point], fewest: int) -> Choice:
    """The elbow if it is stable, else the stable number next to it, else the most stable.

    The elbow is where the inertia lies furthest below the line from its first to its last value.
    Only ``fewest`` and more are taken.
    """
    allowed = [point for point in points if point.k >= fewest]
    elbow = _elbow(points, fewest)
    steady = {point.k: point.stability or 0.0 for point in allowed}
    stable = [k for k, agreement in steady.items() if agreement >= STABLE]
    if elbow in stable:
        return Choice(elbow, elbow, f"the elbow, stable at {steady[elbow]:.2f}")
    if stable:
        k = min(stable, key=lambda k: (abs(k - elbow), k))
        reason = f"the elbow {elbow} is not stable ({steady[elbow]:.2f}); next to it {k} is"
        return Choice(k, elbow, f"{reason} ({steady[k]:.2f})")
    k = max(steady, key=lambda k: (steady[k], -k))
    return Choice(k, elbow, f"none is stable; the most stable, at {steady[k]:.2f}")


def _elbow(points: list[Point], fewest: int) -> int:
    ks = np.array([point.k for point in points], dtype="float64")
    inertia = np.array([point.inertia for point in points])
    line = np.interp(ks, ks[[0, -1]], inertia[[0, -1]])
    below = np.where(ks >= fewest, line - inertia, -np.inf)
    return int(ks[int(np.argmax(below))])
