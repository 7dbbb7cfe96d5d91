"""How complete the profile is, and how far it has moved since a model learned from it.

The population stability index (PSI) is sum((now - then) * ln(now / then)) over the bins of a
feature: the symmetric divergence of Jeffreys (1946), under the name that credit scoring gave it
(Siddiqi, 2006). By custom below 0.1 is little, above 0.25 much.
"""

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from include import models, profile
from include.models import files, registry
from include.models.registry import Connection, Metric

BINS = 10
LEAST_SHARE = 1e-4  # of an empty bin, whose logarithm would be infinite
DIGITS = 6
Reference = dict[str, dict[str, Any]]  # feature -> its bins and the share of customers in each


def reference(profiles: pd.DataFrame) -> Reference:
    """The bins of each feature and the share of customers in each, small enough for a model card.

    Numbers: tenths of the values that are there; texts: the most frequent nine, and the rest. The
    last share is that of the missing. Days and times are left out: they move with the calendar.
    """
    found: Reference = {}
    for name, values in profiles.items():
        if pd.api.types.is_datetime64_any_dtype(values.dtype):
            continue
        known = values.dropna()
        bins: list[Any]
        if _is_text(values):
            bins = list(known.value_counts().sort_index(kind="stable").nlargest(BINS - 1).index)
        else:
            cuts = np.linspace(0, 1, BINS + 1)[1:-1]
            numbers = known.to_numpy(dtype="float64")
            bins = (
                np.unique(np.quantile(numbers, cuts)).round(DIGITS).tolist() if len(known) else []
            )
        found[str(name)] = {"bins": bins, "shares": _shares(values, bins)}
    return found


def psi(then: Reference, profiles: pd.DataFrame) -> dict[str, float]:
    """The PSI of each feature that is in both."""
    found = {}
    for name in then.keys() & set(profiles.columns):
        old, new = then[name]["shares"], _shares(profiles[name], then[name]["bins"])
        expected, actual = (np.maximum(shares, LEAST_SHARE) for shares in (old, new))
        found[name] = float(np.sum((actual - expected) * np.log(actual / expected)))
    return found


def metrics(moved: dict[str, float]) -> list[Metric]:
    """The PSI of each feature from the test day to today, as it is recorded with a version."""
    return [
        Metric("drift", "psi", f"feature={name}", round(value, DIGITS), None)
        for name, value in sorted(moved.items())
    ]


def coverage(db: Connection, folder: Path, as_of: date, out: Path) -> Path:
    """Write ``<out>/profile_coverage.parquet``: a row a feature of the profile of a day.

    PSI is against the newest day that the first champion of the models wanted learned from.
    """
    profiles = profile.frame(folder, as_of)
    version, card = _learned_from(db, models.wanted(folder, as_of), as_of)
    moved = psi(card.get("features", {}), profiles)
    rows = [
        {
            "feature": column.name,
            "missing_rule": column.missing,
            "psi": moved.get(column.name),
            "psi_model_version": version if column.name in moved else None,
            "psi_since": date.fromisoformat(card["as_of"]) if column.name in moved else None,
            **_described(profiles[column.name]),
        }
        for column in profile.features()
    ]
    return files.write(pd.DataFrame(rows), "mart.profile_coverage", out)


def _learned_from(
    db: Connection, names: list[str], as_of: date
) -> tuple[str | None, dict[str, Any]]:
    for name in names:
        champion = registry.champion(db, name, as_of=as_of)
        if champion is not None and "reference" in champion.card:
            return champion.model_version, champion.card["reference"]
    return None, {}


def _described(values: pd.Series) -> dict[str, Any]:
    """What can be said of one column; the range of a text would say nothing."""
    customers, missing = len(values), int(values.isna().sum())
    known = values.dropna()
    ranged = len(known) > 0 and not _is_text(values)
    return {
        "customers": customers,
        "missing": missing,
        "missing_share": missing / customers if customers else None,
        "distinct_values": int(known.nunique()),
        "lowest": _printed(known.min()) if ranged else None,
        "highest": _printed(known.max()) if ranged else None,
    }


def _printed(value: Any) -> str:
    if isinstance(value, pd.Timestamp):
        return str(value) if value != value.normalize() else str(value.date())
    return f"{value:.{DIGITS}g}" if isinstance(value, float) else str(value).lower()


def _is_text(values: pd.Series) -> bool:
    return bool(pd.api.types.is_string_dtype(values.dtype))


def _shares(values: pd.Series, bins: list[Any]) -> list[float]:
    """The share of customers in each bin, the last two: the rest of the texts, the missing."""
    known = values.dropna()
    if _is_text(values):
        places = {text: place for place, text in enumerate(bins)}
        at = known.map(places).fillna(len(bins)).to_numpy(dtype="int64")
    else:
        at = np.searchsorted(bins, known.to_numpy(dtype="float64").round(DIGITS), side="left")
    counts = np.bincount(at, minlength=len(bins) + 1).tolist()
    return [count / max(1, len(values)) for count in [*counts, len(values) - len(known)]]
