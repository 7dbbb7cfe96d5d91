"""Habits: gaps, due dates, and the order of the repeat list."""

import numpy as np
import pytest

from include.recommend.compiled import compile_recipe
from include.recommend.interactions import read
from include.recommend.recipe import Recipe
from include.recommend.repeat import habits, repeat, repeat_scores
from tests.recommend.shop import AS_OF, line, product
from tests.snapshots import write_snapshot


@pytest.fixture
def habit_of(tmp_path):
    def run(*lines, half_life_days=90.0, **recipe):
        shelf = [product(n) for n in range(3)]
        data = read(write_snapshot(tmp_path / "s", product=shelf, order_line=lines), AS_OF)
        return compile_recipe(Recipe(**recipe), data), habits(
            data, half_life_days, 0, data.shape[0]
        )

    return run


def test_the_gap_is_the_median_between_days_and_due_is_at_most_one(habit_of):
    _, habit = habit_of(
        line(1, 0, "2026-01-01"), line(1, 0, "2026-01-11"), line(1, 0, "2026-01-31"),
        line(1, 1, "2026-02-01"), line(1, 1, "2026-02-01", order="second"),
        line(2, 0, "2026-01-20"), line(2, 0, "2026-02-09"), line(2, 0, "2026-02-19"),
    )  # fmt: skip
    assert habit.orders.tolist() == [3, 2, 3]
    assert habit.gap_days.tolist()[::2] == [15, 15]
    assert np.isnan(habit.gap_days[1])
    assert habit.due.tolist() == [1, 0.5, 10 / 15]
    assert habit.decayed[1] == pytest.approx(2 * 2 ** (-28 / 90))


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
