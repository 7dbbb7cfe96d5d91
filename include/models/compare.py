"""Every algorithm on the same dated split: learned from past days, measured on the later one.

Which algorithm is used stays the domain's choice; this says what another one would have given.
"""

import logging
from collections.abc import Callable

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from include.models import metrics
from include.models.base import ALGORITHMS, Model
from include.models.registry import Metric

log = logging.getLogger(__name__)

MOST_ROWS = 20_000  # learned from, and again measured on: ranks algorithms as well as all rows do
FEWEST = 20  # of each answer in them: with fewer, chance ranks the algorithms


def compare(
    make: Callable[[str], Model],
    past: tuple[pd.DataFrame, pd.Series],
    later: tuple[pd.DataFrame, pd.Series],
    *,
    seed: int,
) -> list[Metric]:
    """AUC, average precision, Brier and lift at 10 % of each algorithm, beside the naive score.

    Parameters
    ----------
    make : gives an unfitted model of an algorithm.
    past, later : dated profiles and their labels, both answers in each; at most ``MOST_ROWS`` of
        them are used, drawn with both answers in their share, the same for every algorithm.

    Returns
    -------
    Metrics of the split ``compared``, the slice ``algorithm=<name>``; none where an
    answer is too rare in what was drawn.
    """
    learned, judged = drawn(*past, seed), drawn(*later, seed)
    rarest = min(int(each.value_counts().min()) for _, each in (learned, judged))
    if rarest < FEWEST:
        log.info("not compared: %d of an answer are too few, %d are needed", rarest, FEWEST)
        return []
    labels = judged[1].to_numpy()
    found = []
    for name in ALGORITHMS:
        model = make(name).fit(*learned, seed=seed)
        figures = metrics.headline(labels, model.score(judged[0]).to_numpy())
        naive = metrics.headline(labels, model.naive(judged[0]).to_numpy(dtype="float64"))
        naive.pop("brier")  # a rank is no probability
        found += [
            Metric("compared", metric, f"algorithm={name}", value, naive.get(metric))
            for metric, value in figures.items()
        ]
        log.info("%s by %s: AUC %.4f", model.name, name, figures["auc"])
    sizes = len(learned[1]), len(past[1]), len(judged[1]), len(later[1])
    log.info("compared on %d of %d past and %d of %d later rows", *sizes)
    return found


def drawn(profiles: pd.DataFrame, labels: pd.Series, seed: int) -> tuple[pd.DataFrame, pd.Series]:
    """At most ``MOST_ROWS`` rows in their order, with both answers in their share."""
    if len(labels) <= MOST_ROWS:
        return profiles, labels
    rows, _ = train_test_split(
        np.arange(len(labels)), train_size=MOST_ROWS, stratify=labels, random_state=seed
    )
    rows = np.sort(rows)
    return profiles.iloc[rows], labels.iloc[rows]
