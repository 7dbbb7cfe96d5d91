"""Need: a purchase of one category within the domain's ``purchase_window_days``.

One model a category, of the categories that most customers bought of lately. No column of the
profile says how much a customer cares for a given category, so each model adds the own history in
it: on the generated CRM that lifts the AUC from .73 to .84, where its recency alone reaches .81.
"""

from dataclasses import KW_ONLY, dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import ClassVar

import pandas as pd

from include import domains, duck
from include.contracts import Column
from include.domains import Domain
from include.models import labels
from include.models.base import Classifier, without_purchase

KIND = "need"
RECENT_DAYS = 365  # in which many must have bought of a category
NEVER_DAYS = 1e6  # since a purchase of the category by who never made one


@dataclass
class Need(Classifier):
    """How likely a customer is to buy a product of ``category`` within the window."""

    _: KW_ONLY
    category: str
    own_features: ClassVar[tuple[Column, ...]] = (
        Column("category_order_count", "integer", "Orders of this category.", unit="orders"),
        Column(
            "category_recency_days",
            "integer",
            "Time since the last order of this category; null without one.",
            unit="days",
        ),
    )

    @property
    def name(self) -> str:  # type: ignore[override]  # of a kind with many models
        """``need:<category>``."""
        return f"{KIND}:{self.category}"

    def horizon_days(self, domain: Domain) -> int:
        """Return how far the score looks from as_of on."""
        return domain.purchase_window_days

    def own(self, folder: Path, customers: pd.Index, as_of: date) -> pd.DataFrame:
        """Return each customer's orders of the category before ``as_of``, and their recency."""
        query = f"""SELECT customer_id, count(DISTINCT order_id) AS category_order_count,
                CAST(? AS date) - max(ordered_on) AS category_recency_days
            FROM {labels.lines_of_products(folder)}
            WHERE category = ? AND ordered_on < ? GROUP BY customer_id"""
        with duck.opened(f"{self.name}: the orders of the category") as (db, _):
            found = db.execute(query, [as_of, self.category, as_of]).df()
        history = found.set_index("customer_id").astype("float64").reindex(customers)
        return history.fillna({"category_order_count": 0.0})

    def labels(self, folder: Path, customers: pd.Index, as_of: date, days: int) -> pd.Series:
        """Return 1 where a product of the category was bought in [as_of, as_of + days), else 0."""
        return labels.bought_of(folder, customers, as_of, days, self.category)

    def ineligible(self, profiles: pd.DataFrame) -> pd.Series:
        """Return why there is nothing to go by: never bought."""
        return without_purchase(profiles)

    def naive(self, profiles: pd.DataFrame) -> pd.Series:
        """Return the days since the last order of the category, negated; who had none comes last,
        the fresher the last order of anything, the likelier.
        """
        days = profiles["category_recency_days"]
        return -days.fillna(NEVER_DAYS + profiles["recency_days"]).astype("float64")


def categories(folder: Path, as_of: date) -> list[str]:
    """The domain's ``models.needs`` categories that most customers bought of, those first.

    Of what was known on the test day of a training of that day: whatever is chosen is not chosen by
    the answers that it is tested on. Equals are taken by name.
    """
    domain = domains.load()
    known = labels.span(folder, as_of)
    if known is None:
        return []
    day = labels.test_day(known, domain.purchase_window_days)
    query = f"""SELECT category FROM {labels.lines_of_products(folder)}
        WHERE category IS NOT NULL AND ordered_on >= ? AND ordered_on < ?
        GROUP BY category ORDER BY count(DISTINCT customer_id) DESC, category COLLATE "C" LIMIT ?"""
    with duck.opened("the categories most wanted") as (db, _):
        first = day - timedelta(days=RECENT_DAYS)
        rows = db.execute(query, [first, day, domain.models.needs]).fetchall()
    return [category for (category,) in rows]
