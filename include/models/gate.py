"""The one gate: a challenger is used only if it beats the obvious and the champion, later on."""

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["promoted", "rejected", "not_ready"]


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


def readiness(requirements: list[Requirement]) -> Decision | None:
    """A refusal that names every shortfall, or None when all is there."""
    short = [
        f"{item.requirement}: {item.found:g} found, {item.needed:g} needed"
        for item in requirements
        if item.gap > 0
    ]
    return Decision(False, "not_ready", "; ".join(short)) if short else None


def decide(
    challenger: float,
    champion: float | None,
    baseline: float,
    *,
    higher_is_better: bool = True,
    margin: float = 0.0,
) -> Decision:
    """Compare one figure of three rivals, all measured on the same later date.

    Parameters
    ----------
    challenger, baseline : figures of the new model and of the obvious alternative.
    champion : figure of the model in use, or None when there is none that can be compared.
    higher_is_better : False for errors.
    margin : by how much both must be beaten; an equal figure never suffices.

    >>> decide(0.81, 0.80, 0.75).reason
    'beats the champion (0.8100 against 0.8000) and the baseline (0.7500)'
    """
    sign = 1.0 if higher_is_better else -1.0

    def beats(other: float) -> bool:
        return sign * (challenger - other) > margin

    by = f" by more than {margin:g}" if margin else ""
    if not beats(baseline):
        reason = f"does not beat the baseline{by} ({challenger:.4f} against {baseline:.4f})"
        return Decision(False, "rejected", reason)
    if champion is None:
        reason = f"beats the baseline ({challenger:.4f} against {baseline:.4f}); no champion yet"
        return Decision(True, "promoted", reason)
    figures = f"({challenger:.4f} against {champion:.4f})"
    if not beats(champion):
        return Decision(False, "rejected", f"does not beat the champion{by} {figures}")
    reason = f"beats the champion {figures} and the baseline ({baseline:.4f})"
    return Decision(True, "promoted", reason)
