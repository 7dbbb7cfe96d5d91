"""Features by size: what a score looks at, and how far the customers have moved."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from include.contracts import Column
from include.models.pictures import words
from include.models.pictures.canvas import BLACK, BLUE, ORANGE, PALE, RED, SKY, headed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN = 15  # features
LITTLE, MUCH = 0.1, 0.25  # PSI, by custom; see models/drift.py
LONGEST = 1.0  # PSI: beyond it a bar is cut, or the limits could not be seen; the figure stands


def importance(
    figure: "Figure", title: str, found: pd.Series, unit: str, own: Sequence[Column]
) -> None:
    """Draw the features that a score leans on most; ``unit`` says what a bar measures."""
    largest = _largest(found)
    first = words.feature(str(largest.index[0]), own)
    headed(
        figure,
        f"{title} · what the score looks at (importance)",
        f"Most of all at: {first}. It says what the model uses, not what causes "
        f"anything.{_rest(found)}",
    )
    _bars(figure.subplots(), largest, [BLUE] * len(largest), own).set_xlabel(unit)


def drift(figure: "Figure", title: str, found: pd.Series) -> None:
    """Draw the features whose values moved most, by PSI, with the limits of custom."""
    largest = _largest(found)
    much, some = int((found > MUCH).sum()), int(((found > LITTLE) & (found <= MUCH)).sum())
    headed(
        figure,
        f"{title} · have the customers changed? (drift)",
        f"Of {len(found)} features, {much} moved much and {some} somewhat since the days that were "
        f"learned from; the more, the less the model knows of today.{_rest(found)}",
    )
    colours = [RED if v > MUCH else ORANGE if v > LITTLE else SKY for v in largest]
    cut = largest.clip(upper=LONGEST)
    axes = _bars(figure.subplots(), cut, colours)
    for place, (at, value) in enumerate(zip(cut, largest, strict=True)):
        axes.text(at, len(cut) - 1 - place, f" {value:.2f}", va="center", fontsize=8, color=BLACK)
    for limit, text, side in ((LITTLE, "somewhat", "right"), (MUCH, "much", "left")):
        axes.axvline(limit, color=BLACK, linestyle="--", linewidth=1)
        axes.annotate(
            f"over {limit}: {text}",
            (limit, 1.01),
            xycoords=("data", "axes fraction"),
            ha=side,
            fontsize=8,
            color=BLACK,
        )
    axes.set_xlim(0, max(2 * MUCH, 1.1 * float(cut.iloc[0])))
    axes.set_xlabel("Population stability index (PSI): 0 is no change")


def _largest(found: pd.Series) -> pd.Series:
    return found.astype("float64").sort_values(ascending=False, kind="stable").head(SHOWN)


def _rest(found: pd.Series) -> str:
    return f" The {SHOWN} largest of {len(found)}." if len(found) > SHOWN else ""


def _bars(
    axes: "Axes", values: pd.Series, colours: list[str], own: Sequence[Column] = ()
) -> "Axes":
    """The largest on top, each by its name in words."""
    places = np.arange(len(values))[::-1]
    axes.barh(places, values.to_numpy(dtype="float64"), color=colours, height=0.7)
    names = [words.two_lines(words.feature(str(name), own), 42) for name in values.index]
    small = 7.0 if len(values) > 8 else 9.0
    axes.set_yticks(places, names, fontsize=small, linespacing=0.95, color=BLACK)
    axes.grid(visible=False, axis="y")
    axes.axvline(0, color=PALE, linewidth=1)
    axes.set_ylim(-0.6, len(values) - 0.4)
    return axes
