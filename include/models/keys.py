"""Keys of segments that survive a retraining, though every fit numbers its groups anew.

Two things say that a new segment is an old one: it lies where that one lies, or it holds the
customers whom that one held. The first holds where customers come and go, the second where all of
them moved together. Both are asked of those who had a key before, not of newcomers: a thousand of
them who are like nobody yet would be counted to the nearest old segment and take its key along.
"""

from datetime import date

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from include.models.groupings import Labels, Numbers
from include.models.registry import Connection

SAME = 0.5  # deviations a feature that a segment may move and keep its key
SHARED = 0.5  # of the customers of both; more than half can be shared with one segment only


def keep_keys(
    space: Numbers,
    labels: Labels,
    spend: Numbers,
    old: pd.Series,
    last: int,
    *,
    published: pd.Series | None = None,
) -> tuple[list[str], int]:
    """A key for each group: that of the old segment that it goes on from, or a new number.

    Pairs are made so that what speaks for them adds up to the most. A pair stands if the centres
    are no further apart than ``SAME`` a feature, or if more than ``SHARED`` of the customers are
    the same.

    Parameters
    ----------
    space, labels : the customers learned from and the group of each.
    spend : what each has spent; new keys go to larger spenders first.
    old : the key that each of them would have with the champion, or null. An old segment is placed
        by the mean of those whom it would hold today, so that both are compared on one scale.
    last : the highest number ever given; new keys go on from it.
    published : the key that each of them was published with, null for a newcomer. Where nobody
        was, the keys of the champion stand in for it.

    Returns
    -------
    The keys in the order of the groups, and the highest number now.
    """
    members = old if published is None or published.isna().all() else published
    known = sorted({*old.dropna(), *members.dropna()})
    numbers = range(int(labels.max()) + 1)
    keys: list[str | None] = [None] * len(numbers)
    if known:
        apart = _apart(space, labels, old, members.notna(), known)
        shared = _shared(labels, members, known)
        fit = shared + np.clip(1 - apart / (2 * SAME), 0, None)
        for row, column in zip(*linear_sum_assignment(-fit), strict=True):
            if apart[row, column] <= SAME or shared[row, column] > SHARED:
                keys[column] = known[row]
    means = [float(spend[labels == number].mean()) for number in numbers]
    for number in np.argsort(-np.array(means), kind="stable"):
        if keys[number] is None:
            last += 1
            keys[number] = f"s{last}"
    return [str(key) for key in keys], last


def _apart(
    space: Numbers, labels: Labels, old: pd.Series, met: pd.Series, known: list[str]
) -> Numbers:
    """Deviations a feature between old segments (rows) and new ones; infinite where nobody is.

    An old segment lies where those lie who were ``met`` before; if there are none, all of them.
    """
    frame = pd.DataFrame(space, index=old.index)
    places = frame.groupby(old.where(met)).mean().reindex(known)
    places = places.fillna(frame.groupby(old).mean())
    new = frame.groupby(np.asarray(labels)).mean()
    found = cdist(places.to_numpy(), new.to_numpy()) / np.sqrt(space.shape[1])
    return np.asarray(np.nan_to_num(found, nan=np.inf), dtype="float64")


def _shared(labels: Labels, members: pd.Series, known: list[str]) -> Numbers:
    """The share of the customers of either that both hold, of those who had a key before."""
    had = members.notna().to_numpy()
    both = pd.crosstab(members[had], labels[had])
    both = both.reindex(index=known, columns=range(int(labels.max()) + 1), fill_value=0)
    count = both.to_numpy(dtype="float64")
    either = count.sum(axis=1, keepdims=True) + count.sum(axis=0, keepdims=True) - count
    found: Numbers = np.divide(count, either, out=np.zeros_like(count), where=either > 0)
    return found


def published(
    db: Connection, customers: pd.Index, as_of: date, *, since: date | None = None
) -> pd.Series:
    """The key of a learned segment under which each customer was published on a day, or null.

    Who was first published after ``since``, the day of the champion, is a newcomer whatever the
    champion called them: null.
    """
    with db.transaction():
        rows = db.execute(
            r"""SELECT customer_id, segment_key FROM (
                   SELECT *, min(from_as_of) OVER (PARTITION BY customer_id) AS first_as_of
                   FROM mart.customer_segment_history
               ) AS told
               WHERE segment_key ~ '^s[0-9]+$' AND from_as_of <= %(day)s
               AND (to_as_of IS NULL OR to_as_of > %(day)s)
               AND first_as_of <= coalesce(%(since)s, first_as_of)""",
            {"day": as_of, "since": since},
        ).fetchall()
    return pd.Series(dict(rows), dtype="object").reindex(customers)
