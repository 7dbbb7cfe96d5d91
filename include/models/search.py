"""A bounded search for an algorithm's parameters, by cross-validation over dates.

Each of the newest days that were learned from is foreseen from days whose label windows end by it.
The test day of a version is not among them: no parameter is chosen by what it will be tested on.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import ParameterGrid, ParameterSampler

from include.models import metrics
from include.models.algorithms import ALGORITHMS, SPACES, learner
from include.models.base import Model
from include.models.compare import FEWEST, drawn
from include.models.examples import Examples
from include.models.registry import Metric

log = logging.getLogger(__name__)

MOST_DAYS = 3  # foreseen: an older one says less of today, and each costs a fit a trial
CHOOSING_DAYS = 2  # by which an algorithm is chosen: each costs a fit of both
PATIENCE = 5  # trials in a row that bring nothing end the search
# AUC by which the algorithm's own parameters must be beaten, and by a standard error too. A day of
# 3,000 customers tells two settings apart to about .002, and the best of 20 is better by two or
# more of these by luck; an error told by three days, or one, is itself a guess.
MARGIN = 0.005

EXACT = ("logistic", "boosting")  # what `auto` chooses from: both can say why; the simpler first

Parameters = dict[str, Any]
Judge = Callable[[Parameters], list[float]]  # the AUC on each fold


@dataclass(frozen=True)
class Fold:
    """A past day, and what was known by then; at most ``compare.MOST_ROWS`` rows of each."""

    day: date
    earlier: tuple[pd.DataFrame, pd.Series]
    later: tuple[pd.DataFrame, pd.Series]


@dataclass(frozen=True)
class Found:
    """The parameters chosen ({}: the algorithm's own), with the AUC on each fold of both."""

    parameters: Parameters
    figures: list[float]
    own: list[float]
    tried: int


def best(
    make: Callable[[], Model], past: Examples, horizon_days: int, *, trials: int, seed: int
) -> tuple[Parameters, list[Metric]]:
    """The parameters that foresee past days best, and how well, beside the algorithm's own.

    Parameters
    ----------
    make : gives an unfitted model; its algorithm says what is searched.
    past : dated profiles that a version learns from, without its test day.
    horizon_days : how far the labels look.
    trials : settings drawn at most, beside the algorithm's own.

    Returns
    -------
    JSON-able parameters, {} for the algorithm's own, and the AUC of each day, split
    ``cross_validated``, slice ``as_of=<day>``; no metrics where nothing was searched.
    """
    model = make()
    folds = list(_folds(past, horizon_days, seed)) if trials else []
    if not folds:
        log.info("%s: no search, %d trials on %d days", model.name, trials, len(folds))
        return {}, []

    def judge(parameters: Parameters) -> list[float]:
        return [_foreseen(using(make, parameters)(), fold, seed) for fold in folds]

    found = pick(model.algorithm, judge, trials=trials, seed=seed)
    log.info(
        "%s by %s: %d of %d trials on %d days, AUC %.4f, own %.4f, parameters %s",
        *(model.name, model.algorithm, found.tried, trials, len(folds)),
        *(np.mean(found.figures), np.mean(found.own), found.parameters or "its own"),
    )
    return found.parameters, [
        Metric("cross_validated", "auc", f"as_of={fold.day}", value, own)
        for fold, value, own in zip(folds, found.figures, found.own, strict=True)
    ]


def algorithm(
    make: Callable[[str], Model], past: Examples, horizon_days: int, *, seed: int
) -> tuple[str, list[Metric]]:
    """The one of ``EXACT`` that foresees past days best; the first unless another is really better.

    Without a day that can be foreseen from earlier ones: the first. Returns its name and the AUC of
    each on each day, split ``cross_validated``, slice ``algorithm=<name> as_of=<day>``.
    """
    folds = list(islice(_folds(past, horizon_days, seed), CHOOSING_DAYS))
    if not folds:
        return EXACT[0], []
    figures = {name: [_foreseen(make(name), fold, seed) for fold in folds] for name in EXACT}
    best = max(EXACT, key=lambda name: (np.mean(figures[name]), -EXACT.index(name)))
    if best != EXACT[0] and not _really_better(figures[best], figures[EXACT[0]]):
        best = EXACT[0]
    log.info("%s: %s of %s", make(best).name, best, {k: np.mean(v) for k, v in figures.items()})
    return best, [
        Metric("cross_validated", "auc", f"algorithm={name} as_of={fold.day}", value, None)
        for name, values in figures.items()
        for fold, value in zip(folds, values, strict=True)
    ]


def using(make: Callable[[], Model], parameters: Parameters) -> Callable[[], Model]:
    """``make`` with the algorithm's parameters set."""

    def made() -> Model:
        model = make()
        model.parameters = parameters
        return model

    return made


def pick(algorithm: str, judge: Judge, *, trials: int, seed: int) -> Found:
    """The best of the algorithm's own parameters and those drawn; its own unless really beaten."""
    own = judge({})
    leading, figures, idle, tried = Parameters(), own, 0, 0
    for parameters in settings(algorithm, trials, seed):
        given, tried = judge(parameters), tried + 1
        if np.mean(given) > np.mean(figures):
            leading, figures, idle = parameters, given, 0
        else:
            idle += 1
        if idle == PATIENCE:
            break
    if not _really_better(figures, own):
        return Found({}, own, own, tried)
    return Found(leading, figures, own, tried)


def settings(algorithm: str, trials: int, seed: int) -> list[Parameters]:
    """At most ``trials`` settings of the algorithm's space, drawn; none twice, and not its own."""
    space = SPACES[algorithm]
    own = learner(ALGORITHMS[algorithm](seed)).get_params()
    size = len(ParameterGrid(space))
    found = [
        dict(sorted(each.items()))
        for each in ParameterSampler(space, min(trials + 1, size), random_state=seed)
        if any(_plain(own[name]) != value for name, value in each.items())
    ]
    return found[:trials]


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _really_better(figures: list[float], own: list[float]) -> bool:
    gains = np.subtract(figures, own)
    error = gains.std(ddof=1) / np.sqrt(len(gains)) if len(gains) > 1 else 0.0
    return bool(gains.mean() > max(MARGIN, error))


def _folds(past: Examples, horizon_days: int, seed: int) -> Iterator[Fold]:
    """The newest days of ``past`` that can be foreseen from earlier ones, the newest first."""
    days = past.labels.index.get_level_values(0)
    count = 0
    for day in sorted(days.unique(), reverse=True):
        known = [one for one in days.unique() if one + timedelta(days=horizon_days) <= day]
        earlier, later = past.only(days.isin(known)), past.only(days == day)
        if min(earlier.rarest, later.rarest) < FEWEST:
            continue
        yield Fold(day, *(drawn(each.profiles, each.labels, seed) for each in (earlier, later)))
        count += 1
        if count == MOST_DAYS:
            return


def _foreseen(model: Model, fold: Fold, seed: int) -> float:
    """The AUC on the fold's day of a model that learned from the days before."""
    profiles, labels = fold.later
    return metrics.auc(labels, model.fit(*fold.earlier, seed=seed).score(profiles))
