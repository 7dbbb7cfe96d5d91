"""Churn: no purchase within the domain's ``churn_window_days``."""

from datetime import date
from pathlib import Path
from typing import ClassVar

import pandas as pd

from include.domains import Domain
from include.models import labels
from include.models.base import Classifier, without_purchase

LAPSED_DAYS = 365  # longer without an order: gone already, nothing left to foresee


class Churn(Classifier):
    """How likely a customer is to buy nothing for ``churn_window_days``."""

    name: ClassVar[str] = "churn"

    def horizon_days(self, domain: Domain) -> int:
        """Return how far the score looks from as_of on."""
        return domain.churn_window_days

    def labels(self, folder: Path, customers: pd.Index, as_of: date, days: int) -> pd.Series:
        """Return 1 where nothing was bought in [as_of, as_of + days), else 0."""
        return labels.lapsed(folder, customers, as_of, days)

    def ineligible(self, profiles: pd.DataFrame) -> pd.Series:
        """Return why there is nothing to foresee: never bought, or gone for over a year."""
        return without_purchase(profiles, LAPSED_DAYS)

    def naive(self, profiles: pd.DataFrame) -> pd.Series:
        """Return the days since the last order."""
        return profiles["recency_days"].astype("float64")
