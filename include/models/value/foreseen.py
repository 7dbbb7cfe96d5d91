"""What BG/NBD and Gamma-Gamma foresee of each buyer, and how far it may turn out otherwise."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from include import profile
from include.models.base import ordinary
from include.models.value import history, purchases, spend
from include.models.value.history import DAYS_A_WEEK
from include.models.value.purchases import Floats, Purchases
from include.models.value.spend import Spend

HORIZONS = (90, 365)  # days
FEWEST_REPEATERS = 50
DRAWS = 100
LOW, HIGH = 0.1, 0.9  # four customers of five end up between the two
CHUNK = 10_000  # customers at a time: 100 draws of them stay in the processor's cache


@dataclass(frozen=True)
class Habits:
    """Both fits of one history."""

    purchases: Purchases
    spend: Spend


@dataclass(frozen=True)
class Known:
    """The buyers of a day, on one index (customer_id ascending), and what was learned of them."""

    profiles: pd.DataFrame
    history: pd.DataFrame
    habits: Habits
    ordinary: pd.Index  # of whom is learned; the domain leaves the others out as noise


def known(folder: Path, day: date, *, seed: int = 0) -> Known | None:
    """What is known on a day; None where too few bought twice to learn from."""
    seen = history.history(folder, day)
    if (seen["repeats"] > 0).sum() < FEWEST_REPEATERS:
        return None
    profiles = profile.frame(folder, day).reindex(seen.index)
    learned = ordinary(profiles)[0].index
    of_whom = seen.loc[learned]
    if min((of_whom["repeats"] > 0).sum(), (of_whom["mean_value"] > 0).sum()) < FEWEST_REPEATERS:
        return None
    return Known(profiles, seen, fit(of_whom, seed=seed), learned)


def fit(seen: pd.DataFrame, *, seed: int = 0) -> Habits:
    """Learn from a history as ``history.history`` gives it, the first purchase's worth included.

    Raises
    ------
    InputError
        If nobody bought twice, or hardly anybody spent anything.
    """
    paid = seen[seen["mean_value"] > 0]
    return Habits(
        purchases.fit(*purchases.times(seen)),
        spend.fit(paid["count"].to_numpy(), paid["mean_value"].to_numpy(), seed=seed),
    )


def foresee(seen: Known) -> pd.DataFrame:
    """prob_alive, and for each horizon that, orders and revenue (as ``orders_90d``)."""
    known_times, buys = purchases.times(seen.history), seen.habits.purchases
    count, mean = (seen.history[name].to_numpy() for name in ("count", "mean_value"))
    worth = seen.habits.spend.expected(count, mean)
    found = {"prob_alive": buys.alive(*known_times)}
    for days in HORIZONS:
        orders = buys.expected(*known_times, days / DAYS_A_WEEK)
        found[f"prob_alive_{days}d"] = buys.alive_after(*known_times, days / DAYS_A_WEEK)
        found[f"orders_{days}d"], found[f"revenue_{days}d"] = orders, orders * worth
    return pd.DataFrame(found, index=seen.history.index)


def ranges(habits: Habits, seen: pd.DataFrame, *, seed: int = 0) -> pd.DataFrame:
    """Quantiles LOW and HIGH of what each customer may really do, by ``DRAWS`` possible futures.

    A future draws whether the customer is alive, the rate, the chance of leaving and the scale of
    the purchases from what the history leaves open, then the purchases. Columns as
    ``orders_90d_low``. Each chunk of customers has draws of its own, so that the order of the
    chunks does not matter.
    """
    seeds = np.random.SeedSequence(seed).spawn(-(-len(seen) // CHUNK))
    parts = [
        _ranges(habits, seen.iloc[number * CHUNK : (number + 1) * CHUNK], each)
        for number, each in enumerate(seeds)
    ]
    return pd.concat(parts) if parts else pd.DataFrame(index=seen.index)


def _ranges(habits: Habits, seen: pd.DataFrame, seed: np.random.SeedSequence) -> pd.DataFrame:
    draw, buys, pays = np.random.default_rng(seed), habits.purchases, habits.spend
    repeats, last, age = purchases.times(seen)
    count, mean = seen["count"].to_numpy(), seen["mean_value"].to_numpy()
    size = (DRAWS, len(seen))
    alive = draw.random(size) < buys.alive(repeats, last, age)
    rate = draw.gamma(buys.r + repeats, 1 / (buys.alpha + age), size) * alive
    leaving = np.clip(draw.beta(buys.a, buys.b + repeats, size), 1e-9, 1)
    most = draw.geometric(leaving)  # the purchase after which the customer leaves
    scale = draw.gamma(pays.q + pays.p * count, 1 / (pays.v + count * mean), size)
    found: dict[str, Floats] = {}
    orders, revenue = np.zeros(size), np.zeros(size)
    known = 0
    for days in HORIZONS:
        drawn = draw.poisson(rate * ((days - known) / DAYS_A_WEEK))
        more = np.minimum(orders + drawn, most) - orders
        revenue = revenue + draw.standard_gamma(pays.p * more) / scale
        orders, known = orders + more, days
        for name, values in (("orders", orders), ("revenue", revenue)):
            low, high = np.quantile(values, [LOW, HIGH], axis=0, method="inverted_cdf")
            found[f"{name}_{days}d_low"], found[f"{name}_{days}d_high"] = low, high
    return pd.DataFrame(found, index=seen.index)
