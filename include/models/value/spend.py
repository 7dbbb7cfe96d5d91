"""How much a purchase of a customer is worth: Gamma-Gamma (Fader and Hardie 2013).

The values of a customer's purchases are gamma distributed (shape p), and their scale differs from
customer to customer (gamma distributed: q, v). A customer is known by ``count`` and ``mean`` of
the purchases seen; who bought little is drawn towards the mean of all.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import gammaln, psi

from include.errors import InputError

Floats = NDArray[np.float64]

MOST = 200_000  # customers learned from: more moves a parameter by less than a hundredth
LEAST_Q = 1.01  # at 1 the mean of all purchases is infinite
WIDEST = 12.0


@dataclass(frozen=True)
class Spend:
    """The fitted parameters and the log-likelihood that they reach."""

    p: float
    q: float
    v: float
    log_likelihood: float

    def expected(self, count: Floats, mean: Floats) -> Floats:
        """The mean value of each customer's purchases to come; without any (0, 0) that of all."""
        return self.p * (self.v + count * mean) / (self.p * count + self.q - 1)


def fit(count: Floats, mean: Floats, *, seed: int = 0) -> Spend:
    """The most likely parameters of customers with a positive count and mean.

    Raises
    ------
    InputError
        If there are fewer than two, or one is not positive.
    """
    if len(count) < 2 or not (np.all(count > 0) and np.all(mean > 0)):
        raise InputError("Gamma-Gamma: needs two customers with a positive count and mean value")
    if len(count) > MOST:
        drawn = np.sort(np.random.default_rng(seed).choice(len(count), MOST, replace=False))
        count, mean = count[drawn], mean[drawn]
    unit = float(mean.mean())
    found = minimize(
        _loss, np.log([1.0, 2.0, 1.0]), args=(count, mean / unit), jac=True, method="L-BFGS-B",
        bounds=[(-WIDEST, WIDEST), (np.log(LEAST_Q), WIDEST), (-WIDEST, WIDEST)],
        options={"ftol": 1e-13, "gtol": 1e-8, "maxiter": 1000},
    )  # fmt: skip
    p, q, v = (float(value) for value in np.exp(found.x))
    likelihood = -len(count) * (float(found.fun) + float(np.log(unit)))
    return Spend(p, q, v * unit, likelihood)


def _loss(logs: Floats, x: Floats, m: Floats) -> tuple[float, Floats]:
    """The negative mean log-likelihood, and its slopes by the logarithms of p, q and v."""
    p, q, v = np.exp(logs)
    shape, scale = p * x + q, np.log(v + m * x)
    value = (
        gammaln(shape) - gammaln(p * x) - gammaln(q) + q * np.log(v)
        + (p * x - 1) * np.log(m) + p * x * np.log(x) - shape * scale
    )  # fmt: skip
    slopes = (
        x * (psi(shape) - psi(p * x) + np.log(m * x) - scale),
        psi(shape) - psi(q) + np.log(v) - scale,
        q / v - shape / (v + m * x),
    )
    return -float(value.mean()), -np.array([slope.mean() for slope in slopes]) * np.exp(logs)
