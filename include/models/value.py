"""What each customer is expected to order in a year, from the own past rate: a plain baseline."""

import logging
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from include import domains, profile
from include.models import files

log = logging.getLogger(__name__)

YEAR_DAYS = 365
SHORTEST_DAYS = 90  # two orders on two days are no rate of 180 a year
SHORTEST_GAP_DAYS = 7  # nor is a customer gone who once ordered twice in a week


def value(profiles: pd.DataFrame, as_of: date, *, fallback_gap_days: float) -> pd.DataFrame:
    """Expected orders and revenue of the next 365 days, prob_alive and revenue so far.

    A customer buys on at the past rate of repeat orders while alive: certainly until the usual gap
    has passed since the last order, half as likely with each further gap. A single order has no
    gap of its own: the median gap of all counts, or ``fallback_gap_days`` when nobody repeated.
    """
    bought = profiles["recency_days"].notna()
    gap_days = profiles["gap_days_mean"]
    usual = gap_days.median() if gap_days.notna().any() else fallback_gap_days
    gap_days = gap_days.fillna(usual).clip(lower=SHORTEST_GAP_DAYS)
    alive = 0.5 ** (profiles["recency_days"] / gap_days - 1).clip(lower=0)
    known_days = (pd.Timestamp(as_of) - profiles["first_order_at"].dt.normalize()).dt.days
    rate = (profiles["order_count"] - 1).clip(lower=0) / known_days.clip(lower=SHORTEST_DAYS)
    orders = (alive * YEAR_DAYS * rate).where(bought, 0.0)
    mean_value = (profiles["revenue"] / profiles["order_count"].where(bought)).clip(lower=0)
    return pd.DataFrame({
        "expected_orders_365d": orders.round(6),
        "expected_revenue_365d": (orders * mean_value).where(bought, 0.0).round(6),
        "prob_alive": alive.where(bought, 0.0).round(9),
        "historic_revenue": profiles["revenue"].fillna(0.0),
    }).replace([np.inf, -np.inf], 0.0)


def compute(folder: Path, as_of: date, out: Path) -> int:
    """Write ``<out>/customer_value.parquet``, one row a customer; return their number."""
    profiles = profile.frame(folder, as_of).sort_index()
    window_days = float(domains.load().churn_window_days)
    table = value(profiles, as_of, fallback_gap_days=window_days).reset_index(names="customer_id")
    files.write(table, "mart.customer_value", out)
    log.info("expected value of %d customers", len(table))
    return len(table)
