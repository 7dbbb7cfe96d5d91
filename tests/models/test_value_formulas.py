"""BG/NBD and Gamma-Gamma: the published figures, and the closed forms against integrals."""

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad
from scipy.special import betaln

from include.errors import InputError
from include.models.value import foreseen, purchases, spend

FITTED = purchases.Purchases(0.243, 4.414, 0.793, 2.426, 0.0)
CUSTOMERS = [(0, 0.0, 20.0, 13.0), (2, 30.0, 38.86, 39.0), (50, 38.0, 39.0, 52.0)]


def made_up(seed, customers):
    """Repeats, last and age in weeks of customers who keep the model's own rules."""
    draw = np.random.default_rng(seed)
    age = draw.integers(7, 700, customers) / 7
    repeats, last = np.zeros(customers), np.zeros(customers)
    for n in range(customers):
        rate, leaving, now = draw.gamma(0.5, 1 / 6), draw.beta(0.8, 2.4), 0.0
        while (now := now + draw.exponential(1 / rate)) < age[n]:
            repeats[n], last[n] = repeats[n] + 1, now
            if draw.random() < leaving:
                break
    return repeats, last, age


def integral(customer, of):
    """The mean of ``of(chance of leaving)`` over what is left open of a living customer."""
    repeats, last, age, _ = customer
    shape = (FITTED.a, FITTED.b + repeats)

    def weighted(chance):
        density = (shape[0] - 1) * np.log(chance) + (shape[1] - 1) * np.log1p(-chance)
        return np.exp(density - betaln(*shape)) * of(chance)

    alive = FITTED.alive(*map(np.array, (repeats, last, age)))
    return quad(weighted, 0, 1)[0] * float(alive)


def still(customer, chance):
    repeats, _, age, time = customer
    past = FITTED.alpha + age
    return (past / (past + chance * time)) ** (FITTED.r + repeats)


@pytest.mark.parametrize("customer", CUSTOMERS)
def test_expected_purchases_are_the_integral_of_the_rate_while_alive(customer):
    wanted = integral(customer, lambda chance: (1 - still(customer, chance)) / chance)
    *known, time = customer
    assert FITTED.expected(*map(np.array, known), time) == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize("customer", CUSTOMERS)
def test_alive_after_a_while_is_the_integral_of_not_leaving(customer):
    *known, time = customer
    wanted = integral(customer, lambda chance: still(customer, chance))
    assert FITTED.alive_after(*map(np.array, known), time) == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize("a", [0.5, 0.99999, 1.0, 1.00001, 3.0])
def test_ten_thousand_purchases_and_a_near_one_give_finite_figures(a):
    model = purchases.Purchases(0.3, 5.0, a, 0.001, 0.0)
    repeats, last, age = np.array([0.0, 1e4, 1e5]), np.array([0, 90.9, 91]), np.full(3, 91.0)
    orders = model.expected(repeats, last, age, 52.0)
    assert np.isfinite(orders).all()
    assert (orders >= 0).all()
    assert orders[2] > 10_000


def test_rules_that_were_planted_are_found_again():
    found = purchases.fit(*made_up(1, 20_000))
    leaves = found.a / (found.a + found.b)  # a and b alone are known far less well
    assert [found.r, found.alpha, leaves] == pytest.approx([0.5, 6, 0.25], rel=0.05)


def test_customers_who_all_buy_alike_give_finite_figures():
    repeats = 1 + np.random.default_rng(6).poisson(5, 300).astype("float64")
    age = np.full(300, 77.0)
    found = purchases.fit(repeats, age * 0.9, age)
    year = found.expected(repeats, age * 0.9, age, 52.0)
    assert year.sum() / repeats.sum() == pytest.approx(52 / 77, rel=0.25)


def test_days_and_weeks_give_the_same_fit():
    repeats, last, age = made_up(2, 2000)
    weeks, days = purchases.fit(repeats, last, age), purchases.fit(repeats, 7 * last, 7 * age)
    assert days.alpha == pytest.approx(7 * weeks.alpha, rel=1e-4)
    assert [days.r, days.a, days.b] == pytest.approx([weeks.r, weeks.a, weeks.b], rel=1e-4)


def test_nobody_who_bought_twice_is_an_error_of_one_line():
    with pytest.raises(InputError, match="BG/NBD: needs repeat buyers"):
        purchases.fit(np.zeros(3), np.zeros(3), np.ones(3))


def test_worths_that_were_planted_are_found_again():
    draw = np.random.default_rng(3)
    scale, count = draw.gamma(3.7, 1 / 15, 20_000), draw.integers(1, 8, 20_000)
    found = spend.fit(count.astype("float64"), draw.gamma(6 * count) / scale / count)
    assert [found.p, found.q, found.v] == pytest.approx([6, 3.7, 15], rel=0.1)


def test_who_bought_little_is_drawn_towards_the_mean_of_all():
    fitted = spend.Spend(6.0, 4.0, 15.0, 0.0)
    counts, means = np.array([0.0, 1, 1000]), np.array([0.0, 90, 90])
    assert fitted.expected(counts, means).round(2).tolist() == [30.0, 70.0, 89.97]


def test_futures_agree_with_the_mean_that_is_foreseen():
    repeats, last, age = made_up(4, 3000)
    draw = np.random.default_rng(5)
    seen = pd.DataFrame({
        "repeats": repeats, "last": last, "age": age, "count": repeats + 1,
        "mean_value": draw.gamma(6.0, 5.0, 3000),
    })  # fmt: skip
    habits = foreseen.fit(seen)
    ranges = foreseen.ranges(habits, seen)
    known = foreseen.Known(seen, seen, habits, seen.index)
    orders = foreseen.foresee(known)["orders_365d"]
    inside = orders.between(ranges["orders_365d_low"] - 1, ranges["orders_365d_high"] + 1)
    assert inside.mean() > 0.99
    pd.testing.assert_frame_equal(foreseen.ranges(habits, seen), ranges)
