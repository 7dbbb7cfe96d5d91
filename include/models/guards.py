"""What a person should look at before a version is used, although it beats its rivals."""

import pandas as pd

from include.domains import Asks
from include.models import drift, metrics
from include.models.registry import Champion


def concerns(
    limits: Asks,
    *,
    champion: Champion | None,
    rows: int,
    labels: pd.Series,
    scores: pd.Series,
    newest: pd.Series,
    alone: dict[str, float],
) -> list[str]:
    """Each limit that is broken, in words; none, and nobody is asked.

    Parameters
    ----------
    champion : the version in use; without one there is nothing to compare the size with.
    rows : learned from.
    labels, scores : of the later date, by the tested fit.
    newest : its scores of the customers of today.
    alone : the features that foretell nearly everything on their own, with their AUC.
    """
    found = [
        _size(limits.rows_percent, champion, rows),
        _drift(limits.psi, scores, newest),
        _calibration(limits.calibration_error, labels, scores),
        _too_good({name: auc for name, auc in alone.items() if name not in limits.too_good}),
    ]
    return [words for words in found if words]


def _size(least: float, champion: Champion | None, rows: int) -> str | None:
    before = (champion.card["made_of"].get("rows") or {}).get("training", 0) if champion else 0
    if 100 * rows >= least * before:
        return None
    return (
        f"it learned from {rows} rows, the champion from {before}: "
        f"less than {least:g} %; look whether a source is missing"
    )


def _drift(most: float, then: pd.Series, now: pd.Series) -> str | None:
    moved = score_psi(then, now)
    if moved <= most:
        return None
    return (
        f"the scores of today are spread otherwise than those it was tested on "
        f"(PSI {moved:.2f}, limit {most:g}); look at bi.profile_coverage for what moved"
    )


def score_psi(then: pd.Series, now: pd.Series) -> float:
    """How far scores have moved, as a population stability index."""
    reference = drift.reference(pd.DataFrame({"score": then}))
    return drift.psi(reference, pd.DataFrame({"score": now}))["score"]


def _calibration(most: float, labels: pd.Series, scores: pd.Series) -> str | None:
    off = metrics.miscalibration(labels.to_numpy(), scores.to_numpy())
    if off <= most:
        return None
    return (
        f"its probabilities were off by {off:.2f} on average on the later date beyond chance, "
        f"limit {most:g}"
    )


def _too_good(alone: dict[str, float]) -> str | None:
    if not alone:
        return None
    named = ", ".join(f"{name} (AUC {auc:.3f})" for name, auc in alone.items())
    return (
        f"on its own {named} foretells nearly everything: was it known then? If so, name it in "
        "models.asks.too_good of the domain file"
    )
