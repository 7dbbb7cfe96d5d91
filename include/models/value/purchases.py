"""How often a customer buys and whether still alive: BG/NBD (Fader, Hardie and Lee 2005).

While alive a customer buys at a rate of his own (gamma distributed: r, alpha) and after each
purchase leaves for good with a chance of his own (beta distributed: a, b). A customer is known by
three figures: ``repeats`` (purchases after the first), ``last`` (time of the last one since the
first) and ``age`` (time since the first), in one unit of time, that of alpha.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import betaln, expit, gammaln, hyp2f1, psi

from include.errors import InputError

Floats = NDArray[np.float64]

WIDEST = 12.0  # of the logarithm of a parameter: without bounds it drifts where data says nothing
MOST_ALIKE = {"r": 100.0, "a": 30.0}  # above, customers hardly differ, and 2F1 loses its digits
NEAREST = 1e-5  # to the two places at which the closed form is 0 / 0


@dataclass(frozen=True)
class Purchases:
    """The fitted parameters and the log-likelihood that they reach."""

    r: float
    alpha: float
    a: float
    b: float
    log_likelihood: float

    def alive(self, repeats: Floats, last: Floats, age: Floats) -> Floats:
        """The probability that each customer is alive at ``age``; 1 without a repeat."""
        with np.errstate(divide="ignore", invalid="ignore"):
            gone = np.log(self.a / (self.b + repeats - 1)) + (self.r + repeats) * np.log(
                (self.alpha + age) / (self.alpha + last)
            )
        alive: Floats = np.where(repeats > 0, expit(-gone), 1.0)
        return alive

    def alive_after(self, repeats: Floats, last: Floats, age: Floats, time: float) -> Floats:
        """The probability that each customer is still alive ``time`` later.

        The chance of having left by then is integrated over rate and chance; Pfaff's form of 2F1
        has an argument in (0, 1) and stays finite for any number of purchases.
        """
        past = self.alpha + age
        shape = (self.a, self.a + self.b - self.r, self.a + self.b + repeats)
        stay = (past / (past + time)) ** self.a * hyp2f1(*shape, time / (past + time))
        stays: Floats = np.clip(stay, 0.0, 1.0)
        return stays * self.alive(repeats, last, age)

    def expected(self, repeats: Floats, last: Floats, age: Floats, time: float) -> Floats:
        """The purchases expected of each customer in the next ``time``.

        Equation 10 of the paper after Euler's transformation of 2F1: as published it overflows
        for customers of some hundred purchases.
        """
        a = 1 + NEAREST if abs(self.a - 1) < NEAREST else self.a
        past = self.alpha + age
        third = a + self.b + repeats - 1
        third = np.where(abs(third) < NEAREST, NEAREST, third)
        share = past / (past + time)
        left = share ** (a - 1) * hyp2f1(
            a + self.b - 1 - self.r, a - 1, third, time / (past + time)
        )
        while_alive: Floats = np.maximum(third / (a - 1) * (1 - left), 0.0)
        return while_alive * self.alive(repeats, last, age)


def times(seen: pd.DataFrame) -> tuple[Floats, Floats, Floats]:
    """The three figures by which a customer is known."""
    repeats, last, age = (seen[name].to_numpy() for name in ("repeats", "last", "age"))
    return repeats, last, age


def fit(repeats: Floats, last: Floats, age: Floats) -> Purchases:
    """The most likely parameters.

    Equal customers are counted, not repeated; time is measured in mean ages meanwhile, so that
    days and weeks give the same fit.

    Raises
    ------
    InputError
        If nobody bought twice, or the figures are not 0 <= last <= age.
    """
    table = pd.DataFrame({"repeats": repeats, "last": last, "age": age}, dtype="float64")
    if not (table["last"].between(0, table["age"]).all() and (table["repeats"] > 0).any()):
        raise InputError(
            "BG/NBD: needs repeat buyers and 0 <= last <= age of each customer: check the dates"
        )
    counted = table.value_counts(sort=False).sort_index()
    x, tx, t = (counted.index.get_level_values(name).to_numpy() for name in table)
    unit = float(table["age"].mean())
    weights = counted.to_numpy(dtype="float64")
    kinds, which = np.unique(x, return_inverse=True)
    bounds = [
        (-WIDEST, np.log(MOST_ALIKE[name]) if name in MOST_ALIKE else WIDEST)
        for name in ("r", "alpha", "a", "b")
    ]
    found = minimize(
        _loss, np.zeros(4), args=(kinds, which, tx / unit, t / unit, weights / weights.sum()),
        jac=True, method="L-BFGS-B", bounds=bounds,
        options={"ftol": 1e-13, "gtol": 1e-8, "maxiter": 1000},
    )  # fmt: skip
    r, alpha, a, b = (float(value) for value in np.exp(found.x))
    # the likelihood is a density of times: in another unit it differs by a constant
    likelihood = -float(found.fun) * weights.sum() - (weights @ x) * np.log(unit)
    return Purchases(r, alpha * unit, a, b, float(likelihood))


def _loss(
    logs: Floats, kinds: Floats, which: NDArray[np.intp], tx: Floats, t: Floats, shares: Floats
) -> tuple[float, Floats]:
    """The negative mean log-likelihood, and its slopes by the logarithms of r, alpha, a and b.

    ``kinds`` are the numbers of repeats that occur: what follows from them alone is dear, and
    worked out once for each.
    """
    r, alpha, a, b = np.exp(logs)
    before = np.where(kinds > 0, b + kinds - 1, np.inf)  # without a purchase nobody has left
    by_kind = gammaln(r + kinds) - gammaln(r) + r * np.log(alpha) + betaln(a, b + kinds)
    count = (r + kinds)[which]
    log_past, log_last = np.log(alpha + t), np.log(alpha + tx)
    with np.errstate(divide="ignore"):
        left = np.log(a / before)[which] - count * log_last
    either = np.logaddexp(-count * log_past, left)
    gone = np.exp(left - either)
    there = 1 - gone
    of_r, of_b = psi(r + kinds) - psi(r) + np.log(alpha), psi(b + kinds) - psi(b)
    of_both = psi(a + b) - psi(a + b + kinds)
    slopes = np.array([
        shares @ (of_r[which] - there * log_past - gone * log_last),
        r / alpha - shares @ (count * (there / (alpha + t) + gone / (alpha + tx))),
        shares @ (of_both[which] + gone / a),
        shares @ ((of_both + of_b)[which] - gone / before[which]),
    ])
    value = float(shares @ (by_kind[which] + either)) - float(betaln(a, b))
    return -value, -slopes * np.array([r, alpha, a, b])
