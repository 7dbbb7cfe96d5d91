"""Purchase: at least one purchase within the domain's ``purchase_window_days``."""

from datetime import date
from pathlib import Path
from typing import ClassVar

import pandas as pd

from include.domains import Domain
from include.models import labels
from include.models.base import Classifier, without_purchase


class Purchase(Classifier):
    """How likely a customer is to buy within ``purchase_window_days``."""

    name: ClassVar[str] = "purchase"

    def horizon_days(self, domain: Domain) -> int:
        """Return how far the score looks from as_of on."""
        return domain.purchase_window_days

    def labels(self, folder: Path, customers: pd.Index, as_of: date, days: int) -> pd.Series:
        """Return 1 where something was bought in [as_of, as_of + days), else 0."""
        return labels.bought(folder, customers, as_of, days)

    def ineligible(self, profiles: pd.DataFrame) -> pd.Series:
        """Return why there is nothing to go by: never bought."""
        return without_purchase(profiles)

    def naive(self, profiles: pd.DataFrame) -> pd.Series:
        """Return the days since the last order, negated: the fresher, the likelier."""
        return -profiles["recency_days"].astype("float64")
