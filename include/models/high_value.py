"""High value: among the best customers of the year to come."""

from datetime import date
from pathlib import Path
from typing import ClassVar

import pandas as pd

from include.domains import Domain
from include.models import labels
from include.models.base import Classifier, without_purchase
from include.models.churn import LAPSED_DAYS

YEAR_DAYS = 365
BEST_SHARE = 0.2


class HighValue(Classifier):
    """How likely a customer is among the fifth that brings in most in the next 365 days."""

    name: ClassVar[str] = "high_value"

    def horizon_days(self, domain: Domain) -> int:  # noqa: ARG002
        """Return how far the score looks from as_of on: a year, whatever the domain."""
        return YEAR_DAYS

    def labels(self, folder: Path, customers: pd.Index, as_of: date, days: int) -> pd.Series:
        """Return 1 for the BEST_SHARE of ``customers`` with most revenue in the window, else 0."""
        return labels.best(folder, customers, as_of, days, share=BEST_SHARE)

    def ineligible(self, profiles: pd.DataFrame) -> pd.Series:
        """Return why there is nothing to foresee: never bought, or gone for over a year."""
        return without_purchase(profiles, LAPSED_DAYS)

    def naive(self, profiles: pd.DataFrame) -> pd.Series:
        """Return the revenue of the last 365 days."""
        return profiles["revenue_365d"].astype("float64")
