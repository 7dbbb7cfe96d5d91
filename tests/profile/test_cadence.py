from datetime import date


def test_the_next_order_is_due_after_the_median_gap(profiled, line):
    days = ["2026-01-01", "2026-01-11", "2026-01-21", "2026-02-19"]
    assert profiled(
        "gap_days_median, next_order_due_date, overdue_ratio",
        order_line=[line(1, day, day) for day in days],
    ) == [(10, date(2026, 3, 1), 1.0)]


def test_two_purchase_days_are_no_rhythm(profiled, line):
    days = ["2026-01-01 09:00", "2026-01-01 18:00", "2026-01-11 10:00"]
    assert profiled(
        "gap_days_median, next_order_due_date, overdue_ratio, same_day_order_count",
        order_line=[line(1, day, day) for day in days],
    ) == [(None, None, None, 1)]


def test_gaps_are_told_by_their_shortest_longest_and_latest(profiled, line):
    days = ["2026-01-01", "2026-01-21", "2026-02-10", "2026-02-20"]
    assert profiled(
        "gap_days_shortest, gap_days_longest, gap_days_latest, gap_days_mean",
        order_line=[line(1, day, day) for day in days],
    ) == [(10, 20, 10, 50 / 3)]


def test_a_customer_like_clockwork_has_no_variation(profiled, line):
    days = ["2026-01-01", "2026-01-11", "2026-01-21"]
    assert profiled(
        "gap_variation, overdue_spread", order_line=[line(1, day, day) for day in days]
    ) == [(0, None)]
