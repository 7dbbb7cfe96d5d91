"""The plain baseline: each customer goes on at the own past rate, while likely alive."""

from datetime import date

import numpy as np
import pandas as pd

SHORTEST_DAYS = 90  # two orders on two days are no rate of 180 a year
SHORTEST_GAP_DAYS = 7  # nor is a customer gone who once ordered twice in a week


def historic(
    profiles: pd.DataFrame, as_of: date, *, days: int, fallback_gap_days: float
) -> pd.DataFrame:
    """prob_alive, and the orders and the revenue of the next ``days``.

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
    orders = (alive * days * rate).where(bought, 0.0)
    mean_value = (profiles["revenue"] / profiles["order_count"].where(bought)).clip(lower=0)
    return pd.DataFrame({
        "prob_alive": alive.where(bought, 0.0),
        "orders": orders,
        "revenue": (orders * mean_value).where(bought, 0.0),
    }).replace([np.inf, -np.inf], 0.0)
