"""Groups joined by pairs of records, the surest pair first, never against a claim.

Pure. Which pairs hold depends on the set of pairs alone, not on the order in which they came.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Allowed = frozenset[tuple[int, int]]


@dataclass(frozen=True)
class Pairs:
    """Two places of records each, and how sure it is that they are one person."""

    l: Ints  # noqa: E741
    r: Ints
    weight: Floats  # log2 of the odds

    def __len__(self) -> int:
        return len(self.l)


NO_PAIRS = Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))


def join(
    labels: Ints, pairs: Pairs, claims: pd.DataFrame, *, most: int, unless: Allowed = frozenset()
) -> tuple[Ints, Flags]:
    """Groups after joining those that a pair links, and which pairs did it.

    Parameters
    ----------
    labels : the group of each record so far.
    claims : record, namespace, person_key; two groups that both have a claim in one namespace are
        joined only if they claim the same there.
    most : records of a group beyond which no pair makes it larger.
    unless : claims that do not tell two groups apart, as (smaller, larger).
    """
    joined = _components(labels, pairs)
    used: Flags = labels[pairs.l] != labels[pairs.r]
    touched = np.isin(joined[claims["record"].to_numpy(np.int64)], joined[pairs.l[used]])
    doubtful = _torn(labels, joined, claims[touched]) | _large(joined, most)
    unsure = np.flatnonzero(used & doubtful[joined[pairs.l]])
    if len(unsure):
        order = np.lexsort((pairs.r[unsure], pairs.l[unsure], -pairs.weight[unsure]))
        for at in _refused(labels, pairs, unsure[order], claims, most=most, unless=unless):
            used[at] = False
        kept = Pairs(pairs.l[used], pairs.r[used], pairs.weight[used])
        joined = _components(labels, kept)
    return joined, used


def _components(labels: Ints, pairs: Pairs) -> Ints:
    size = int(labels.max(initial=-1)) + 1
    edge = (labels[pairs.l], labels[pairs.r])
    graph = coo_array((np.ones(len(pairs), dtype=np.int8), edge), shape=(size, size))
    component: Ints = connected_components(graph, directed=False)[1].astype(np.int64)
    return component[labels]


def _torn(labels: Ints, joined: Ints, claims: pd.DataFrame) -> Flags:
    """Of each joined group, whether several of its old groups claim different things."""
    torn = np.zeros(int(joined.max(initial=-1)) + 1, dtype=bool)
    record = claims["record"].to_numpy(np.int64)
    frame = claims.assign(group=joined[record], label=labels[record])
    counts = frame.groupby(["group", "namespace"])[["person_key", "label"]].nunique()
    several = counts.index[(counts["person_key"] > 1) & (counts["label"] > 1)]
    torn[several.get_level_values("group").to_numpy(np.int64)] = True
    return torn


def _large(joined: Ints, most: int) -> Flags:
    large: Flags = np.bincount(joined, minlength=int(joined.max(initial=-1)) + 1) > most
    return large


def _refused(
    labels: Ints,
    pairs: Pairs,
    order: Ints,
    claims: pd.DataFrame,
    *,
    most: int,
    unless: Allowed,
) -> Iterator[int]:
    """The pairs, taken in ``order``, that would join what must stay apart or grow too large."""
    parent: dict[int, int] = {}

    def root(label: int) -> int:
        while (above := parent.get(label, label)) != label:
            parent[label] = label = parent.get(above, above)
        return label

    among = np.unique(labels[np.concatenate([pairs.l[order], pairs.r[order]])])
    size = dict(enumerate(np.bincount(labels, minlength=int(among.max(initial=0)) + 1).tolist()))
    owners = _owners(labels, among, claims)
    for at in order.tolist():
        one, other = root(int(labels[pairs.l[at]])), root(int(labels[pairs.r[at]]))
        if one == other:
            continue
        mine, theirs = owners.get(one, {}), owners.get(other, {})
        against = any(
            mine[shared] != theirs[shared]
            and unless.isdisjoint(_sorted(mine[shared], theirs[shared]))
            for shared in mine.keys() & theirs.keys()
        )
        if against or size[one] + size[other] > most:
            yield at
            continue
        parent[other] = one
        size[one] += size[other]
        owners[one] = {
            name: mine.get(name, set()) | theirs.get(name, set()) for name in mine | theirs
        }


def _owners(labels: Ints, among: Ints, claims: pd.DataFrame) -> dict[int, dict[int, set[int]]]:
    """What each of the groups ``among`` claims in each namespace."""
    owned = claims[np.isin(labels[claims["record"].to_numpy(np.int64)], among)]
    owners: dict[int, dict[int, set[int]]] = {}
    for record, namespace, key in zip(
        owned["record"], owned["namespace"], owned["person_key"], strict=True
    ):
        owners.setdefault(int(labels[record]), {}).setdefault(namespace, set()).add(key)
    return owners


def _sorted(some: set[int], others: set[int]) -> Iterator[tuple[int, int]]:
    return ((min(a, b), max(a, b)) for a in some for b in others)
