"""Pictures as files: one size, one style, and a folder that appears complete or not at all.

The colours are those of Okabe and Ito (2008), which the colour-blind tell apart; nothing is told
by colour alone.
"""

import shutil
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PURPLE, SKY, BLACK, YELLOW = "#CC79A7", "#56B4E9", "#222222", "#F0E442"
GREY = "#6B7280"
PALE = "#D5D9DF"
SIZE = (8.0, 5.0)  # inches
DPI = 100
COLOURS = 128  # of a file: a third of the bytes of millions of them, and no eye sees which
HEAD = 0.82  # of the height; above it stands what the picture says
LINE = 112  # characters
CHINESE = ("Noto Sans CJK SC", "Source Han Sans SC", "PingFang SC", "Microsoft YaHei", "SimHei")
STYLE: dict[str, Any] = {
    "text.parse_math": False,  # a dollar sign is money
    "font.size": 10,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.edgecolor": GREY,
    "axes.labelcolor": BLACK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "grid.color": "#E6E8EC",
    "legend.frameon": False,
    "lines.linewidth": 2.0,
    "xtick.color": GREY,
    "ytick.color": GREY,
}

Drawing = Callable[["Figure"], None]


def draw(out: Path, drawings: Mapping[str, Drawing]) -> list[Path]:
    """Draw each into ``<out>/<name>.png`` and return the paths, in the order given.

    The pictures take the place of those that lie there; when one fails, the old ones stay.

    Raises
    ------
    OSError
        If the folder cannot be written; nothing is left behind.
    """
    part, old = (out.with_name(f".{out.name}.{state}") for state in ("part", "old"))
    for folder in (part, old):
        shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed
    try:
        part.mkdir(parents=True)
        for name, drawing in drawings.items():
            _save(drawing, part / f"{name}.png")
        if out.exists():
            out.rename(old)
        part.rename(out)
    finally:
        for folder in (part, old):
            shutil.rmtree(folder, ignore_errors=True)
    return [out / f"{name}.png" for name in drawings]


def _save(drawing: Drawing, path: Path) -> None:
    from matplotlib import font_manager, style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    known = set(font_manager.fontManager.get_font_names())
    fonts = ["DejaVu Sans", *(name for name in CHINESE if name in known)]
    with style.context(["default", {**STYLE, "font.family": fonts}]):  # whatever the machine's own
        figure = Figure(figsize=SIZE, dpi=DPI, layout="constrained")
        canvas = FigureCanvasAgg(figure)
        drawing(figure)
        canvas.draw()  # type: ignore[no-untyped-call]
        drawn = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    pixels = Image.fromarray(drawn).convert("RGB")
    few = pixels.quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    few.save(path, format="PNG", optimize=True)


def headed(figure: "Figure", title: str, said: str) -> None:
    """Write the title and, below it, in a sentence or two, what the picture says."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.set(rect=(0, 0, 1, HEAD))  # type: ignore[call-arg]  # of the constrained one
    figure.text(
        0.02,
        0.97,
        textwrap.shorten(title, 78, placeholder=" …"),
        fontsize=13,
        fontweight="bold",
        va="top",
        color=BLACK,
    )
    lines = textwrap.wrap(said, LINE, max_lines=2, placeholder=" …")
    figure.text(0.02, 0.91, "\n".join(lines), fontsize=9.5, va="top", color=GREY)


def in_percent(axes: "Axes", *, x: bool = False, y: bool = False) -> None:
    """Shares from 0 to 1 on an axis, written in percent."""
    from matplotlib.ticker import PercentFormatter

    for wanted, axis in ((x, axes.xaxis), (y, axes.yaxis)):
        if wanted:
            axis.set_major_formatter(PercentFormatter(1))
