"""Pictures of a score of yes or no, held against what happened on a later date."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from include.contracts import Column
from include.models import metrics
from include.models.pictures import bars, curves, words
from include.models.pictures.boundary import boundary
from include.models.pictures.canvas import (
    BLACK,
    BLUE,
    GREY,
    ORANGE,
    SKY,
    Drawing,
    draw,
    headed,
    in_percent,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMES = ("roc", "precision_recall", "calibration", "gain", "importance", "drift", "boundary")
FIRST = 0.2  # the share of customers that the sentence above the gain speaks of


@dataclass(frozen=True)
class Judged:
    """A fitted score beside what happened on a later date; the series on one index.

    labels are 0 or 1, scores probabilities, naive any score that needs no model: the obvious
    answer. What is None is not drawn; the boundary needs importance, profiles and pipeline. ``own``
    are the columns that the model adds to those of the profile.
    """

    labels: pd.Series
    scores: pd.Series
    naive: pd.Series
    importance: pd.Series | None = None  # by feature, the more the larger
    drift: Mapping[str, float] | None = None  # PSI by feature
    profiles: pd.DataFrame | None = None
    pipeline: Pipeline | None = None
    own: Sequence[Column] = ()
    yes: str = "it happened"  # what a label of 1 means
    no: str = "it did not"
    importance_unit: str = "AUC lost when the feature is shuffled"


def score_pictures(out: Path, title: str, judged: Judged) -> list[Path]:
    """Draw what is known of a score into ``out``, a PNG file each, and return their paths.

    Without both answers nothing ranks, and only what needs no ranking is drawn.

    Parameters
    ----------
    out : the folder of the version, which appears complete or not at all.
    title : of which model and which day, in words; it heads every picture.
    """
    drawings: dict[str, Drawing] = {}
    if judged.labels.nunique() == 2:
        drawings["roc"] = partial(_roc, title=title, judged=judged)
        drawings["precision_recall"] = partial(_precision_recall, title=title, judged=judged)
    drawings["calibration"] = partial(_calibration, title=title, judged=judged)
    if judged.labels.nunique() == 2:
        drawings["gain"] = partial(_gain, title=title, judged=judged)
    if judged.importance is not None and len(judged.importance):
        drawings["importance"] = partial(
            bars.importance,
            title=title,
            found=judged.importance,
            unit=judged.importance_unit,
            own=judged.own,
        )
    if judged.drift:
        drawings["drift"] = partial(bars.drift, title=title, found=pd.Series(judged.drift))
    if (drawing := _boundary(title, judged)) is not None:
        drawings["boundary"] = drawing
    return draw(out, drawings)


def _roc(figure: "Figure", title: str, judged: Judged) -> None:
    own, obvious = (metrics.auc(judged.labels, s) for s in (judged.scores, judged.naive))
    headed(
        figure,
        f"{title} · who comes first (ROC)",
        f"Of two customers, the score puts the one for whom {judged.yes} first in "
        f"{100 * own:.0f} of 100 cases; the obvious answer does so in {100 * obvious:.0f}.",
    )
    axes = figure.subplots()
    for scores, colour, style, text in (
        (judged.scores, BLUE, "-", f"this model, AUC {own:.3f}"),
        (judged.naive, ORANGE, "--", f"obvious answer, AUC {obvious:.3f}"),
    ):
        line = curves.roc(judged.labels, scores)
        axes.plot(line.x, line.y, label=text, color=colour, linestyle=style)
    axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", linewidth=1.2, label="chance, AUC 0.5")
    axes.set(
        xlabel=f"Taken by mistake: share of those for whom {judged.no}",
        ylabel=f"Found: share of those for whom {judged.yes}",
        xlim=(0, 1),
        ylim=(0, 1.01),
    )
    in_percent(axes, x=True, y=True)
    axes.legend(loc="lower right")


def _precision_recall(figure: "Figure", title: str, judged: Judged) -> None:
    rate = float(judged.labels.mean())
    lines = [curves.precision_recall(judged.labels, s) for s in (judged.scores, judged.naive)]
    half = float(np.interp(0.5, lines[0].x, lines[0].y))
    headed(
        figure,
        f"{title} · how many are right (precision and recall)",
        f"Taking the highest scores until half of those are found for whom {judged.yes}, "
        f"{half:.0%} of the customers taken are right; drawn by chance, {rate:.0%} "
        "would be.",
    )
    axes = figure.subplots()
    axes.plot(lines[0].x, lines[0].y, color=BLUE, label="this model")
    axes.plot(lines[1].x, lines[1].y, color=ORANGE, linestyle="--", label="obvious answer")
    axes.axhline(
        rate, color=GREY, linestyle=":", linewidth=1.2, label=f"everybody: {rate:.1%} (base rate)"
    )
    axes.set(
        xlabel=f"Found: share of all for whom {judged.yes} (recall)",
        ylabel="Right: share of those taken (precision)",
        xlim=(0, 1),
        ylim=(0, 1.02),
    )
    in_percent(axes, x=True, y=True)
    axes.legend(loc="upper right")


def _calibration(figure: "Figure", title: str, judged: Judged) -> None:
    found = curves.calibration(judged.labels, judged.scores)
    headed(
        figure,
        f"{title} · can the score be read as a probability?",
        f"Foreseen on average {judged.scores.mean():.1%}, came {judged.labels.mean():.1%}. A "
        "group on the line is foreseen exactly; below it, it came less often than "
        "foreseen.",
    )
    axes, counts = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    top = min(1.0, 1.08 * max(found["foreseen"].max(), found["high"].max()))
    axes.plot([0, top], [0, top], color=GREY, linestyle=":", linewidth=1.2, label="foreseen = came")
    gaps = [found["happened"] - found["low"], found["high"] - found["happened"]]
    axes.errorbar(
        found["foreseen"],
        found["happened"],
        yerr=np.abs(gaps),
        color=BLUE,
        ecolor=SKY,
        elinewidth=2,
        capsize=3,
        marker="o",
        markersize=5,
        linewidth=1.2,
        label="tenths of the customers, with 95% interval",
    )
    axes.set(ylabel=f"Share for whom\n{judged.yes}", xlim=(0, top), ylim=(0, top))
    counts.bar(found["foreseen"], found["customers"], width=0.012 * top, color=BLUE)
    counts.set(ylabel="Customers", xlabel="Score foreseen, mean of the group")
    in_percent(axes, x=True, y=True)
    axes.legend(loc="upper left")


def _gain(figure: "Figure", title: str, judged: Judged) -> None:
    own, obvious = (curves.gain(judged.labels, s) for s in (judged.scores, judged.naive))
    share = curves.reached(own, FIRST)
    headed(
        figure,
        f"{title} · whom a campaign reaches (gain and lift)",
        f"Contacting the {FIRST:.0%} with the highest scores reaches {share:.0%} of those for "
        f"whom {judged.yes}: {share / FIRST:.1f} times as many as by chance (obvious answer: "
        f"{curves.reached(obvious, FIRST) / FIRST:.1f} times).",
    )
    reach, times = figure.subplots(1, 2)
    shares = np.linspace(0.01, 1, 100)
    for line, colour, style, text in (
        (own, BLUE, "-", "this model"),
        (obvious, ORANGE, "--", "obvious answer"),
    ):
        reach.plot(line.x, line.y, label=text, color=colour, linestyle=style)
        times.plot(shares, curves.lift(line, shares), color=colour, linestyle=style)
    rate = float(judged.labels.mean())
    reach.plot([0, rate, 1], [0, 1, 1], color=BLACK, linewidth=0.9, label="perfect")
    reach.plot([0, 1], [0, 1], color=GREY, linestyle=":", linewidth=1.2, label="chance")
    times.axhline(1, color=GREY, linestyle=":", linewidth=1.2)
    reach.set(ylabel=f"Reached of those for whom {judged.yes}", xlim=(0, 1), ylim=(0, 1.01))
    times.set(ylabel="Times as many as by chance (lift)", xlim=(0, 1), ylim=(0, None))
    in_percent(reach, x=True, y=True)
    in_percent(times, x=True)
    for axes in (reach, times):
        axes.set_xlabel("Share of customers contacted")
    reach.legend(loc="lower right")


def _boundary(title: str, judged: Judged) -> Drawing | None:
    """None where it is not known what to draw, or no two features differ."""
    if judged.importance is None or judged.profiles is None or judged.pipeline is None:
        return None
    chosen = curves.plane(judged.importance, judged.profiles, judged.pipeline)
    if len(chosen) < 2:
        return None
    across, up = chosen
    found = curves.grid(judged.pipeline, judged.profiles, across, up)
    points = judged.profiles[[across, up]].astype("float64").assign(label=judged.labels.to_numpy())
    said = {"title": title, "yes": judged.yes, "no": judged.no}
    said |= {"x": words.axis(across, judged.own), "y": words.axis(up, judged.own)}
    return partial(boundary, found=found, points=points, said=said)
