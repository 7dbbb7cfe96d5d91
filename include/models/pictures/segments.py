"""Pictures of a segmentation: how many segments, how clear they are, and where they lie."""

import textwrap
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from include.models.clusters import STABLE, Choice, Point
from include.models.groupings import Labels, Numbers
from include.models.pictures.canvas import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    RED,
    SKY,
    YELLOW,
    draw,
    headed,
    in_percent,
)
from include.models.pictures.words import two_lines

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAMES = ("elbow", "silhouette", "map")
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, RED, BLACK, YELLOW)
MARKERS = ("o", "^", "s", "D", "v", "P")
FEW = 10  # segments whose names have two lines in the legend
SHOWN = 2_000  # customers on the map
SEED = 0  # of the customers drawn


def segment_pictures(
    out: Path,
    title: str,
    curve: Sequence[Point],
    choice: Choice,
    points: Numbers,
    labels: Labels,
    names: Sequence[str],
    explained: Sequence[float],
) -> list[Path]:
    """Draw elbow, silhouette and map into ``out`` and return their paths.

    Parameters
    ----------
    curve : the numbers of segments that were tried, ascending.
    points : (customers, 2), on the two principal axes; (customers, 1) where there is only one.
    labels : (customers,) positions in ``names``, which are in words.
    explained : shares of the variance that the two axes show.
    """
    return draw(
        out,
        {
            "elbow": partial(_elbow, title=title, curve=curve, choice=choice),
            "silhouette": partial(_silhouette, title=title, curve=curve, choice=choice),
            "map": partial(
                _map, title=title, points=points, labels=labels, names=names, explained=explained
            ),
        },
    )


def _elbow(figure: "Figure", title: str, curve: Sequence[Point], choice: Choice) -> None:
    headed(
        figure,
        f"{title} · how many segments (elbow)",
        f"{choice.k} segments: {choice.reason}. At the elbow, more segments stop bringing "
        "customers much closer to others of their own.",
    )
    axes = figure.subplots()
    start = curve[0].inertia or 1.0
    near = {point.k: point.inertia / start for point in curve}
    axes.plot(list(near), list(near.values()), color=BLUE, marker="o", markersize=5)
    axes.plot(
        [curve[0].k, curve[-1].k],
        [near[curve[0].k], near[curve[-1].k]],
        color=GREY,
        linestyle=":",
        linewidth=1.2,
        label="the elbow lies furthest below this line",
    )
    if choice.elbow in near:
        axes.scatter(
            [choice.elbow],
            [near[choice.elbow]],
            s=170,
            marker="D",
            facecolors="none",
            edgecolors=ORANGE,
            linewidths=2,
            label=f"elbow: {choice.elbow}",
        )
    _mark(axes, choice)
    axes.set(
        xlabel="Number of segments",
        ylim=(0, 1.05),
        ylabel="Distance left within segments\n(inertia, against a single one)",
    )
    in_percent(axes, y=True)
    _whole(axes)
    axes.legend(loc="upper right")


def _silhouette(figure: "Figure", title: str, curve: Sequence[Point], choice: Choice) -> None:
    taken = next((point for point in curve if point.k == choice.k), None)
    clear, steady = (taken.silhouette, taken.stability) if taken else (None, None)
    said = ", ".join(
        f"{name} {value:.2f}"
        for name, value in (("silhouette", clear), ("stability", steady))
        if value is not None
    )
    headed(
        figure,
        f"{title} · how clear and how stable (silhouette)",
        f"{choice.k} segments: {said or 'not measured'}. Clear segments lie apart from each "
        "other; stable ones are found again in random halves of the customers.",
    )
    left, right = figure.subplots(1, 2)
    for axes, values, style in (
        (left, {p.k: p.silhouette for p in curve}, {"color": BLUE, "marker": "o"}),
        (right, {p.k: p.stability for p in curve}, {"color": GREEN, "marker": "s"}),
    ):
        known = {k: value for k, value in values.items() if value is not None}
        axes.plot(list(known), list(known.values()), markersize=5, **style)
        _mark(axes, choice)
        axes.set_xlabel("Number of segments")
        _whole(axes)
    right.axhline(STABLE, color=GREY, linestyle=":", linewidth=1.2, label=f"stable from {STABLE}")
    left.set(
        ylabel="Silhouette: 1 far apart, 0 touching", ylim=(min(0.0, left.get_ylim()[0]), None)
    )
    right.set(ylabel="Stability: 1 the same again, 0 chance", ylim=(0, 1.05))
    right.legend(loc="lower left")


def _mark(axes: "Axes", choice: Choice) -> None:
    axes.axvline(choice.k, color=RED, linestyle="--", linewidth=1.4, label=f"taken: {choice.k}")


def _whole(axes: "Axes") -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _map(
    figure: "Figure",
    title: str,
    points: Numbers,
    labels: Labels,
    names: Sequence[str],
    explained: Sequence[float],
) -> None:
    """The largest segment first; each has its colour and its shape."""
    headed(
        figure,
        f"{title} · where the segments lie (map)",
        f"Customers who are alike lie near each other. The two axes show {sum(explained):.0%} "
        "of the differences between customers; segments that overlap here may differ in the "
        "rest.",
    )
    axes, many = figure.subplots(), len(names) > FEW
    _scatter(axes, points, labels, names)
    for share, axis in zip(explained, (axes.xaxis, axes.yaxis), strict=False):
        axis.set_label_text(f"Principal axis, {share:.0%} of the differences")
    axes.tick_params(labelbottom=False, labelleft=False)
    axes.legend(
        loc="upper left",
        bbox_to_anchor=(1.0, 1.02),
        fontsize=6.5 if many else 8.5,
        labelspacing=0.5,
        title="Segment (share of customers)",
        title_fontsize=8.5,
        markerscale=1.6,
        alignment="left",
    )


def _scatter(axes: "Axes", points: Numbers, labels: Labels, names: Sequence[str]) -> None:
    flat = np.column_stack([points, np.zeros(len(points))])[:, :2]
    rows = np.sort(np.random.default_rng(SEED).permutation(len(points))[:SHOWN])
    counts, many = np.bincount(labels, minlength=len(names)), len(names) > FEW
    for place, number in enumerate(np.argsort(-counts, kind="stable")):
        own = flat[rows[labels[rows] == number]]
        share = counts[number] / max(1, len(labels))
        axes.scatter(
            own[:, 0],
            own[:, 1],
            s=16,
            alpha=0.75,
            linewidths=0,
            label=_labelled(names[number], share, many=many),
            color=COLOURS[place % len(COLOURS)],
            marker=MARKERS[place % len(MARKERS)],
        )


def _labelled(name: str, share: float, *, many: bool) -> str:
    if many:
        return f"{textwrap.shorten(name, 44, placeholder=' …')} ({share:.0%})"
    return two_lines(f"{textwrap.shorten(name, 50, placeholder=' …')} ({share:.0%})", 30)
