"""Ways to group scaled customers: each gives what puts any customer into one of its groups.

The domain file or the form names one of ``ALGORITHMS``; the curve, the gate and the keys treat
them alike.
"""

from collections.abc import Callable
from functools import partial
from typing import Protocol

import numpy as np
import numpy.typing as npt
from sklearn.cluster import HDBSCAN, KMeans, MiniBatchKMeans
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KNeighborsClassifier

from include.errors import InputError

Numbers = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

DENSE_SAMPLE = 5_000  # customers whose density is looked at; its cost grows with the square
DENSE_SHARES = (0.25, 0.2, 0.15, 0.1, 0.07, 0.05, 0.03, 0.02, 0.01)  # smallest group, of all
DENSE_NEIGHBOURS = 10
VOTES = 5
STARTS = 5  # of which the best is kept


class Grouping(Protocol):
    """A fitted estimator of scikit-learn that numbers groups from 0 on."""

    def predict(self, points: Numbers) -> Labels:
        """Return the group of each point, of shape (rows, features)."""


class Maker(Protocol):
    """Groups points, of shape (rows, features)."""

    def __call__(self, points: Numbers, *, seed: int) -> Grouping:
        """Return the fitted grouping."""


def sample(points: Numbers, size: int, seed: int) -> Numbers:
    """At most ``size`` rows, in their order."""
    if len(points) <= size:
        return points
    drawn = np.random.default_rng(seed).choice(len(points), size, replace=False)
    return points[np.sort(drawn)]


def kmeans(points: Numbers, *, k: int, seed: int) -> Grouping:
    """Round groups of about equal width: the nearest centre."""
    found: Grouping = KMeans(k, n_init=STARTS, random_state=seed).fit(points)
    return found


def minibatch(points: Numbers, *, k: int, seed: int) -> Grouping:
    """K-means that looks at a few thousand customers at a time."""
    made = MiniBatchKMeans(k, batch_size=4096, n_init=STARTS, random_state=seed)
    found: Grouping = made.fit(points)
    return found


def gaussian_mixture(points: Numbers, *, k: int, seed: int) -> Grouping:
    """Groups of any width and slant: the likeliest bell."""
    # the floor keeps a bell from closing in on customers who are all alike
    made = GaussianMixture(k, n_init=STARTS // 2, reg_covar=1e-2, random_state=seed)
    found: Grouping = made.fit(points)
    return found


def dense(points: Numbers, *, share: float, seed: int) -> Grouping:
    """Groups of any shape with thinly settled space between; of at least ``share`` of all.

    HDBSCAN leaves customers out and knows no new ones: everyone gets the group of most of the
    nearest that are in one.
    """
    drawn = sample(points, DENSE_SAMPLE, seed)
    size = max(DENSE_NEIGHBOURS, int(share * len(drawn)))
    neighbours = min(DENSE_NEIGHBOURS, len(drawn))
    labels = HDBSCAN(size, min_samples=neighbours, copy=True).fit_predict(drawn)
    inside = labels >= 0
    if not inside.any():
        labels, inside = np.zeros_like(labels), np.ones_like(inside)
    # by brute force: the tree is no type that store.py allows
    nearest = KNeighborsClassifier(min(VOTES, int(inside.sum())), algorithm="brute")
    found: Grouping = nearest.fit(drawn[inside], labels[inside])
    return found


def _by_count(points: Numbers, most: int, seed: int) -> dict[int, Maker]:
    """By the number of groups that each smallest size gives; of equals the largest size."""
    found: dict[int, Maker] = {}
    for share in DENSE_SHARES:
        make = partial(dense, share=share)
        k = len(np.unique(make(points, seed=seed).predict(points)))
        if 2 <= k <= most:
            found.setdefault(k, make)
    return dict(sorted(found.items()))


ALGORITHMS: dict[str, Callable[..., Grouping]] = {
    "kmeans": kmeans,
    "minibatch": minibatch,
    "gaussian_mixture": gaussian_mixture,
    "hdbscan": dense,
}


def makers(algorithm: str, points: Numbers, most: int, *, seed: int) -> dict[int, Maker]:
    """What makes each number of groups, from 2 to ``most``, that ``algorithm`` can make.

    Raises
    ------
    InputError
        If no algorithm has that name.
    """
    if algorithm not in ALGORITHMS:
        known = ", ".join(ALGORITHMS)
        raise InputError(f"segments: no algorithm {algorithm!r}; known: {known}")
    if ALGORITHMS[algorithm] is dense:
        return _by_count(points, most, seed)
    return {k: partial(ALGORITHMS[algorithm], k=k) for k in range(2, most + 1)}
