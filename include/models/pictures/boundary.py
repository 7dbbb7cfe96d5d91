"""The decision boundary of a score: where, over two features, it turns from no to yes."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from include.models.pictures.canvas import BLACK, BLUE, ORANGE, headed
from include.models.pictures.curves import Grid, is_skewed
from include.models.pictures.words import two_lines

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN = 150  # customers of each answer: more hide the colours behind them
LEVELS = 8  # of colour on either side of the base rate
HALF = 0.5
LEAST = 0.02  # of probability, from the lowest to the highest colour
LOW, HIGH = ["#2B7BBA", "#F7F7F7"], ["#F7F7F7", "#E08A00"]
SEED = 0  # of the customers drawn


def boundary(figure: "Figure", found: Grid, points: pd.DataFrame, said: dict[str, str]) -> None:
    """Draw the probability over two features, its contours, and some customers by their answer.

    Parameters
    ----------
    points : two columns, named as the features of the x and the y axis, and ``label``, 0 or 1.
    said : title, x and y, which name the axes, and the meaning of yes and no.
    """
    across, up = (str(name) for name in points.columns[:2])
    rate = float(points["label"].mean())
    headed(
        figure,
        f"{said['title']} · where the score turns (decision boundary)",
        "The colour is the score of a customer who is in the middle in everything but these two "
        f"features. {_turns(found, rate)}",
    )
    axes = figure.subplots()
    _shade(figure, found, rate)
    _scatter(axes, found, points, said)
    axes.set(
        xlabel=said["x"],
        ylabel=two_lines(said["y"]),
        xlim=found.x[[0, -1]],
        ylim=found.y[[0, -1]],
        xscale=_scale(points[across]),
        yscale=_scale(points[up]),
    )
    axes.grid(visible=False)
    figure.legend(loc="outside lower center", ncols=2, fontsize=9)


def _scatter(axes: "Axes", found: Grid, points: pd.DataFrame, said: dict[str, str]) -> None:
    across, up = points.columns[:2]
    for label, text, marker, inside, edge in (
        (0, said["no"], "o", "white", BLUE),
        (1, said["yes"], "^", ORANGE, BLACK),
    ):
        some = _some(points[points["label"] == label], found, across, up)
        axes.scatter(
            some[across],
            some[up],
            s=24,
            marker=marker,
            facecolors=inside,
            edgecolors=edge,
            linewidths=0.8,
            label=f"customers for whom {text}",
        )


def _range(found: Grid) -> tuple[float, float]:
    return float(found.probability.min()), float(found.probability.max())


def _turns(found: Grid, rate: float) -> str:
    """Where the lines are that the picture has, or why it has none."""
    low, high = _range(found)
    if not low < rate < high:
        side = "above" if low >= rate else "below"
        return f"All of it lies {side} the average ({rate:.0%})."
    half = "; solid: 50%" if low < HALF < high else ""
    return f"Dashed: as likely as on average ({rate:.0%}){half}."


def _shade(figure: "Figure", found: Grid, rate: float) -> None:
    """Blue for low and orange for high scores, pale at the base rate; contours on it.

    Where all lie on one side of the base rate, that side's colour alone.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize, TwoSlopeNorm

    axes, (low, high) = figure.axes[0], _range(found)
    high = max(high, low + LEAST)
    norm: Normalize = Normalize(low, high)
    colours, levels = LOW + HIGH[1:], np.linspace(low, high, 2 * LEVELS + 1)
    if low < rate < high:
        norm = TwoSlopeNorm(rate, low, high)
        levels = np.unique([
            *np.linspace(low, rate, LEVELS + 1),
            *np.linspace(rate, high, LEVELS + 1),
        ])
    else:
        colours = HIGH if low >= rate else LOW
    shades = LinearSegmentedColormap.from_list("score", colours)
    axes.contourf(found.x, found.y, found.probability, levels=levels, cmap=shades, norm=norm)
    for level, style in ((rate, "--"), (HALF, "-")):
        if low < level < high:
            axes.contour(
                found.x, found.y, found.probability, [level], colors=BLACK, linestyles=style
            )
    bar = figure.colorbar(ScalarMappable(norm, shades), ax=axes, label="Score", format="{x:.0%}")
    bar.outline.set_visible(False)


def _scale(values: pd.Series) -> str:
    return "log" if is_skewed(values) else "linear"


def _some(points: pd.DataFrame, found: Grid, across: str, up: str) -> pd.DataFrame:
    """A few of the customers who lie on the grid, the same ones each time."""
    inside = points[
        points[across].between(*found.x[[0, -1]]) & points[up].between(*found.y[[0, -1]])
    ]
    rows = np.random.default_rng(SEED).permutation(len(inside))[:SHOWN]
    return inside.iloc[np.sort(rows)]
