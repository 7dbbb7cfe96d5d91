"""Both fits of a version, and how the tested one does against its rivals on the later date."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pandas as pd

from include.models import calibration, gate, metrics, registry, store
from include.models.base import Model, left_out, single_thread
from include.models.calibration import Mending
from include.models.examples import Examples
from include.models.gate import Decision, Measured
from include.models.in_use import horizon, outdated
from include.models.registry import Champion, Metric

MOST_ROWS = 300_000  # learned from, over all days: more costs hours and memory, not accuracy
TRIAL_ROWS = 20_000  # that a fit learns from which only tells how far probabilities are off
FEWEST = 50  # of each answer, in the days learned from and again on the test day
WORN = 0.1  # calibration error beyond chance, from which on probabilities mislead

Make = Callable[[], Model]


@dataclass(frozen=True)
class Task:
    """What a version is made of and judged by."""

    horizon_days: int
    past: Examples  # learned from
    later: Examples  # judged on
    seed: int = 0


@dataclass(frozen=True)
class Judged:
    """The tested fit on the later date, beside its rivals."""

    scores: pd.Series
    naive: pd.Series
    said: Decision
    metrics: list[Metric] = field(default_factory=list)


@dataclass(frozen=True)
class Fits:
    """The two fits of a version, and how each was mended."""

    tested: Model
    published: Model
    mended: dict[str, Mending | None]

    @property
    def artifact(self) -> bytes:
        """Both pipelines, as they are stored."""
        return store.dumps({
            "published": self.published.pipeline,
            "tested": self.tested.pipeline,
        })

    @property
    def card(self) -> dict[str, Any]:
        """What was mended, JSON-able."""
        return {name: calibration.card(each) for name, each in self.mended.items()}


def fit(make: Make, task: Task) -> Fits:
    """The tested fit, of the past days, and the published one, of the later date as well."""
    past, later = task.past, task.later
    measured, mending = tested(make, task)
    raw = measured.score(later.profiles)
    measured.pipeline = calibration.mend(measured.pipeline, mending)
    published = make().fit(*_learned(past, later.without(left_out()), task.seed), seed=task.seed)
    again = calibration.learn(raw, published.score(later.profiles), later.labels)
    published.pipeline = calibration.mend(published.pipeline, again)
    return Fits(measured, published, {"tested": mending, "published": again})


def _learned(past: Examples, later: Examples, seed: int) -> tuple[pd.DataFrame, pd.Series]:
    """At most ``MOST_ROWS`` of both, each in its share."""
    rows = len(past.labels) + len(later.labels)
    both = [each.at_most(MOST_ROWS * len(each.labels) // rows, seed) for each in (past, later)]
    return pd.concat([each.profiles for each in both]), pd.concat([each.labels for each in both])


def tested(make: Make, task: Task) -> tuple[Model, Mending | None]:
    """The fit that has not seen the later date, and how it is to be mended."""
    fitted = make().fit(task.past.profiles, task.past.labels, seed=task.seed)
    return fitted, _mend(make, fitted, task)


def _mend(make: Make, fitted: Model, task: Task) -> Mending | None:
    """How to mend a fit by the newest day learned from, as foreseen from days before it."""
    past = task.past
    days = past.labels.index.get_level_values(0)
    before = [day for day in days.unique() if day + timedelta(task.horizon_days) <= max(days)]
    earlier, newest = past.only(days.isin(before)), past.only(days == max(days))
    if min(earlier.rarest, newest.rarest) < FEWEST:
        return None
    earlier = earlier.at_most(TRIAL_ROWS, task.seed)
    trial = make().fit(earlier.profiles, earlier.labels, seed=task.seed)
    foreseen, known = trial.score(newest.profiles), fitted.score(newest.profiles)
    return calibration.learn(foreseen, known, newest.labels)


def judge(tested: Model, champion: Champion | None, empty: Model, task: Task) -> Judged:
    """Every figure of the later date, and what the gate says by the AUC.

    The baselines are the naive score and what scores without any meaning reach by chance.
    """
    later, rate = task.later, float(task.past.labels.mean())
    scores, naive = tested.score(later.profiles), tested.naive(later.profiles)
    rival, why = _rival(champion, empty, task)
    rivals = {"challenger": scores, "naive": naive}
    if rival is not None:
        rivals["champion"] = rival
    ranked = {name: gate.ranking(later.labels, each) for name, each in rivals.items()}
    with single_thread():
        found = gate.measured(ranked, len(later.labels), seed=task.seed)
    chance = Measured.fixed(metrics.chance(later.labels))
    said = gate.decide(
        found["challenger"],
        found.get("champion"),
        {"naive": found["naive"], "chance": chance},
        worn=_worn(later.labels, scores, rival),
    )
    said = Decision(said.promoted, said.decision, f"AUC {said.reason}{why}")
    figures = metrics.measure(later.profiles, later.labels, scores, naive, rate=rate)
    return Judged(scores, naive, said, [*figures, *registry.intervals("auc", found)])


def _rival(champion: Champion | None, empty: Model, task: Task) -> tuple[pd.Series | None, str]:
    """The champion's scores of the later date, or None and why there are none."""
    if champion is None or champion.artifact is None:
        return None, ""
    profiles = task.later.profiles
    reason = outdated(champion, profiles)
    if reason is None and horizon(champion) != task.horizon_days:
        reason = f"its horizon is {horizon(champion)} days"
    if reason:
        return None, f"; the champion {champion.model_version} cannot be compared: {reason}"
    empty.pipeline = store.loads(champion.artifact)["tested"]
    return empty.score(profiles), ""


def _worn(labels: pd.Series, scores: pd.Series, rival: pd.Series | None) -> str | None:
    """Why the champion should go: its probabilities mislead, those of the challenger do not."""
    if rival is None:
        return None
    answers = labels.to_numpy()
    off, now = (metrics.miscalibration(answers, each.to_numpy()) for each in (rival, scores))
    if off <= WORN or now > WORN:
        return None
    return f"its probabilities are off by {off:.2f} on average, those of the new one by {now:.2f}"
