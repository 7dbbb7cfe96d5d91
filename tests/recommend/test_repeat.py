"""Habits: gaps, due dates, and the order of the repeat list."""

from dataclasses import astuple
from datetime import date, timedelta

import numpy as np
import pytest

from include.recommend.compiled import compile_recipe
from include.recommend.interactions import of_pairs, read
from include.recommend.recipe import Recipe
from include.recommend.repeat import Habit, habits, repeat, repeat_scores
from tests.recommend.shop import AS_OF, line, product
from tests.snapshots import write_snapshot


@pytest.fixture
def habit_of(tmp_path):
    def run(*lines, half_life_days=90.0, customer=(), **recipe):
        tables = {"product": [product(n) for n in range(3)], "order_line": lines}
        folder = write_snapshot(tmp_path / "s", **tables, customer=customer)
        data = read(folder, AS_OF)
        return compile_recipe(Recipe(**recipe), data), habits(
            data, half_life_days, 0, data.shape[0]
        )

    return run


def every_ten_days(customer: int, number: int = 0, times: int = 6) -> list[dict]:
    """Purchases of one product from 2026-01-01 on: with six of them, five gaps."""
    days = (date(2026, 1, 1) + timedelta(10 * n) for n in range(times))
    return [line(customer, number, str(day)) for day in days]


def test_the_personal_gap_is_the_median_between_days(habit_of):
    _, habit = habit_of(
        line(1, 0, "2026-01-01"), line(1, 0, "2026-01-11"), line(1, 0, "2026-01-31"),
        line(1, 1, "2026-02-01"), line(1, 1, "2026-02-01", order="second"),
        line(2, 0, "2026-01-20"), line(2, 0, "2026-02-09"), line(2, 0, "2026-02-19"),
    )  # fmt: skip
    assert habit.orders.tolist() == [3, 2, 3]
    assert habit.personal_gap_days.tolist() == pytest.approx([15, np.nan, 15], nan_ok=True)
    assert habit.decayed[1] == pytest.approx(2 * 2 ** (-28 / 90))


def test_a_product_with_fewer_than_five_gaps_has_none_of_its_own(habit_of):
    _, habit = habit_of(*every_ten_days(1, times=5), line(2, 0, "2026-02-19"))
    assert habit.gap_days.tolist() == pytest.approx([10, np.nan], nan_ok=True)
    assert habit.due_in_days.tolist() == pytest.approx([10 - 19, np.nan], nan_ok=True)


def test_who_bought_on_one_day_is_expected_after_the_gap_of_the_product(habit_of):
    _, habit = habit_of(*every_ten_days(1), line(2, 0, "2026-02-25"))
    assert habit.gap_days.tolist() == [10, 10]
    assert habit.age_days.tolist() == [9, 4]
    assert habit.due_in_days.tolist() == [1, 6]


def test_one_gap_of_ones_own_is_drawn_to_the_five_of_the_product(habit_of):
    _, habit = habit_of(*every_ten_days(1), line(2, 0, "2026-01-01"), line(2, 0, "2026-02-10"))
    assert habit.personal_gap_days.tolist() == [10, 40]
    assert habit.gap_days.tolist() == [10, (40 + 5 * 10) / 6]


def test_the_gaps_of_a_test_customer_say_nothing_about_the_product(habit_of):
    left_out = [{"customer_id": 1, "is_test": True}, {"customer_id": 2}]
    _, habit = habit_of(*every_ten_days(1), line(2, 0, "2026-02-25"), customer=left_out)
    assert habit.gap_days.tolist() == pytest.approx([10, np.nan], nan_ok=True)


def test_due_is_one_at_the_gap_and_less_before_and_long_after():
    gap = np.array([10, 10, 10, np.nan])
    one = np.ones(4)
    habit = Habit(one, one, one, one, np.array([5, 10, 40, 7]), gap, gap, one)
    assert habit.due.tolist() == [0.5, 1, 0.25, 0.5]


def test_often_and_lately_comes_first_and_ties_by_product(habit_of):
    made, habit = habit_of(
        line(1, 2, "2026-02-01"), line(1, 1, "2026-02-01"), line(1, 0, "2025-02-01")
    )
    everyone, all_of_it = np.ones(1, dtype=bool), np.ones(3, dtype=bool)
    ranked, _ = repeat(made, habit, everyone, all_of_it, length=5)
    assert ranked.product.tolist() == [1, 2, 0]
    assert ranked.rank.tolist() == [1, 2, 3]


def test_without_a_half_life_an_old_order_counts_as_much_as_a_new_one(habit_of):
    lines = [line(1, 0, "2015-01-01"), line(1, 0, "2015-02-01"), line(1, 1, "2026-02-01")]
    _, habit = habit_of(*lines, half_life_days=None)
    assert habit.decayed.tolist() == habit.orders.tolist() == [2, 1]


def test_cadence_and_popularity_raise_the_score(habit_of):
    made, habit = habit_of(line(1, 0, "2026-02-01"), cadence=2.0, repeat_lift=3.0)
    assert repeat_scores(made, habit) == pytest.approx(habit.decayed * 4 * 2)


def test_what_its_buyers_come_back_for_is_ahead_of_what_they_buy_once(habit_of):
    lines = [*every_ten_days(1, number=1), line(2, 0, "2026-02-01"), line(2, 1, "2026-02-01")]
    made, habit = habit_of(*lines, returning=0.2)
    mean = 1 / 3  # of three pairs of customer and product one was bought again
    assert habit.returning[1:] == pytest.approx([
        20 * mean / 21 / mean,
        (1 + 20 * mean) / 22 / mean,
    ])
    once, again = repeat_scores(made, habit)[1:]
    assert again / once == pytest.approx((habit.returning[2] / habit.returning[1]) ** 0.2)
    assert again > once


def test_blocks_of_customers_have_the_habits_of_all_at_once_bit_for_bit():
    draw = np.random.default_rng(0)
    numbers = (draw.integers(0, most, 5000) for most in (40, 15, 300))
    customer, bought, age = numbers
    data = of_pairs((40, 15), customer, bought, age + 1)
    whole = astuple(habits(data, 90.0, 0, 40))
    blocks = [astuple(habits(data, 90.0, first, first + 8)) for first in range(0, 40, 8)]
    for column, parts in zip(whole, zip(*blocks, strict=True), strict=True):
        assert np.array_equal(column, np.concatenate(parts), equal_nan=True)
