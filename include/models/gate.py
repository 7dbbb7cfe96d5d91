"""The one gate: a challenger is used only if it is really better than the obvious and the champion.

All rivals are measured on the same later date. How far a difference may be chance is told by the
bootstrap (Efron 1979): the customers of that date are drawn again and again, with the same draws
for every rival, and a difference is real when the 95 % interval of it lies above zero.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Verdict = Literal["promoted", "rejected", "not_ready", "asks"]
Numbers = npt.NDArray[np.float64]
Statistic = Callable[[Numbers], float]  # of how often each customer was drawn

DRAWS = 400
TAILS = (2.5, 97.5)  # percent


@dataclass(frozen=True)
class Decision:
    """What the gate says, and why, in words."""

    promoted: bool
    decision: Verdict
    reason: str


@dataclass(frozen=True)
class Requirement:
    """Something there must be enough of before anything is fitted."""

    requirement: str  # with its unit, as history_days
    needed: float
    found: float

    @property
    def gap(self) -> float:
        """What is missing; 0 when there is enough."""
        return max(0.0, self.needed - self.found)


@dataclass(frozen=True)
class Measured:
    """One figure of one rival: on the later date, and on each redrawn set of its customers."""

    value: float
    draws: Numbers

    @property
    def interval(self) -> tuple[float, float]:
        """Between what 95 % of the draws lie."""
        low, high = np.percentile(self.draws, TAILS)
        return float(low), float(high)

    @classmethod
    def fixed(cls, value: float) -> "Measured":
        """A figure that does not depend on who is drawn."""
        return cls(value, np.full(DRAWS, value))

    def less(self, other: "Measured") -> "Measured":
        """By how much this figure is above that of ``other``, draw by draw."""
        return Measured(self.value - other.value, self.draws - other.draws)


def readiness(requirements: list[Requirement]) -> Decision | None:
    """A refusal that names every shortfall, or None when all is there."""
    short = [
        f"{item.requirement}: {item.found:g} found, {item.needed:g} needed"
        for item in requirements
        if item.gap > 0
    ]
    return Decision(False, "not_ready", "; ".join(short)) if short else None


def measured(statistics: dict[str, Statistic], rows: int, *, seed: int) -> dict[str, Measured]:
    """Each rival's figure, and the same on ``DRAWS`` redrawn sets of the rows.

    Parameters
    ----------
    statistics : by rival; given how often each row counts (floats of shape (rows,)), its figure.
    rows : of the later date, one a customer.
    """
    draw, even = np.random.default_rng(seed), np.ones(rows)
    found: dict[str, list[float]] = {name: [] for name in statistics}
    for _ in range(DRAWS):
        weights = np.bincount(draw.integers(0, rows, rows), minlength=rows).astype("float64")
        for name, statistic in statistics.items():
            found[name].append(statistic(weights))
    return {
        name: Measured(statistic(even), np.array(found[name]))
        for name, statistic in statistics.items()
    }


def ranking(labels: npt.ArrayLike, scores: npt.ArrayLike) -> Statistic:
    """The area under the ROC curve as a statistic; one half where only one answer was drawn."""
    said = np.asarray(scores, dtype="float64")
    order = np.argsort(said, kind="stable")
    yes = np.asarray(labels, dtype="float64")[order]
    starts = np.flatnonzero(np.diff(said[order], prepend=-np.inf))

    def auc(weights: Numbers) -> float:
        drawn = weights[order]
        positives = np.add.reduceat(drawn * yes, starts)
        negatives = np.add.reduceat(drawn * (1 - yes), starts)
        below = np.cumsum(negatives) - negatives / 2  # a tie is half a win
        pairs = float(positives.sum() * negatives.sum())
        return float(positives @ below) / pairs if pairs else 0.5

    return auc


def mean(values: npt.ArrayLike) -> Statistic:
    """The mean of one value a customer as a statistic."""
    given = np.asarray(values, dtype="float64")
    return lambda weights: float(weights @ given / weights.sum())


def error(foreseen: npt.ArrayLike, actual: npt.ArrayLike) -> Statistic:
    """The root of the mean squared error as a statistic."""
    squares = mean((np.asarray(foreseen, "float64") - np.asarray(actual, "float64")) ** 2)
    return lambda weights: float(np.sqrt(squares(weights)))


def decide(
    challenger: Measured,
    champion: Measured | None,
    baselines: dict[str, Measured],
    *,
    higher_is_better: bool = True,
    worn: str | None = None,
) -> Decision:
    """Compare one figure of several rivals, all measured on the same later date.

    Parameters
    ----------
    challenger, champion : the new model, and the one in use; None when none can be compared.
    baselines : the obvious alternatives by name; each must be beaten.
    higher_is_better : False for errors.
    worn : why the champion should go, in words; then it is enough not to be really worse.
    """
    rivals = {f"the baseline {name}": each for name, each in baselines.items()}
    if champion is not None:
        rivals["the champion"] = champion
    said = []
    for name, rival in rivals.items():
        better = challenger.less(rival) if higher_is_better else rival.less(challenger)
        low, high = better.interval
        figures = f"({challenger.value:.4g} against {rival.value:.4g}; "
        figures += f"better by {low:+.4f} to {high:+.4f})"
        if low > 0:
            said.append(f"beats {name} {figures}")
        elif rival is champion and worn and high >= 0:
            said.append(f"takes the place of {name} {figures}: {worn}")
        else:
            return Decision(False, "rejected", f"does not really beat {name} {figures}")
    reason = " and ".join(said)
    return Decision(True, "promoted", reason + ("" if champion else "; no champion yet"))


def asked(said: Decision, concerns: list[str]) -> Decision:
    """A promotion that a person has to confirm, where there is something to look at first."""
    if not said.promoted or not concerns:
        return said
    return Decision(False, "asks", f"a person decides: {'; '.join(concerns)}; it {said.reason}")
