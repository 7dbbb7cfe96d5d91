"""Segments in words: names, rules, and where they differ from the rest."""

from collections import Counter

import numpy as np
import numpy.typing as npt
import pandas as pd

from include import profile
from include.models.base import features
from include.models.reasons import stated

Numbers = npt.NDArray[np.float64]

# What segments may be made of, in the order of a name: feature -> (word for low, for high).
WORDS: dict[str, tuple[str, str]] = {
    "order_count": ("few orders", "frequent"),
    "revenue": ("low spend", "high spend"),
    "avg_order_value": ("small orders", "large orders"),
    "recency_days": ("recent", "long absent"),
    "category_count": ("narrow taste", "wide taste"),
    "gap_days_median": ("short gaps", "long gaps"),
    "avg_order_lines": ("few products an order", "many products an order"),
    "avg_order_units": ("few pieces an order", "many pieces an order"),
    "discounted_line_share": ("at full price", "at a discount"),
    "avg_unit_price": ("cheap products", "dear products"),
}
CLEAR = 0.5  # standard deviations from the average customer that are worth a word
STRONG = 1.25  # ... and worth a "very"
MOST_WORDS = 3
MOST_DIFFERENCES = 4
CANDIDATES = 20
NOTABLE = 0.2
ALIKE = 0.7  # correlation


def names(centres: Numbers, columns: list[str], groups: list[str]) -> list[str]:
    """A different name for each centre: what sets it apart, the clearest words.

    ``centres`` has shape (segments, columns), in deviations from the average customer. One that
    nothing sets apart is named by its entry in ``groups``, the RFM group of most of its customers.
    Names that would be equal get more words, and a number when there are none left.
    """
    wanted = [MOST_WORDS] * len(centres)
    for _ in columns:
        found = [
            _name(centre, columns, group, count)
            for centre, group, count in zip(centres, groups, wanted, strict=True)
        ]
        counts = Counter(found)
        wanted = [count + (counts[name] > 1) for name, count in zip(found, wanted, strict=True)]
    seen: Counter[str] = Counter()
    distinct = []
    for name in found if len(centres) else []:
        seen[name] += 1
        distinct.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return distinct


def _name(centre: Numbers, columns: list[str], group: str, most: int) -> str:
    """The ``most`` clearest words; those beyond the usual number need not be clear.

    Where none is clear, the group stands in the place of the clear ones.
    """
    order = np.argsort(-np.abs(centre), kind="stable")
    told = {
        columns[place]: centre[place]
        for rank, place in enumerate(order)
        if rank < most and (abs(centre[place]) >= CLEAR or rank >= MOST_WORDS)
    }
    clear = any(abs(value) >= CLEAR for value in told.values())
    mostly = [] if clear else [f"mostly {group.replace('_', ' ')}"]
    words = [
        ("very " if abs(told[column]) >= STRONG else "") + WORDS[column][int(told[column] > 0)]
        for column in WORDS
        if column in told
    ]
    return ", ".join(mostly + words)


def rule(members: pd.DataFrame, columns: list[str]) -> str:
    """Who is in a segment: where the middle half of its members lies."""
    contract = {column.name: column for column in profile.features()}
    halves = members[columns].quantile([0.25, 0.75]).round(2)
    parts = [
        stated(contract[name], *halves[name]) for name in columns if halves[name].notna().all()
    ]
    return f"Customers like each other; the middle half of them: {'; '.join(parts)}."


def means(keys: pd.Series, profiles: pd.DataFrame) -> pd.DataFrame:
    """segment_key, feature, mean, mean_all, z and rank: each feature that a segment has a mean of.

    ``z`` is the difference in standard deviations of all; null where all are alike.
    """
    numbers = features()
    values = profiles[numbers].astype("float64")
    mean, spread = values.mean(), values.std()
    rows = []
    for key, own in values.groupby(keys):
        table = pd.DataFrame({"mean": own.mean(), "mean_all": mean})
        table["z"] = (table["mean"] - mean) / spread.where(spread > 0)
        far = table["z"].abs().sort_values(ascending=False, kind="stable").dropna()
        table["rank"] = pd.Series(range(1, len(far) + 1), index=far.index)
        table = table[table["mean"].notna()].assign(segment_key=key)
        rows.append(table.reset_index(names="feature"))
    columns = ["segment_key", "feature", "mean", "mean_all", "z", "rank"]
    return pd.concat(rows, ignore_index=True)[columns] if rows else pd.DataFrame(columns=columns)


def differences(members: pd.DataFrame, everyone: pd.DataFrame) -> str:
    """The features in which the members' mean lies furthest from that of everyone, with both.

    Of features that tell much the same only the first counts.
    """
    numbers = features()
    mean, spread = everyone[numbers].mean(), everyone[numbers].std()
    apart = ((members[numbers].mean() - mean) / spread.where(spread > 0)).dropna()
    apart = apart[apart.abs() >= NOTABLE].abs().sort_values(ascending=False, kind="stable")
    told: list[str] = []
    for name in apart.index[:CANDIDATES]:
        alike = everyone[told].corrwith(everyone[name]).abs()
        if len(told) < MOST_DIFFERENCES and not (alike > ALIKE).any():
            told.append(str(name))
    contract = {column.name: column for column in profile.features()}
    parts = [
        f"{stated(contract[name], _short(members[name].mean()))} (all {_short(mean[name]):,.10g})"
        for name in told
    ]
    return "; ".join(parts) or "nothing notable"


def _short(value: float) -> float:
    return float(f"{value:.3g}")
