"""The picture of expected value: what each method foresaw beside what came."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from include import domains
from include.models.base import rank
from include.models.groupings import Numbers
from include.models.pictures.canvas import BLUE, ORANGE, draw, headed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAMES = ("value",)
METHODS = {"historic": "Past rate", "bg_nbd": "BG/NBD", "boosted": "Gradient boosting"}


def tenths(did: pd.Series, foreseen: pd.Series) -> pd.DataFrame:
    """Mean foreseen and mean came by tenths of what was foreseen; decile 1 is the highest."""
    frame = pd.DataFrame({"foreseen": foreseen, "came": did})
    return frame.groupby(rank(foreseen)["decile"])[["foreseen", "came"]].mean()


def value_pictures(
    out: Path,
    title: str,
    did: pd.Series,
    foreseen: Mapping[str, pd.Series],
    *,
    publishes: str | None = None,
) -> list[Path]:
    """Draw the revenue foreseen by each method beside what came, by tenths of the customers.

    Parameters
    ----------
    did : revenue of each customer within the horizon, in the domain's currency.
    foreseen : by method, on the index of ``did``.
    publishes : the method that the figures of BI come from.
    """
    drawing = partial(_value, title=title, did=did, foreseen=foreseen, publishes=publishes)
    return draw(out, {"value": drawing})


def _value(
    figure: "Figure",
    title: str,
    did: pd.Series,
    foreseen: Mapping[str, pd.Series],
    publishes: str | None,
) -> None:
    headed(
        figure,
        f"{title} · revenue foreseen and revenue that came",
        "Customers by tenths of what was foreseen for them, the highest on the left. The nearer "
        "the two lines, the better; sums over many customers hold, single ones are "
        "rough.",
    )
    panels = figure.subplots(1, len(foreseen), sharey=True, squeeze=False)[0]
    means = []
    for axes, (method, said) in zip(panels, foreseen.items(), strict=True):
        found = tenths(did, said)
        axes.plot(
            found.index,
            found["foreseen"],
            color=ORANGE,
            linestyle="--",
            marker="o",
            markersize=5,
            label="foreseen",
        )
        axes.plot(found.index, found["came"], color=BLUE, marker="s", markersize=5, label="came")
        axes.set_title(_said(method, did, said, publishes), fontsize=9.5)
        axes.set(xlabel="Tenth of the customers", xticks=range(1, 11))
        means.append(found.to_numpy(dtype="float64"))
    _by_powers(panels[0], np.concatenate(means))
    panels[0].set_ylabel(f"Mean revenue a customer ({domains.load().currency})")
    panels[0].legend(loc="lower left")


def _said(method: str, did: pd.Series, said: pd.Series, publishes: str | None) -> str:
    name = METHODS.get(method, method.replace("_", " "))
    mark = " (publishes)" if method == publishes else ""
    total = f"foresaw {said.sum() / did.sum():.0%} of the total" if did.sum() > 0 else ""
    return f"{name}{mark}\n{total}\nRMSE {np.sqrt(((said - did) ** 2).mean()):,.0f} a customer"


def _by_powers(axes: "Axes", means: Numbers) -> None:
    """Powers of ten, with room for 0 and for returns: a few customers bring most of the money."""
    from matplotlib.ticker import FuncFormatter

    most = max(1.0, float(means.max()))
    axes.set_yscale("symlog", linthresh=10.0 ** np.floor(np.log10(most / 1000)), linscale=0.5)
    axes.set_ylim(min(0.0, 1.5 * float(means.min())), 1.8 * most)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda money, _: f"{money:,.10g}"))
