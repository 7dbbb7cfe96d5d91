"""Two steps of gradient boosting over BG/NBD: does a customer buy, and how often beside the habit?

The second step learns the orders of those who buy as a multiple of what BG/NBD foresees: trees
cannot go on beyond the largest buyer they saw, a multiple can (on a real shop with a few very large
buyers the RMSE of the revenue of 90 days was 1819 when they learned the money itself, 1272 so). Its
Poisson loss is weighted by what BG/NBD foresees, an exposure, as large habits are surer: without,
customers with hardly a habit blew it up (RMSE of a year's orders on the generated CRM 5.7, and 4.5
so). What an order is worth is left to Gamma-Gamma. Every numeric feature of the profile takes part,
and what BG/NBD says; a missing value is an answer of its own. What is learned is one horizon.
"""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from include.models.base import features, matrix, single_thread
from include.models.value import history
from include.models.value.foreseen import HORIZONS, Known, foresee, known

MOST_ROWS = 100_000  # learned from, over all days: the fit is part of each publish
SETTINGS = {"max_iter": 60, "learning_rate": 0.05, "max_leaf_nodes": 8, "min_samples_leaf": 60}
FEWEST_BUYERS = 50
LEAST_ORDERS = 0.2  # taken for the habit of who hardly has one, else the multiple would explode


@dataclass(frozen=True)
class Boosted:
    """The fitted steps: buys at all, and the orders of who does beside the habit."""

    days: int
    names: list[str]  # of the columns that differ at all
    buys: HistGradientBoostingClassifier
    times: HistGradientBoostingRegressor

    def foresee(self, seen: Known) -> pd.DataFrame:
        """As ``foreseen.foresee``; beyond the horizon learned, buying goes on as BG/NBD says."""
        habit = foresee(seen)
        values = _values(seen, habit, self.days)[self.names]
        known_orders = habit[f"orders_{self.days}d"]
        with single_thread():
            times = self.buys.predict_proba(values)[:, 1] * self.times.predict(values)
        orders = times * _exposure(known_orders)
        count, mean = (seen.history[name].to_numpy() for name in ("count", "mean_value"))
        worth = seen.habits.spend.expected(count, mean)
        found = habit.copy()
        for days in HORIZONS:
            longer = (habit[f"orders_{days}d"] / known_orders).where(
                known_orders > 0, days / self.days
            )
            found[f"orders_{days}d"] = orders * longer
            found[f"revenue_{days}d"] = orders * longer * worth
        return found


def _exposure(orders: pd.Series) -> pd.Series:
    return orders.clip(lower=LEAST_ORDERS)


def _values(seen: Known, habit: pd.DataFrame, days: int) -> pd.DataFrame:
    """The features and what BG/NBD says, a row a customer of ``seen``."""
    said = habit[["prob_alive", f"prob_alive_{days}d", f"orders_{days}d"]].add_prefix("habit_")
    return matrix(seen.profiles.join(said), [*features(), *said])


def learn(folder: Path, dates: list[date], days: int, *, seed: int = 0) -> Boosted | None:
    """Learn from the buyers known on some past days and what they did within ``days``.

    None where fewer than FEWEST_BUYERS bought again, or everybody did.
    """
    given = [_examples(folder, day, days, MOST_ROWS // len(dates), seed) for day in dates]
    shown = [each for each in given if each is not None]
    if not shown:
        return None
    values, orders, exposure = (pd.concat([each[part] for each in shown]) for part in range(3))
    again = (orders > 0).to_numpy()
    if again.sum() < FEWEST_BUYERS or again.all():
        return None
    names = [name for name in values if values[name].nunique() > 1]  # else binning fails
    settings = {**SETTINGS, "early_stopping": False, "random_state": seed}
    values = values[names]
    with single_thread():
        buys = HistGradientBoostingClassifier(**settings).fit(values, again)
        times = HistGradientBoostingRegressor(loss="poisson", **settings).fit(
            values[again], (orders / exposure)[again], sample_weight=exposure[again]
        )
    return Boosted(days, names, buys, times)


def _examples(
    folder: Path, day: date, days: int, most: int, seed: int
) -> tuple[pd.DataFrame, pd.Series, pd.Series] | None:
    """The values, the orders that came and the exposure, of at most ``most`` customers."""
    seen = known(folder, day, seed=seed)
    if seen is None:
        return None
    drawn = seen.ordinary
    if len(drawn) > most:
        chosen = np.random.default_rng(seed).choice(len(drawn), most, replace=False)
        drawn = drawn[np.sort(chosen)]
    did, habit = history.spent(folder, drawn, day, days), foresee(seen)
    values = _values(seen, habit, days).loc[drawn]
    return values, did["orders"], _exposure(habit.loc[drawn, f"orders_{days}d"])
